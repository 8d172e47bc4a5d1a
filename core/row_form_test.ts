import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import { emptyRow, type Register, type RowState } from "./merge.ts";
import { decodeRow, encodeRow } from "./row_form.ts";

test("decodeRow() undoes encodeRow(), also through JSON text", () => {
  const stamp = fc.tuple(
    fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String),
    fc.string({ unit: "binary", minLength: 1 }),
  );
  const register = fc.tuple(fc.jsonValue({ stringUnit: "binary" }), stamp).map((
    [value, stamp],
  ): Register => [JSON.parse(JSON.stringify(value)), ...stamp]);
  const name = fc.oneof(
    fc.constantFrom("__proto__", "constructor", "toString", "hlc"),
    fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/),
  );
  const state = fc.record({
    life: stamp.map(([hlc, clientId]) => ({ alive: true, hlc, clientId })),
    columns: fc.array(fc.tuple(name, register)).map((columns) => new Map(columns)),
  });
  fc.assert(
    fc.property(state, fc.string({ unit: "binary" }), (state, rowId) => {
      const row = encodeRow({ table: "t", rowId, state });
      assertEquals([row.table, row.rowId], ["t", rowId]);
      assertEquals(decodeRow(row), state);
      assertEquals(decodeRow(JSON.parse(JSON.stringify(row))), state);
    }),
    { seed: 42, numRuns: 300 },
  );
});

test("encodeRow() makes __proto__ a column like any other", () => {
  const state: RowState = {
    life: { alive: true, hlc: "1", clientId: "a" },
    columns: new Map<string, Register>([["__proto__", [1, "1", "a"]]]),
  };
  assertEquals(
    JSON.stringify(encodeRow({ table: "t", rowId: "r", state })),
    '{"table":"t","rowId":"r","life":["1","a"],"columns":{"__proto__":[1,"1","a"]}}',
  );
});

test("encodeRow() throws TypeError for a row that is not alive", () => {
  const dead: RowState = {
    life: { alive: false, hlc: "1", clientId: "a" },
    columns: new Map(),
  };
  for (const state of [emptyRow(), dead]) {
    assertThrows(
      () => encodeRow({ table: "t", rowId: "r", state }),
      TypeError,
      'Cannot encode row "r"',
    );
  }
});
