import {
  err,
  type LakeReader,
  LakeSyncError,
  type ObjectStore,
  ok,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type AnalystSubject, entry } from "./subject.ts";
import type { Analyst, QueryOptions } from "../analyst.ts";

const table = "todos";
const SCHEMA = { table, version: 1, columns: [{ name: "n", type: "integer" }] } as const;
const DAYS = 4;

/** Notice at noon of a day of 2026. */
const noon = (day: number): number => Date.UTC(2026, 0, 1 + day, 12);

/** A store that counts the bytes that are read of each object. */
function counting(store: ObjectStore, read: Map<string, number>): ObjectStore {
  return {
    ...store,
    location: store.location,
    put: (...args) => store.put(...args),
    head: (...args) => store.head(...args),
    list: (...args) => store.list(...args),
    delete: (...args) => store.delete(...args),
    async get(key, options) {
      const got = await store.get(key, options);
      if (got.ok) read.set(key, (read.get(key) ?? 0) + got.value.length);
      return got;
    },
  };
}

/** A lake whose files have no URLs that DuckDB could open. */
function elsewhere(lake: LakeReader): LakeReader {
  return {
    tables: () => lake.tables(),
    async scan(table, options) {
      const scan = await lake.scan(table, options);
      if (!scan.ok) return scan;
      const files = scan.value.files.map((file) => ({ ...file, url: `s3://bucket/${file.key}` }));
      return ok({ ...scan.value, files });
    },
  };
}

interface Remote {
  readonly analyst: Analyst;
  readonly read: Map<string, number>;
  /** The bytes of the lake's files. */
  readonly sizes: readonly number[];
  /** Asks, and tells which files were fetched for that, by their places. */
  fetched(sql: string, options?: QueryOptions): Promise<readonly number[]>;
}

/** A lake in a store that DuckDB cannot open: a file a day, with the rows 10 × day to 10 × day + 9. */
export async function withRemote(
  subject: AnalystSubject,
  { keptBytes }: { keptBytes: number },
  use: (remote: Remote) => Promise<void>,
): Promise<void> {
  await subject.withLake(async (lake) => {
    lake.define(SCHEMA);
    for (let day = 0; day < DAYS; day++) {
      await lake.write(table, {
        entries: Array.from({ length: 10 }, (_, i) =>
          entry(1 + day * 10 + i, {
            table,
            op: "INSERT",
            at: noon(day),
            hlc: String(65_536 * (1 + day * 10 + i)),
            id: `row-${day}${i}`,
            set: new Map([["n", day * 10 + i]]),
          })),
        to: { epoch: "e", seq: (day + 1) * 10 },
      });
    }
    const { files } = unwrapOrThrow(await lake.scan("todos_changes"));
    const read = new Map<string, number>();
    const analyst = unwrapOrThrow(
      await subject.open({
        lake: elsewhere(lake),
        store: counting(lake.store, read),
        keptBytes,
      }),
    );
    try {
      await use({
        analyst,
        read,
        sizes: files.map(({ bytes }) => bytes),
        async fetched(sql, options) {
          read.clear();
          unwrapOrThrow(await analyst.query(sql, options));
          return files.flatMap(({ key, bytes }, place) => {
            assert([undefined, bytes].includes(read.get(key)), "each file is fetched once");
            return read.has(key) ? [place] : [];
          });
        },
      });
    } finally {
      await analyst.close();
    }
  });
}

/** Registers tests of which files are read. */
export function testPushdown(subject: AnalystSubject): void {
  const ALL = [0, 1, 2, 3];

  test("a filter on the row id reads only the bytes of the files that can have the row", () =>
    withRemote(subject, { keptBytes: 0 }, async ({ analyst, read, sizes, fetched }) => {
      const sql = "SELECT n FROM todos WHERE id = 'row-21'";
      assertEquals(unwrapOrThrow(await analyst.query(sql)).rows.map(({ n }) => n), [21]);
      assertEquals([...read.values()], [sizes[2]]);

      for (
        const [where, places] of [
          ["id = 'row-21'", [2]],
          ["'row-21' = id", [2]],
          ["t.ID IN ('row-05', 'row-31') AND n > 0", [0, 3]],
          ["id IN ('row-05', 'row-31') AND id = 'row-31'", [3]],
          ["id = 'nobody'", []],
          ["id = 'row-21' OR n = 1", ALL],
          ["id > 'row-21'", ALL],
          ["id LIKE 'row-2%'", ALL],
          ["lower(id) = 'row-21'", ALL],
          ["id = (SELECT 'row-21')", ALL],
        ] as const
      ) {
        assertEquals(await fetched(`SELECT count(*) FROM todos t WHERE ${where}`), places, where);
      }
      const params = ["row-21"];
      assertEquals(await fetched("SELECT * FROM todos WHERE id = ?", { params }), [2]);
      const named = { params: { row: "row-21" } };
      assertEquals(await fetched("SELECT * FROM todos WHERE id = $row", named), [2]);
      assertEquals(await fetched("SELECT * FROM todos_history('row-21')"), [2]);
      assertEquals(await fetched("SELECT * FROM todos_at(9999999) WHERE id = 'row-21'"), [2]);
      assertEquals(await fetched("SELECT * FROM todos_changes WHERE id = 'row-21'"), [2]);
    }));

  test("a filter on the day of _commit_ts reads only the files of those days", () =>
    withRemote(subject, { keptBytes: 0 }, async ({ fetched }) => {
      for (
        const [where, places] of [
          ["_commit_ts >= '2026-01-03'", [2, 3]],
          ["_commit_ts < TIMESTAMPTZ '2026-01-02 00:00:00Z'", [0]],
          ["_commit_ts BETWEEN '2026-01-02' AND '2026-01-03 23:00:00Z'", [1, 2]],
          ["_commit_ts > now()", ALL],
          ["'2026-01-03' <= _commit_ts AND id = 'row-21'", [2]],
        ] as const
      ) {
        assertEquals(
          await fetched(`SELECT count(*) FROM todos_changes WHERE ${where}`),
          places,
          where,
        );
      }
      const params = [new Date(noon(1))];
      assertEquals(
        await fetched("SELECT * FROM todos_changes WHERE _commit_ts = ?", { params }),
        [1],
      );
      assertEquals(await fetched("SELECT * FROM todos", { asOf: "655360" }), [0]);
    }));

  test("a table that a query names twice is read whole, and rows come out as without any filter on files", () =>
    withRemote(subject, { keptBytes: 0 }, async ({ analyst, fetched }) => {
      for (
        const sql of [
          "SELECT (SELECT count(*) FROM todos) FROM todos WHERE id = 'row-21'",
          "WITH one AS (SELECT * FROM todos WHERE id = 'row-21') SELECT * FROM one",
          "SELECT a.n FROM todos a JOIN todos b ON a.n = b.n WHERE a.id = 'row-21'",
          "SELECT n FROM todos WHERE id = 'row-21' UNION ALL SELECT n FROM todos",
          "SELECT 1; SELECT n FROM todos WHERE id = 'row-21'",
        ]
      ) {
        assertEquals(await fetched(sql), ALL, sql);
      }
      const [row] = unwrapOrThrow(
        await analyst.query(
          "SELECT (SELECT count(*) FROM todos) AS all FROM todos WHERE id = 'row-21'",
        ),
      ).rows;
      assertEquals(row!["all"], 40);
    }));

  test("files are kept for further queries, so many bytes of them", () =>
    withRemote(subject, { keptBytes: 2 ** 20 }, async ({ fetched }) => {
      assertEquals(await fetched("SELECT * FROM todos"), ALL);
      assertEquals(await fetched("SELECT * FROM todos"), []);
      assertEquals(await fetched("SELECT * FROM todos WHERE id = 'row-21'"), []);
    }));

  test("a file that cannot be fetched fails the query with the store's error, and the next one tries again", async () => {
    let broken = true;
    await subject.withLake(async (lake) => {
      lake.define(SCHEMA);
      await lake.write(table, {
        entries: [entry(1, { table, op: "INSERT", hlc: "65536", set: new Map([["n", 1]]) })],
        to: { epoch: "e", seq: 1 },
      });
      const store: ObjectStore = {
        ...counting(lake.store, new Map()),
        get: (key, options) =>
          broken
            ? Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", "The network is down")))
            : lake.store.get(key, options),
      };
      const analyst = unwrapOrThrow(
        await subject.open({ lake: elsewhere(lake), store }),
      );
      const failed = await analyst.query("SELECT * FROM todos");
      assert(!failed.ok);
      assertEquals([failed.error.code, failed.error.message], [
        "STORAGE_ERROR",
        "The network is down",
      ]);
      broken = false;
      assertEquals(unwrapOrThrow(await analyst.query("SELECT n FROM todos")).rows.length, 1);
      await analyst.close();
    });
  });
}
