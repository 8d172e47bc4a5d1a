import { emptyRow, type JsonValue, mergeDelta, type Register, type RowState } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseStateText, stateText } from "./_state_text.ts";

/** A row that some deltas have made. */
const states: fc.Arbitrary<RowState> = fc.array(fc.record({
  op: fc.constantFrom("INSERT" as const, "UPDATE" as const, "DELETE" as const),
  hlc: fc.integer({ min: 1, max: 4 }).map(String),
  clientId: fc.constantFrom("a", "b"),
  columns: fc.uniqueArray(
    fc.record({
      column: fc.constantFrom("title", "n", "__proto__"),
      value: fc.oneof(fc.string(), fc.integer(), fc.constant(null)) as fc.Arbitrary<JsonValue>,
    }),
    { selector: ({ column }) => column },
  ),
})).map((deltas) => {
  const state = emptyRow();
  for (const { op, columns, ...stamp } of deltas) {
    mergeDelta(state, { op, ...stamp, columns: op === "DELETE" ? [] : columns });
  }
  return state;
});

test("a row's state comes back from its text, whichever stamps it has", () => {
  fc.assert(
    fc.property(states, fc.string({ minLength: 1 }), (state, rowId) => {
      const text = stateText({ rowId, state });
      assertEquals(parseStateText(text, "t"), { table: "t", rowId, state });
    }),
    { seed: 42 },
  );
});

test("a state names a stamp once for all that has it", () => {
  const state: RowState = {
    life: { alive: true, hlc: "7", clientId: "a" },
    columns: new Map([["title", ["x", "7", "a"]], ["n", [1, "8", "a"]], ["m", [2, "7", "b"]]]),
  };
  assertEquals(
    stateText({ rowId: "r", state }),
    '["r",[true,"7","a"],[["title","x"],["n",1,"8","a"],["m",2,"7","b"]]]',
  );
});

test("a state of format 1 is read, which names every stamp", () => {
  const text = '["r",[true,"7","a"],[["title","x","7","a"],["n",1,"8","b"]]]';
  assertEquals(parseStateText(text, "t").state, {
    life: { alive: true, hlc: "7", clientId: "a" },
    columns: new Map<string, Register>([["title", ["x", "7", "a"]], ["n", [1, "8", "b"]]]),
  });
});

test("a stamp that is null is the life's: versions that know format 1 alone write it so", () => {
  const text = '["r",[true,"7","a"],[["title","x",null,null],["n",1,"8","b"]]]';
  assertEquals(parseStateText(text, "t").state, {
    life: { alive: true, hlc: "7", clientId: "a" },
    columns: new Map<string, Register>([["title", ["x", "7", "a"]], ["n", [1, "8", "b"]]]),
  });
});
