import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type LakeSyncError, unwrapOrThrow } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { entry, pendingList, rowsOf as rows, TestLake } from "./testdata/subject.ts";
import { NATIVE, placeIn } from "./testdata/subject_native.ts";
import { type Analyst, type AnalystOptions, openAnalyst } from "./mod.ts";
import { set, writeTodos } from "./testdata/todos.ts";
import { testAnalyst } from "./testdata/analyst_suite.ts";

async function withAnalyst(
  options: AnalystOptions,
  use: (analyst: Analyst) => Promise<void>,
): Promise<void> {
  const analyst = unwrapOrThrow(await openAnalyst({ threads: 1, ...options }));
  try {
    await use(analyst);
  } finally {
    await analyst.close();
  }
}

/** A lake with `todos`, and what is written to it. */
async function withTodos(
  use: (lake: TestLake, files: string[]) => Promise<void>,
): Promise<void> {
  await withTempDir(async (directory) => {
    const lake = new TestLake(placeIn(directory));
    await writeTodos(lake);
    const scan = unwrapOrThrow(await lake.scan("todos_changes"));
    lake.scans.clear();
    await use(lake, scan.files.map((file) => fileURLToPath(file.url)));
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

testAnalyst(NATIVE);

test("asOf does not open files whose changes are all newer", () =>
  withTodos((lake, files) =>
    withAnalyst({ lake }, async (analyst) => {
      await rows(analyst, "SELECT * FROM todos");
      await rm(files[1]!);
      assertEquals((await rows(analyst, "FROM todos", { asOf: "131072" })).length, 2);
      assertEquals((await failure(analyst, "FROM todos")).code, "STORAGE_ERROR");
    })
  ));

test("json columns are text that DuckDB's JSON functions take", () =>
  withTempDir(async (directory) => {
    const lake = new TestLake(placeIn(directory));
    lake.define({ table: "t", version: 1, columns: [{ name: "tags", type: "json" }] });
    const op = "INSERT";
    const entries = [entry(1, { op, hlc: "1", set: set({ tags: { b: ["x", "y"], a: 1 } }) })];
    await lake.write("t", { entries, to: { epoch: "e", seq: 1 } });
    const pending = pendingList([{
      table: "t",
      version: 1,
      columns: [{ name: "tags", type: "json" }],
    }], {
      entries: [entry(2, { id: "s", op, hlc: "1", set: set({ tags: { b: ["z"], a: 2 } }) })],
    });
    await withAnalyst({ lake, pending }, async (analyst) => {
      assertEquals(
        await rows(analyst, "SELECT tags, tags->>'$.b[0]' AS first FROM t ORDER BY id"),
        [
          { tags: '{"a":1,"b":["x","y"]}', first: "x" },
          { tags: '{"a":2,"b":["z"]}', first: "z" },
        ],
      );
    });
  }));

test("nothing is downloaded for what DuckDB has no extension for", () =>
  withTodos((lake) =>
    withAnalyst({ lake, locate: () => "https://lake.invalid/a.parquet" }, async (analyst) => {
      assertStringIncludes((await failure(analyst, "SELECT * FROM todos")).message, "httpfs");
    })
  ));

test("close() lets queries that are just starting end with CLOSED or their rows", () =>
  withTodos(async (lake) => {
    for (let ticks = 0; ticks < 40; ticks++) {
      const analyst = unwrapOrThrow(await openAnalyst({ lake, threads: 1 }));
      const running = Array.from({ length: 4 }, () => analyst.query("SELECT id FROM todos"));
      for (let i = 0; i < ticks; i++) await Promise.resolve();
      await analyst.close();
      for (const answer of await Promise.all(running)) {
        if (answer.ok) assertEquals(answer.value.rows, [{ id: "1" }]);
        else assertEquals(answer.error.code, "CLOSED");
      }
    }
  }));

test("openAnalyst() refuses what DuckDB refuses", () =>
  withTempDir(async (directory) => {
    const lake = new TestLake(placeIn(directory));
    const opened = await openAnalyst({ lake, memoryLimit: "a lot" });
    assertEquals(opened.ok === false && opened.error.code, "VALIDATION_ERROR");
    await withAnalyst({ lake, memoryLimit: "300MB" }, async (analyst) => {
      const [row] = await rows(analyst, "SELECT current_setting('memory_limit') AS m");
      assertEquals(row, { m: "286.1 MiB" });
    });
  }));
