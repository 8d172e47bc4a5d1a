import { ok, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import type { AnalystSubject } from "./subject.ts";
import type { Analyst } from "../analyst.ts";
import type { QueryParam, QueryValue } from "../values.ts";

const NO_LAKE = {
  tables: () => Promise.resolve(ok([])),
  scan: () => Promise.reject(new Error("not asked")),
};

/** Registers tests of what values go in and come out. */
export function testValues(subject: AnalystSubject): void {
  async function withAnalyst(use: (analyst: Analyst) => Promise<void>): Promise<void> {
    const analyst = unwrapOrThrow(await subject.open({ lake: NO_LAKE }));
    try {
      await use(analyst);
    } finally {
      await analyst.close();
    }
  }

  test("each DuckDB type comes out in its one form", () =>
    withAnalyst(async (analyst) => {
      const cases: (readonly [sql: string, value: QueryValue])[] = [
        ["9007199254740991::BIGINT", 9007199254740991],
        ["9007199254740992::BIGINT", 9007199254740992n],
        ["(-9223372036854775808)::BIGINT", -(2n ** 63n)],
        ["18446744073709551615::UBIGINT", 2n ** 64n - 1n],
        ["sum(5::BIGINT)", 5],
        ["7::TINYINT", 7],
        ["0.1::DOUBLE", 0.1],
        ["'-0'::DOUBLE", -0],
        ["1.50", 1.5],
        ["123456789012345.678::DECIMAL(38,3)", "123456789012345.678"],
        ["-0.000000000000001::DECIMAL(18,15)", -1e-15],
        ["'2026-01-02 03:04:05.000006+00'::TIMESTAMPTZ", "2026-01-02T03:04:05.000006Z"],
        ["'1969-12-31 23:59:59.999999+00'::TIMESTAMPTZ", "1969-12-31T23:59:59.999999Z"],
        ["'0001-01-01 00:00:00+00'::TIMESTAMPTZ", "0001-01-01T00:00:00.000000Z"],
        ["'infinity'::TIMESTAMPTZ", "infinity"],
        ["'2026-01-02 03:04:05.000006'::TIMESTAMP", "2026-01-02T03:04:05.000006"],
        ["'2026-01-02 03:04:05+00'::TIMESTAMPTZ::TIMESTAMP::DATE", "2026-01-02"],
        ["'\\x00\\xFF'::BLOB", new Uint8Array([0, 255])],
        ["''::BLOB", new Uint8Array()],
        ["chr(0) || 'é😀'", "\u0000é😀"],
        ["true", true],
        ["NULL", null],
        ["[1::BIGINT, NULL, 9007199254740993]", [1, null, 9007199254740993n]],
        ["{'a': 1, 'b': ['x']}", { a: 1, b: ["x"] }],
        ["MAP {'a': 1::BIGINT}", [["a", 1]]],
        ["'a5f0a1de-0000-4000-8000-000000000000'::UUID", "a5f0a1de-0000-4000-8000-000000000000"],
        ["INTERVAL 1 MONTH", "1 month"],
      ];
      for (const [sql, value] of cases) {
        const { rows } = unwrapOrThrow(await analyst.query(`SELECT ${sql} AS v`));
        assertEquals<unknown>(rows, [{ v: value }], sql);
      }
    }));

  test("parameters keep their values and types", () =>
    withAnalyst(async (analyst) => {
      const cases: (readonly [param: QueryParam, type: string, value: QueryValue])[] = [
        [null, '"NULL"', null],
        [true, "BOOLEAN", true],
        [42, "BIGINT", 42],
        [1.5, "DOUBLE", 1.5],
        [1e300, "DOUBLE", 1e300],
        [2n ** 62n, "BIGINT", 2n ** 62n],
        [2n ** 64n, "HUGEINT", 2n ** 64n],
        ["it's", "VARCHAR", "it's"],
        [new Uint8Array([1, 0]), "BLOB", new Uint8Array([1, 0])],
        [new Date(1), "TIMESTAMP WITH TIME ZONE", "1970-01-01T00:00:00.001000Z"],
      ];
      for (const [param, type, value] of cases) {
        const sql = "SELECT typeof($1) AS type, $1 AS value";
        const { rows } = unwrapOrThrow(await analyst.query(sql, { params: [param] }));
        assertEquals<unknown>(rows, [{ type, value }], type);
      }
      const named = await analyst.query("SELECT $a - $b AS n", { params: { b: 2, a: 44 } });
      assertEquals(unwrapOrThrow(named).rows, [{ n: 42 }]);
      await assertRejects(
        () => analyst.query("SELECT $1", { params: [new Date(NaN)] }),
        TypeError,
        "date is invalid",
      );
    }));

  test("columns whose names come twice, or are names of JavaScript's own, keep their values", () =>
    withAnalyst(async (analyst) => {
      const sql = `SELECT 1 AS a, 2 AS a, 3 AS "__proto__", 4 AS "__proto__", 5 AS constructor`;
      const { columns, rows } = unwrapOrThrow(await analyst.query(sql));
      const names = ["a", "a:1", "__proto__", "__proto__:1", "constructor"];
      assertEquals(columns.map(({ name }) => name), names);
      assertEquals(rows.map((row) => names.map((name) => row[name])), [[1, 2, 3, 4, 5]]);
    }));

  test("several statements give the rows of the last, also where DuckDB makes one into several", () =>
    withAnalyst(async (analyst) => {
      const sql =
        "CREATE TEMP TABLE t AS SELECT * FROM (VALUES ('x', 1), ('y', 2)) v(k, n); PIVOT t ON k USING sum(n)";
      assertEquals(unwrapOrThrow(await analyst.query(sql)).rows, [{ x: 1, y: 2 }]);
    }));
}
