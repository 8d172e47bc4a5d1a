import { type LakeReader, ok, packHlc, type TableSchema } from "@lakesync/core";
import { err, LakeSyncError, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type AnalystSubject,
  entry,
  pendingList,
  rowsOf as rows,
  type TestLake,
} from "./subject.ts";
import type { Analyst } from "../analyst.ts";
import { set, TODOS, writeTodos } from "./todos.ts";
import type { AnalystSources } from "../sources.ts";

/** Registers tests of what an analyst answers. */
export function testAnalyst(subject: AnalystSubject): void {
  async function withAnalyst(
    options: AnalystSources,
    use: (analyst: Analyst) => Promise<void>,
  ): Promise<void> {
    const analyst = unwrapOrThrow(await subject.open(options));
    try {
      await use(analyst);
    } finally {
      await analyst.close();
    }
  }

  /** A lake with `todos`, and what is written to it. */
  async function withTodos(
    use: (lake: TestLake) => Promise<void>,
  ): Promise<void> {
    await subject.withLake(async (lake) => {
      await writeTodos(lake);
      await use(lake);
    });
  }

  async function failure(
    analyst: Analyst,
    ...[sql, options]: Parameters<Analyst["query"]>
  ): Promise<LakeSyncError> {
    const answer = await analyst.query(sql, options);
    assert(!answer.ok, "Expected a failure");
    return answer.error;
  }

  test("a table's plain name is its rows, with _changes its changelog", () =>
    withTodos((lake) =>
      withAnalyst({ lake }, async (analyst) => {
        assertEquals(unwrapOrThrow(await analyst.tables()), ["todos", "todos_changes"]);
        assertEquals(await rows(analyst, "SELECT * FROM Todos"), [
          { id: "1", title: "Milk", done: true },
        ]);
        assertEquals(
          await rows(analyst, `SELECT * FROM "todos_changes" WHERE _op <> 'INSERT' ORDER BY _seq`),
          [
            {
              _seq: 3,
              _op: "UPDATE",
              id: "1",
              _hlc: 196608,
              _client_id: "b",
              _tx_id: null,
              _commit_ts: "2025-11-20T00:53:20.003000Z",
              _columns: "done",
              title: null,
              done: true,
            },
            {
              _seq: 4,
              _op: "DELETE",
              id: "2",
              _hlc: 196609,
              _client_id: "a",
              _tx_id: null,
              _commit_ts: "2025-11-20T00:53:20.004000Z",
              _columns: null,
              title: null,
              done: null,
            },
          ],
        );
      })
    ));

  test("asOf shows rows and changes as they were at a stamp, or with all of a Date's millisecond", () =>
    withTodos((lake) =>
      withAnalyst({ lake }, async (analyst) => {
        const sql = "SELECT id, done FROM todos ORDER BY id";
        const both = [{ id: "1", done: null }, { id: "2", done: null }];
        assertEquals(await rows(analyst, sql, { asOf: "65535" }), []);
        assertEquals(await rows(analyst, sql, { asOf: "196607" }), both);
        assertEquals(await rows(analyst, sql, { asOf: "196608" }), [
          { id: "1", done: true },
          { id: "2", done: null },
        ]);
        assertEquals(await rows(analyst, sql, { asOf: new Date(2) }), both);
        assertEquals(await rows(analyst, sql, { asOf: new Date(3) }), [{ id: "1", done: true }]);
        const latest = packHlc({ wallMs: 2 ** 48 - 1, counter: 0xffff });
        assertEquals(await rows(analyst, sql, { asOf: latest }), [{ id: "1", done: true }]);
        assertEquals(
          await rows(analyst, "SELECT count(*) AS n FROM todos_changes", { asOf: "131072" }),
          [{ n: 2 }],
        );
        await assertRejects(() => analyst.query(sql, { asOf: "0" }), TypeError, 'as of "0"');
      })
    ));

  test("null that was set and a column that was not carried are told apart", () =>
    subject.withLake(async (lake) => {
      lake.define(TODOS);
      const table = "todos";
      const insert = {
        table,
        op: "INSERT",
        hlc: "1",
        set: set({ title: "a", done: true }),
      } as const;
      const entries = [
        entry(1, insert),
        entry(2, { table, op: "UPDATE", hlc: "2", set: set({ title: null }) }),
        entry(3, { table, op: "UPDATE", hlc: "3", set: set({ done: false }) }),
      ];
      await lake.write(table, { entries, to: { epoch: "e", seq: 3 } });
      await withAnalyst({ lake }, async (analyst) => {
        assertEquals(await rows(analyst, "SELECT * FROM todos"), [
          { id: "r", title: null, done: false },
        ]);
      });
    }));

  test("a file from before a column was added gives null for it", () =>
    withTodos((lake) =>
      withAnalyst({ lake }, async (analyst) => {
        const table = "todos";
        const columns = [{ name: "n", type: "integer", nullable: true }, ...TODOS.columns] as const;
        lake.define({ table, version: 2, columns });
        const insert = entry(5, {
          table,
          op: "INSERT",
          hlc: "262144",
          id: "3",
          set: set({ n: 7 }),
        });
        await lake.write(table, { entries: [insert], to: { epoch: "e", seq: 5 } });
        assertEquals(await rows(analyst, "SELECT id, n, title, done FROM todos ORDER BY id"), [
          { id: "1", n: null, title: "Milk", done: true },
          { id: "3", n: 7, title: null, done: null },
        ]);
      })
    ));

  test("a table without files, without pending deltas, or not yet in the lake can be asked", () =>
    subject.withLake(async (lake) => {
      lake.define(TODOS);
      const fresh: TableSchema = { ...TODOS, table: "fresh" };
      const table = "fresh";
      const entries = [entry(1, { table, op: "INSERT", hlc: "1", set: set({ title: "New" }) })];
      const pending = pendingList([TODOS, fresh], { entries });
      await withAnalyst({ lake }, async (analyst) => {
        assertEquals(await rows(analyst, "SELECT * FROM todos"), []);
        assertEquals(await rows(analyst, "SELECT * FROM todos_changes", { asOf: "9" }), []);
      });
      await withAnalyst({ lake, pending }, async (analyst) => {
        assertEquals(unwrapOrThrow(await analyst.tables()), [
          "fresh",
          "fresh_changes",
          "todos",
          "todos_changes",
        ]);
        assertEquals(
          await rows(analyst, "SELECT f.title, t.title FROM fresh f LEFT JOIN todos t ON true"),
          [
            { title: "New", "title:1": null },
          ],
        );
        assertEquals(await rows(analyst, "SELECT * FROM todos"), []);
      });
    }));

  test("pending deltas join the lake's once, with columns that the lake does not have yet", () =>
    withTodos((lake) => {
      const table = "todos";
      const schema: TableSchema = {
        table,
        version: 2,
        columns: [...TODOS.columns, { name: "_seq", type: "integer", nullable: true }],
      };
      const entries = [
        entry(4, { table, op: "INSERT", hlc: "999999", id: "in the lake already" }),
        entry(5, {
          table,
          op: "UPDATE",
          hlc: "262144",
          id: "1",
          set: set({ _seq: "-9223372036854775808" }),
        }),
        entry(6, { table: "other", op: "INSERT", hlc: "262144", id: "of another table" }),
        entry(7, {
          table,
          op: "INSERT",
          hlc: "262145",
          id: "3",
          set: set({ title: "Tea", done: false }),
        }),
      ];
      return withAnalyst({ lake, pending: pendingList([schema], { entries }) }, async (analyst) => {
        assertEquals(await rows(analyst, "SELECT * FROM todos ORDER BY id"), [
          { id: "1", title: "Milk", done: true, _seq: -(2n ** 63n) },
          { id: "3", title: "Tea", done: false, _seq: null },
        ]);
        assertEquals(
          await rows(
            analyst,
            "SELECT _seq, __seq, _columns FROM todos_changes WHERE _seq > 3 ORDER BY 1",
          ),
          [
            { _seq: 4, __seq: null, _columns: null },
            { _seq: 5, __seq: -(2n ** 63n), _columns: "_seq" },
            { _seq: 7, __seq: null, _columns: "title,done" },
          ],
        );
      });
    }));

  test("what a device has made itself is seen beside the lake and what is pending, each delta once", () =>
    withTodos((lake) => {
      const table = "todos";
      const known = entry(1, {
        table,
        op: "INSERT",
        hlc: "65536",
        id: "1",
        set: set({ title: "Milk" }),
      });
      const taken = entry(5, {
        table,
        op: "UPDATE",
        hlc: "262144",
        id: "1",
        set: set({ title: "Oats" }),
      });
      const mine = entry(0, {
        table,
        op: "INSERT",
        hlc: "262145",
        id: "3",
        set: set({ title: "Rye" }),
      });
      const own = {
        schemas: () => Promise.resolve(ok([TODOS])),
        async *read() {
          yield await Promise.resolve(ok([known, taken, mine].map(({ delta }) => delta)));
        },
      };
      const pending = pendingList([TODOS], { entries: [taken] });
      return withAnalyst({ lake, pending, own }, async (analyst) => {
        assertEquals(await rows(analyst, "SELECT id, title FROM todos ORDER BY id"), [
          { id: "1", title: "Oats" },
          { id: "3", title: "Rye" },
        ]);
        assertEquals(
          await rows(analyst, "SELECT _seq FROM todos_changes ORDER BY _seq NULLS LAST"),
          [1, 2, 3, 4, 5, null].map((_seq) => ({ _seq })),
        );
      });
    }));

  test("all of a log is pending for a lake table of another epoch", () =>
    withTodos((lake) => {
      const entries = [entry(1, { table: "todos", op: "DELETE", hlc: "999999", id: "1" })];
      const pending = pendingList([TODOS], { entries, epoch: "another" });
      return withAnalyst({ lake, pending }, async (analyst) => {
        assertEquals(await rows(analyst, "SELECT * FROM todos"), []);
        assertEquals(await rows(analyst, "SELECT count(*) AS n FROM todos_changes"), [{ n: 5 }]);
      });
    }));

  test("a query sees one snapshot of each table and plans only the tables that it names", () =>
    withTodos((lake) => {
      lake.define({ ...TODOS, table: "unused" });
      return withAnalyst({ lake }, async (analyst) => {
        await rows(
          analyst,
          "SELECT * FROM todos a JOIN todos b USING (id) JOIN todos_changes c USING (id)",
        );
        assertEquals([...lake.scans], [["todos_changes", 1]]);
      });
    }));

  test("an app's own table todos_changes keeps its name", () =>
    withTodos((lake) => {
      lake.define({ ...TODOS, table: "Todos_Changes" });
      return withAnalyst({ lake }, async (analyst) => {
        const names = ["todos", "Todos_Changes", "Todos_Changes_changes"];
        assertEquals(unwrapOrThrow(await analyst.tables()), names);
        assertEquals(await rows(analyst, "SELECT * FROM todos_changes"), []);
        assertEquals((await rows(analyst, "SELECT * FROM todos")).length, 1);
      });
    }));

  test("wrong SQL is a VALIDATION_ERROR with DuckDB's message; an unknown table names those there are", () =>
    withTodos((lake) =>
      withAnalyst({ lake }, async (analyst) => {
        for (
          const [sql, part] of [
            ["SELEC 1", "syntax error"],
            ["SELECT nope FROM todos", '"nope"'],
            ["SELECT 'x'::INTEGER", "Conversion Error"],
            ["", "Cannot run the query"],
            ["SELECT * FROM todo", "there is no table todo, there are todos, todos_changes"],
            ["SELECT $1", "parameter"],
          ] as const
        ) {
          const error = await failure(analyst, sql);
          assertEquals(error.code, "VALIDATION_ERROR", sql);
          assertStringIncludes(error.message, part);
        }
        const unbound = await failure(analyst, "SELECT $a", { params: { b: 1 } });
        assertEquals(unbound.code, "VALIDATION_ERROR");
        // What failed leaves nothing behind.
        assertEquals((await rows(analyst, "SELECT * FROM todos")).length, 1);
      })
    ));

  test("failures of the lake and of the pending deltas come through as they are", () =>
    withTodos(async (lake) => {
      const broken = err(new LakeSyncError("OFFLINE", "no lake"));
      const silent: LakeReader = {
        tables: () => Promise.resolve(broken),
        scan: (t) => lake.scan(t),
      };
      await withAnalyst({ lake: silent }, async (analyst) => {
        assertEquals(await analyst.tables(), broken);
        assertEquals((await failure(analyst, "SELECT 1")).code, "OFFLINE");
      });
      const half: LakeReader = { tables: () => lake.tables(), scan: () => Promise.resolve(broken) };
      await withAnalyst({ lake: half }, async (analyst) => {
        assertEquals((await failure(analyst, "SELECT * FROM todos")).code, "OFFLINE");
        assertEquals(await rows(analyst, "SELECT 1 AS n"), [{ n: 1 }]);
      });
      const trimmed = err(new LakeSyncError("CHECKPOINT_REQUIRED", "trimmed"));
      const pending = {
        ...pendingList([TODOS], { entries: [] }),
        async *read() {
          yield await Promise.resolve(trimmed);
        },
      };
      await withAnalyst({ lake, pending }, async (analyst) => {
        assertEquals((await failure(analyst, "SELECT * FROM todos")).code, "CHECKPOINT_REQUIRED");
      });
    }));

  test("a lake table that LakeSync did not make is CORRUPT, and only for queries that name it", () =>
    withTodos((lake) => {
      const foreign: LakeReader = {
        tables: () =>
          Promise.resolve(ok(["foreign_changes", "todos_changes", "else", "a-b_changes"])),
        scan: async (table) =>
          table === "todos_changes"
            ? await lake.scan(table)
            : ok({ ...unwrapOrThrow(await lake.scan("todos_changes")), columns: [] }),
      };
      return withAnalyst({ lake: foreign }, async (analyst) => {
        const names = ["foreign", "foreign_changes", "todos", "todos_changes"];
        assertEquals(unwrapOrThrow(await analyst.tables()), names);
        assertEquals((await failure(analyst, "SELECT * FROM foreign_changes")).code, "CORRUPT");
        assertEquals((await rows(analyst, "SELECT * FROM todos")).length, 1);
      });
    }));

  test("stream() gives all rows in chunks and can be left early", () =>
    withTodos((lake) =>
      withAnalyst({ lake }, async (analyst) => {
        const sql = "SELECT i AS n, title FROM range(5000) r(i), todos ORDER BY n";
        const { columns, chunks } = unwrapOrThrow(await analyst.stream(sql));
        assertEquals(columns, [{ name: "n", type: "BIGINT" }, { name: "title", type: "VARCHAR" }]);
        let next = 0;
        for await (const chunk of chunks) {
          assert(chunk.length > 0 && chunk.length <= 2048);
          for (const row of chunk) assertEquals(row, { n: next++, title: "Milk" });
        }
        assertEquals(next, 5000);
        for await (const chunk of unwrapOrThrow(await analyst.stream(sql)).chunks) {
          assertEquals(chunk[0]?.["n"], 0);
          break;
        }
      })
    ));

  test("a failure on the way ends a stream with a LakeSyncError", () =>
    withTodos((lake) =>
      withAnalyst({ lake }, async (analyst) => {
        const sql = "SELECT if(i < 100000, i::VARCHAR, 'x')::BIGINT AS n FROM range(200000) r(i)";
        const error = await failure(analyst, sql);
        assertEquals(error.code, "VALIDATION_ERROR");
        const stream = await analyst.stream(sql);
        if (!stream.ok) return assertEquals(stream.error.code, "VALIDATION_ERROR");
        const chunks = stream.value.chunks;
        await assertRejects(
          async () => {
            for await (const chunk of chunks) assert(chunk.length > 0);
          },
          LakeSyncError,
          "Conversion Error",
        );
      })
    ));

  test("a signal stops a query before it starts and while it runs", () =>
    withTodos((lake) =>
      withAnalyst({ lake }, async (analyst) => {
        const stopped = await failure(analyst, "SELECT 1", { signal: AbortSignal.abort() });
        assertEquals(stopped.code, "ABORTED");
        const controller = new AbortController();
        const running = failure(analyst, subject.endless, { signal: controller.signal });
        await rows(analyst, "SELECT * FROM todos");
        controller.abort();
        assertEquals((await running).code, "ABORTED");
      })
    ));

  test("close() stops what runs; afterwards everything is CLOSED", () =>
    withTodos(async (lake) => {
      const analyst = unwrapOrThrow(await subject.open({ lake }));
      const running = failure(analyst, subject.endless);
      const unread = unwrapOrThrow(await analyst.stream("SELECT * FROM todos"));
      await analyst.close();
      await analyst.close();
      assertEquals((await running).code, "CLOSED");
      assertEquals((await failure(analyst, "SELECT 1")).code, "CLOSED");
      const names = await analyst.tables();
      assertEquals(names.ok === false && names.error.code, "CLOSED");
      const late = await assertRejects(async () => {
        for await (const chunk of unread.chunks) assert(chunk.length > 0);
      }, LakeSyncError);
      assertEquals(late.code, "CLOSED");
    }));

  test("changes of one row with equal stamps are merged also where they meet between two queries", () =>
    withTodos((lake) =>
      withAnalyst({ lake }, async (analyst) => {
        const table = "todos";
        const sql = "SELECT title FROM todos";
        assertEquals(await rows(analyst, sql), [{ title: "Milk" }]);
        // As the INSERT in the first file: the client that comes later by code point wins.
        const tie = { table, op: "UPDATE", hlc: "65536", id: "1" } as const;
        const lesser = entry(5, { ...tie, by: "A", set: set({ title: "lesser" }) });
        await lake.write(table, { entries: [lesser], to: { epoch: "e", seq: 5 } });
        assertEquals(await rows(analyst, sql), [{ title: "Milk" }]);
        const greater = entry(6, { ...tie, by: "b", set: set({ title: "greater" }) });
        await lake.write(table, { entries: [greater], to: { epoch: "e", seq: 6 } });
        assertEquals(await rows(analyst, sql), [{ title: "greater" }]);
      })
    ));

  test("queries with different asOf run side by side", () =>
    withTodos((lake) =>
      withAnalyst({ lake }, async (analyst) => {
        const stamps = ["1", "65536", "131072", "196608", "196609"];
        const sql = "SELECT count(*) AS n FROM todos";
        const counts = await Promise.all(stamps.map((asOf) => rows(analyst, sql, { asOf })));
        assertEquals(counts.map(([row]) => row?.["n"]), [0, 1, 2, 2, 1]);
      })
    ));
}
