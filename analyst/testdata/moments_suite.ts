import { type JsonValue, packHlc, type TableSchema, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type AnalystSubject,
  entry,
  pendingList,
  rowsOf as rows,
  type TestLake,
} from "./subject.ts";
import type { Analyst } from "../analyst.ts";
import type { QueryRow } from "../values.ts";

const DAY = 24 * 60 * 60 * 1000;
const START = Date.UTC(2026, 0, 1);
const SCHEMA: TableSchema = {
  table: "todos",
  version: 1,
  columns: [
    { name: "title", type: "string", nullable: true },
    { name: "n", type: "integer", nullable: true },
    { name: "_op", type: "json", nullable: true },
  ],
};

/** A stamp of so many days after the start. */
const day = (days: number): string => packHlc({ wallMs: START + days * DAY, counter: 0 });
const set = (values: { [column: string]: JsonValue }) => new Map(Object.entries(values));
const table = "todos";

function nullProto(row: { [column: string]: unknown }): QueryRow {
  return Object.assign(Object.create(null), row);
}

/** Registers tests of tables as they were, what changed between, and rows' histories. */
export function testMoments(subject: AnalystSubject): void {
  /** A lake with two days of changes, the third day's pending. */
  async function withDays(use: (analyst: Analyst, lake: TestLake) => Promise<void>): Promise<void> {
    await subject.withLake(async (lake) => {
      lake.define(SCHEMA);
      const big = "9007199254740993";
      await lake.write(table, {
        entries: [
          entry(1, {
            table,
            op: "INSERT",
            hlc: day(0),
            id: "a",
            set: set({ title: "Milk", n: big }),
          }),
          entry(2, { table, op: "INSERT", hlc: day(0), id: "b", set: set({ title: "Tea" }) }),
        ],
        to: { epoch: "e", seq: 2 },
      });
      await lake.write(table, {
        entries: [
          entry(3, {
            table,
            op: "UPDATE",
            hlc: day(1),
            id: "a",
            by: "bob",
            set: set({ n: null, _op: { x: 1 } }),
          }),
          entry(4, { table, op: "DELETE", hlc: day(1), id: "b" }),
        ],
        to: { epoch: "e", seq: 4 },
      });
      const pending = pendingList([SCHEMA], {
        entries: [entry(5, { table, op: "INSERT", hlc: day(2), id: "c", set: set({ n: 3 }) })],
      });
      const analyst = unwrapOrThrow(await subject.open({ lake, pending }));
      try {
        await use(analyst, lake);
      } finally {
        await analyst.close();
      }
    });
  }

  test("todos_at(moment) is the rows as of a stamp, a timestamp or a text of either, side by side in one query", () =>
    withDays(async (analyst) => {
      const sql = (moment: string) => `SELECT list(id ORDER BY id) AS ids FROM todos_at(${moment})`;
      for (
        const [moment, ids] of [
          [day(0), ["a", "b"]],
          [`'${day(1)}'`, ["a"]],
          ["'2026-01-01'", ["a", "b"]],
          ["TIMESTAMPTZ '2026-01-02 00:00:00Z'", ["a"]],
          ["DATE '2026-01-03'", ["a", "c"]],
          ["'18446744073709551615'", ["a", "c"]],
        ] as const
      ) {
        assertEquals((await rows(analyst, sql(moment)))[0], nullProto({ ids: [...ids] }), moment);
      }
      assertEquals(await rows(analyst, sql("0")), [nullProto({ ids: null })]);
      const at = new Date(START + DAY);
      assertEquals(await rows(analyst, sql("$1"), { params: [at] }), [nullProto({ ids: ["a"] })]);
      assertEquals(
        await rows(
          analyst,
          `SELECT (SELECT count(*) FROM todos_at('2026-01-01')) AS then, count(*) AS now FROM todos`,
        ),
        [nullProto({ then: 2, now: 2 })],
      );
      const wrong = await analyst.query("SELECT * FROM todos_at('yesterday')");
      assert(!wrong.ok);
      assertEquals(wrong.error.code, "VALIDATION_ERROR");
      assertStringIncludes(
        wrong.error.message,
        '"yesterday" is no moment: give a stamp or a timestamp',
      );
    }));

  test("todos_between(from, to) tells which rows came, went and changed, and in which columns", () =>
    withDays(async (analyst) => {
      const sql = "SELECT * FROM todos_between('2026-01-01', '2026-01-03') ORDER BY id";
      assertEquals(
        await rows(analyst, sql),
        [
          {
            id: "a",
            _change: "changed",
            _columns: ["n", "_op"],
            before: nullProto({ title: "Milk", n: 2n ** 53n + 1n, _op: null }),
            after: nullProto({ title: "Milk", n: null, _op: '{"x":1}' }),
          },
          {
            id: "b",
            _change: "removed",
            _columns: ["title"],
            before: nullProto({ title: "Tea", n: null, _op: null }),
            after: null,
          },
          {
            id: "c",
            _change: "added",
            _columns: ["n"],
            before: null,
            after: nullProto({ title: null, n: 3, _op: null }),
          },
        ].map(nullProto),
      );
      assertEquals(await rows(analyst, `SELECT * FROM todos_between(${day(1)}, ${day(1)})`), []);
    }));

  test("todos_history(id) tells who changed a row when, and what was set to null from what was not set", () =>
    withDays(async (analyst) => {
      const made = (days: number) =>
        `${new Date(START + days * DAY).toISOString().slice(0, -1)}000Z`;
      assertEquals(
        await rows(
          analyst,
          `SELECT _op, _made, _commit_ts, _client_id, _hlc::VARCHAR AS stamp, _columns, title, n, __op
         FROM todos_history('a')`,
        ),
        [
          {
            _op: "INSERT",
            _made: made(0),
            _commit_ts: "2025-11-20T00:53:20.001000Z",
            _client_id: "a",
            stamp: day(0),
            _columns: ["title", "n"],
            title: "Milk",
            n: 2n ** 53n + 1n,
            __op: null,
          },
          {
            _op: "UPDATE",
            _made: made(1),
            _commit_ts: "2025-11-20T00:53:20.003000Z",
            _client_id: "bob",
            stamp: day(1),
            _columns: ["n", "_op"],
            title: null,
            n: null,
            __op: '{"x":1}',
          },
        ].map(nullProto),
      );
      assertEquals(await rows(analyst, "SELECT * FROM todos_history('nobody')"), []);
    }));

  test("a query at the snapshots that an earlier one read gives the same rows again, whatever came since", () =>
    withDays(async (analyst, lake) => {
      const sql = "SELECT id, n FROM todos ORDER BY id";
      const { snapshots } = unwrapOrThrow(await analyst.query(sql));
      assertEquals(snapshots, new Map([["todos", 2n]]));
      await lake.write(table, {
        entries: [entry(5, { table, op: "INSERT", hlc: day(2), id: "c", set: set({ n: 3 }) })],
        to: { epoch: "e", seq: 5 },
      });
      assertEquals(unwrapOrThrow(await analyst.query(sql)).snapshots, new Map([["todos", 3n]]));
      assertEquals(await rows(analyst, sql, { snapshots }), [nullProto({ id: "a", n: null })]);
      const first = { snapshots: new Map([["todos", 1n]]) };
      assertEquals((await rows(analyst, sql, first)).map(({ id }) => id), ["a", "b"]);
      const unknown = await analyst.query(sql, { snapshots: new Map([["todos", 99n]]) });
      assert(!unknown.ok);
      assertEquals(unknown.error.code, "NOT_FOUND");
    }));

  test("a table without columns has moments too, and a table named like a function comes before it", () =>
    subject.withLake(async (lake) => {
      lake.define({ table: "marks", version: 1, columns: [] });
      lake.define({ ...SCHEMA, table: "marks_at" });
      await lake.write("marks", {
        entries: [entry(1, { table: "marks", op: "INSERT", hlc: day(0), id: "m" })],
        to: { epoch: "e", seq: 1 },
      });
      const analyst = unwrapOrThrow(await subject.open({ lake }));
      assertEquals(await rows(analyst, "SELECT id, _change FROM marks_between(0, '2026-01-01')"), [
        nullProto({ id: "m", _change: "added" }),
      ]);
      assertEquals(await rows(analyst, "SELECT * FROM marks_at"), []);
      await analyst.close();
    }));
}
