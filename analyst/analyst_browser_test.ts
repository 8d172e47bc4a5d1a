/** The same tests as on servers, by DuckDB's WebAssembly in a page. */
import { err, LakeSyncError, ok } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { memoryObjectStore } from "@lakesync/testing";
import { browserSubject, DUCKDB_FILES } from "./testdata/subject_browser.ts";
import { openBrowserAnalyst } from "./mod_browser.ts";
import { testAnalyst } from "./testdata/analyst_suite.ts";
import { testMergeProperty } from "./testdata/merge_property_suite.ts";
import { testMergeTies } from "./testdata/merge_ties_suite.ts";
import { testMoments } from "./testdata/moments_suite.ts";
import { testPushdown } from "./testdata/pushdown_suite.ts";
import { testValues } from "./testdata/values_suite.ts";

const subject = await browserSubject();
testValues(subject);
testAnalyst(subject);
testMoments(subject);
testMergeTies(subject);
testMergeProperty(subject, { runs: 30 });
testPushdown(subject);

const EMPTY = {
  tables: () => Promise.resolve(ok([])),
  scan: () => Promise.resolve(err(new LakeSyncError("NOT_FOUND", "No table"))),
};

test("openBrowserAnalyst() starts DuckDB from the app's files, and says where they are missing", async () => {
  const options = { lake: EMPTY, store: memoryObjectStore() };
  const opened = await openBrowserAnalyst({ ...options, ...DUCKDB_FILES });
  assert(opened.ok);
  const params = ["ä;b", 2n ** 62n];
  const answer = await opened.value.query("SELECT 'é;' AS a; SELECT $1 AS b, $2 AS c;", { params });
  assert(answer.ok);
  assertEquals(answer.value.rows.map((row) => ({ ...row })), [{ b: "ä;b", c: 2n ** 62n }]);
  await opened.value.close();
  const missing = await openBrowserAnalyst({ ...options, ...DUCKDB_FILES, wasm: "/none.wasm" });
  assertEquals(missing.ok ? undefined : missing.error.code, "NOT_FOUND");
});

test("a query that DuckDB does not stop is ended by close()", async () => {
  const options = { lake: EMPTY, store: memoryObjectStore(), ...DUCKDB_FILES };
  const opened = await openBrowserAnalyst(options);
  assert(opened.ok);
  const sql = "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c " +
    "WHERE a.range + b.range * c.range = -1";
  const running = opened.value.query(sql);
  await opened.value.tables();
  await opened.value.close();
  const closed = await running;
  assertEquals(closed.ok ? undefined : closed.error.code, "CLOSED");
});
