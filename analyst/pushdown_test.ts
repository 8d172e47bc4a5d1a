import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { NATIVE } from "./testdata/subject_native.ts";
import { testPushdown, withRemote } from "./testdata/pushdown_suite.ts";

testPushdown(NATIVE);

test("where DuckDB has its extension icu, a day taken of _commit_ts chooses files, too", () =>
  withRemote(NATIVE, { keptBytes: 0 }, async ({ fetched }) => {
    for (
      const [where, places] of [
        ["_commit_ts::DATE = '2026-01-02'", [1]],
        ["date_trunc('day', _commit_ts) = DATE '2026-01-02'", [1]],
        ["_commit_ts > now() - INTERVAL 1 DAY", [0, 1, 2, 3]],
      ] as const
    ) {
      const sql = `SELECT count(*) FROM todos_changes WHERE ${where}`;
      assertEquals(await fetched(sql), places, where);
    }
  }));
