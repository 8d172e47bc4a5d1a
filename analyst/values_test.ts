import { ok, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { rowsOf } from "./testdata/subject.ts";
import { NATIVE } from "./testdata/subject_native.ts";
import { testValues } from "./testdata/values_suite.ts";

testValues(NATIVE);

test("where DuckDB has its extensions json and icu, their types come out, too", async () => {
  const lake = {
    tables: () => Promise.resolve(ok([])),
    scan: () => Promise.reject(new Error("not asked")),
  };
  const analyst = unwrapOrThrow(await NATIVE.open({ lake }));
  const sql = `SELECT '{"a": 1}'::JSON AS json, '2026-01-02 03:04:05+00'::TIMESTAMPTZ::DATE AS day`;
  assertEquals(await rowsOf(analyst, sql), [{ json: '{"a": 1}', day: "2026-01-02" }]);
  await analyst.close();
});
