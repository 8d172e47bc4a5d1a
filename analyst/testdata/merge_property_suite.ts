import fc from "fast-check";
import {
  type AppValue,
  canonicalJson,
  type ColumnSchema,
  compareCodePoints,
  compareHlc,
  emptyRow,
  type FlushEntry,
  fromWire,
  isVisible,
  type JsonValue,
  mergeDelta,
  type RowState,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { type AnalystSubject, entry, pendingList } from "./subject.ts";
import type { QueryRow } from "../values.ts";

// Every type, and names that could be taken for something else: JavaScript's, SQL's, the lake's own,
// a part of another one, and those that the merge's query might use.
const SCHEMA: TableSchema = {
  table: "t",
  version: 1,
  columns: [
    { name: "name", type: "string" },
    { name: "__proto__", type: "number" },
    { name: "constructor", type: "integer" },
    { name: "_hlc", type: "boolean" },
    { name: "__SEQ", type: "timestamp" },
    { name: "select", type: "bytes" },
    { name: "h0", type: "json" },
    { name: "life", type: "string" },
    { name: "alive", type: "integer" },
    { name: "names", type: "number" },
  ],
};

// Values whose canonical texts order differently from themselves, beside one that is null.
const VALUES: Readonly<Record<string, readonly JsonValue[]>> = {
  string: [
    "",
    "a",
    "a!",
    'a"',
    "a\\",
    "a\u0000",
    "a\u001f",
    "a\u007f",
    "B",
    "\u{ff5e}",
    "\u{1f600}",
    "é",
  ],
  number: [0, 1, 10, 9, -1, -10, 1e21, 1e20, 1.5e-7, 0.000001, 2.5, 2 ** 806, 5e-324, -2.5e22],
  integer: [0, 10, 9, -1, -10, "9007199254740993", "-9223372036854775808", 9007199254740991],
  boolean: [true, false],
  timestamp: [
    "2026-01-01T00:00:00.000001Z",
    "1969-12-31T23:59:59.999999Z",
    "0000-01-01T00:00:00.000000Z",
    "9999-12-31T23:59:59.999999Z",
  ],
  bytes: ["", "AA==", "AQ==", "AQI=", "+/8=", "////", "/w=="],
  json: [{ a: [1, null] }, [], "x", 1, true, { "": "\u{1f600}" }],
};

const columnArb = fc.constantFrom(...SCHEMA.columns).chain((column) =>
  fc.tuple(
    fc.constant(column.name),
    fc.oneof(
      { weight: 1, arbitrary: fc.constant<JsonValue>(null) },
      { weight: 5, arbitrary: fc.constantFrom<JsonValue>(...VALUES[column.type]!) },
    ),
  )
);

// Few rows, clients and stamps, so that ties of every kind come up.
const changeArb = fc.record({
  op: fc.constantFrom("INSERT" as const, "UPDATE" as const, "UPDATE" as const, "DELETE" as const),
  hlc: fc.oneof(
    fc.integer({ min: 1, max: 6 }).map(String),
    fc.constantFrom("115579322367967232", "9223372036854775807"),
  ),
  id: fc.constantFrom("r", "s", "\u{1f600}"),
  by: fc.constantFrom("a", "b", "\u{ff5e}", "\u{1f600}"),
  columns: fc.uniqueArray(columnArb, { selector: ([name]) => name, maxLength: 4 }),
});

function oracle(entries: readonly FlushEntry[], asOf: string | undefined): QueryRow[] {
  const rows = new Map<string, RowState>();
  for (const { delta } of entries) {
    if (asOf !== undefined && compareHlc(delta.hlc, asOf) > 0) continue;
    const state = rows.get(delta.rowId) ?? emptyRow();
    rows.set(delta.rowId, state);
    mergeDelta(state, delta);
  }
  return [...rows]
    .filter(([, state]) => isVisible(state))
    .sort(([a], [b]) => compareCodePoints(a, b))
    .map(([id, state]) =>
      Object.fromEntries([
        ["id", id],
        ...SCHEMA.columns.map((column) => [
          column.name,
          shown(column, state.columns.get(column.name)?.[0] ?? null),
        ]),
      ])
    );
}

function shown(column: ColumnSchema, value: JsonValue): AppValue {
  return column.type === "json" && value !== null ? canonicalJson(value) : fromWire(column, value);
}

/** Registers the test that any deltas merge as core merges them. */
export function testMergeProperty(subject: AnalystSubject, { runs }: { runs: number }): void {
  test("rows by SQL are the merge of the deltas, now and as of any stamp, flushed or not", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(changeArb, { maxLength: 24 }),
        fc.array(fc.nat({ max: 24 }), { minLength: 1, maxLength: 3 }),
        fc.constantFrom("1", "3", "4", "115579322367967231", "18446744073709551615"),
        (changes, cuts, asOf) =>
          subject.withLake(async (lake) => {
            const entries = changes.map(({ columns, ...change }, i) =>
              entry(i + 1, {
                ...change,
                set: new Map(change.op === "DELETE" ? [] : columns),
              })
            );
            lake.define(SCHEMA);
            let flushed = 0;
            for (const cut of cuts.sort((a, b) => a - b)) {
              const part = entries.slice(flushed, cut);
              flushed += part.length;
              await lake.write("t", { entries: part, to: { epoch: "e", seq: flushed } });
            }
            // The source gives everything: what is in the lake already must not count twice.
            const pending = pendingList([SCHEMA], { entries });
            const analyst = unwrapOrThrow(await subject.open({ lake, pending }));
            try {
              const sql = "SELECT * FROM t ORDER BY id";
              const now = unwrapOrThrow(await analyst.query(sql));
              assertEquals(now.rows, oracle(entries, undefined));
              const then = unwrapOrThrow(await analyst.query(sql, { asOf }));
              assertEquals(then.rows, oracle(entries, asOf));
              const count = unwrapOrThrow(
                await analyst.query("SELECT count(*) AS n FROM t_changes"),
              );
              assertEquals(count.rows, [{ n: entries.length }]);
            } finally {
              await analyst.close();
            }
          }),
      ),
      { seed: 42, numRuns: runs },
    ));
}
