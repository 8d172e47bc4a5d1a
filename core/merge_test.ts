import { assert, assertEquals, assertFalse } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import type { Delta } from "./delta.ts";
import { canonicalJson, type JsonValue } from "./json.ts";
import {
  cloneRow,
  compareStamps,
  emptyRow,
  isVisible,
  type Life,
  mergeDelta,
  type MergeEffect,
  mergeState,
  type Register,
  type RowState,
  type Stamp,
} from "./merge.ts";

type Change = Pick<Delta, "op" | "hlc" | "clientId" | "columns">;

// Few stamps, so that many are equal; "9" and "10" order otherwise as text, and so do the last two
// clients as UTF-16.
const hlc = fc.constantFrom("1", "9", "10", "18446744073709551615");
const clientId = fc.constantFrom("a", "ab", "\u{FF5E}", "\u{1F600}");
const value = fc.constantFrom<JsonValue>(
  null,
  0,
  2,
  10,
  "",
  "\u{FF5E}",
  "\u{1F600}",
  true,
  [],
  [1, { a: null }],
  { a: 1, b: 2 },
  { b: 2, a: 1 },
  { a: 9 },
);
const columns = fc.uniqueArray(
  fc.record({ column: fc.constantFrom("x", "y", "__proto__"), value }),
  { selector: ({ column }) => column, maxLength: 3 },
);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ op: fc.constantFrom("INSERT", "UPDATE"), hlc, clientId, columns }),
  fc.record({ op: fc.constant("DELETE"), hlc, clientId, columns: fc.constant([]) }),
);
const changes = fc.array(change, { maxLength: 6 });

function merged(changes: readonly Change[]): RowState {
  const state = emptyRow();
  for (const change of changes) mergeDelta(state, change);
  return state;
}

/** One text for one state, whatever the order of its columns and of the keys in its values. */
function print(state: RowState): string {
  const life = state.life === undefined
    ? null
    : [state.life.alive, state.life.hlc, state.life.clientId];
  return canonicalJson([life, Object.fromEntries(state.columns)]);
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) =>
    permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest])
  );
}

// The oracle: PROTOCOL's paragraph on merge, word by word, over the whole set of deltas at once.

const codePoints = (text: string): number[] => Array.from(text, (c) => c.codePointAt(0)!);

function compareText(a: string, b: string): number {
  const [x, y] = [codePoints(a), codePoints(b)];
  const i = x.findIndex((point, i) => point !== y[i]);
  if (i < 0) return x.length - y.length;
  return i >= y.length ? 1 : x[i]! - y[i]!;
}

/** "Stamp = (hlc, clientId), hlc first, then clientId by code point." */
function naiveCompare(a: Stamp, b: Stamp): number {
  const difference = BigInt(a.hlc) - BigInt(b.hlc);
  if (difference !== 0n) return difference < 0n ? -1 : 1;
  return compareText(a.clientId, b.clientId);
}

function oracle(changes: readonly Change[]): RowState {
  const state = emptyRow();
  // "INSERT writes alive and its columns, UPDATE its columns only, DELETE writes dead." "The
  // greater stamp wins; at equal stamps dead wins over alive."
  const lives = changes.filter(({ op }) => op !== "UPDATE").map(({ op, hlc, clientId }): Life => ({
    alive: op === "INSERT",
    hlc,
    clientId,
  }));
  lives.sort((a, b) => naiveCompare(a, b) || Number(b.alive) - Number(a.alive));
  const life = lives.at(-1);
  state.life = life;
  // "… and the greater canonical JSON text (by code point) wins among values."
  for (const column of new Set(changes.flatMap(({ columns }) => columns.map((c) => c.column)))) {
    const registers = changes.flatMap((change) =>
      change.columns.filter((c) => c.column === column).map((c): Register => [
        c.value,
        change.hlc,
        change.clientId,
      ])
    );
    const stampOf = ([, hlc, clientId]: Register): Stamp => ({ hlc, clientId });
    registers.sort((a, b) =>
      naiveCompare(stampOf(a), stampOf(b)) || compareText(canonicalJson(a[0]), canonicalJson(b[0]))
    );
    const register = registers.at(-1)!;
    // "A column register older than the row's life stamp counts for nothing and is dropped."
    if (life === undefined || naiveCompare(stampOf(register), life) >= 0) {
      state.columns.set(column, register);
    }
  }
  return state;
}

/** What differs between two states of a row, as far as `written` columns go. */
function difference(before: RowState, after: RowState, written: readonly string[]): MergeEffect {
  const text = (item: unknown) => item === undefined ? "" : canonicalJson(item as JsonValue);
  const life = (state: RowState) => state.life && { ...state.life };
  return {
    life: text(life(before)) !== text(life(after)),
    columns: written.filter((column) =>
      after.columns.has(column) &&
      text(before.columns.get(column)) !== text(after.columns.get(column))
    ),
  };
}

test("compareStamps() orders by hlc as a number, then by clientId by code point", () => {
  const stamp = fc.record({ hlc, clientId });
  fc.assert(
    fc.property(stamp, stamp, (a, b) => {
      assertEquals(Math.sign(compareStamps(a, b)), Math.sign(naiveCompare(a, b)));
    }),
    { seed: 42, numRuns: 500 },
  );
  assert(compareStamps({ hlc: "10", clientId: "a" }, { hlc: "9", clientId: "b" }) > 0);
  assert(
    compareStamps({ hlc: "1", clientId: "\u{1F600}" }, { hlc: "1", clientId: "\u{FF5E}" }) > 0,
  );
});

test("mergeDelta() agrees with an oracle that knows all deltas at once", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      assertEquals(print(merged(changes)), print(oracle(changes)));
    }),
    { seed: 42, numRuns: 3_000 },
  );
});

test("mergeDelta() gives one state for all orders of up to six deltas", () => {
  fc.assert(
    fc.property(changes, (changes) => {
      const expected = print(oracle(changes));
      for (const order of permutations(changes)) {
        if (print(merged(order)) !== expected) {
          assertEquals(print(merged(order)), expected, JSON.stringify(order));
        }
      }
    }),
    { seed: 42, numRuns: 150 },
  );
});

test("mergeDelta() gives one state for all 720 orders of six deltas with one stamp", () => {
  const same = { hlc: "5", clientId: "a" };
  const changes: Change[] = [
    { ...same, op: "INSERT", columns: [{ column: "x", value: { b: 1, a: 2 } }] },
    { ...same, op: "INSERT", columns: [{ column: "x", value: { a: 2, b: 1 } }] },
    { ...same, op: "DELETE", columns: [] },
    { ...same, op: "UPDATE", columns: [{ column: "x", value: null }] },
    { ...same, op: "UPDATE", columns: [{ column: "y", value: "\u{1F600}" }] },
    { ...same, op: "UPDATE", columns: [{ column: "y", value: "\u{FF5E}" }] },
  ];
  const orders = permutations(changes);
  assertEquals(orders.length, 720);
  assertEquals([...new Set(orders.map((order) => print(merged(order))))], [
    print({
      life: { ...same, alive: false },
      columns: new Map([["x", [{ a: 2, b: 1 }, "5", "a"]], ["y", ["\u{1F600}", "5", "a"]]]),
    }),
  ]);
});

test("mergeDelta() gives one state however often deltas are repeated", () => {
  fc.assert(
    fc.property(changes, fc.array(fc.nat({ max: 5 }), { maxLength: 20 }), (changes, again) => {
      const repeated = [...changes, ...again.flatMap((i) => changes[i] ?? [])];
      assertEquals(print(merged(repeated)), print(oracle(changes)));
      const state = merged(changes);
      for (const change of changes) {
        assertEquals(mergeDelta(state, change), { life: false, columns: [] });
      }
    }),
    { seed: 42, numRuns: 1_000 },
  );
});

test("mergeDelta() says what won: exactly what differs between the row before and after", () => {
  fc.assert(
    fc.property(changes, change, (changes, change) => {
      const before = merged(changes);
      const after = cloneRow(before);
      const effect = mergeDelta(after, change);
      const written = change.columns.map(({ column }) => column);
      assertEquals(effect, difference(before, after, written));
      for (const [column, register] of before.columns) {
        if (written.includes(column) || after.columns.has(column)) continue;
        assert(
          effect.life && naiveCompare({ hlc: register[1], clientId: register[2] }, change) < 0,
        );
      }
    }),
    { seed: 42, numRuns: 3_000 },
  );
});

test("mergeDelta() leaves no register that is older than the row's life", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const { life, columns } = merged(changes);
      for (const [, hlc, clientId] of columns.values()) {
        assert(life === undefined || naiveCompare({ hlc, clientId }, life) >= 0);
      }
    }),
    { seed: 42, numRuns: 500 },
  );
});

test("mergeState() of two parts is the merge of all their deltas, whatever they share", () => {
  fc.assert(
    fc.property(changes, changes, changes, (only, shared, other) => {
      const state = merged([...only, ...shared]);
      mergeState(state, merged([...shared, ...other]));
      assertEquals(print(state), print(oracle([...only, ...shared, ...other])));
    }),
    { seed: 42, numRuns: 2_000 },
  );
});

test("mergeState() commutes, associates and is idempotent", () => {
  const joined = (...parts: RowState[]): RowState => {
    const state = emptyRow();
    for (const part of parts) mergeState(state, part);
    return state;
  };
  fc.assert(
    fc.property(changes, changes, changes, (first, second, third) => {
      const [a, b, c] = [merged(first), merged(second), merged(third)];
      assertEquals(print(joined(a, b)), print(joined(b, a)));
      assertEquals(print(joined(joined(a, b), c)), print(joined(a, joined(b, c))));
      assertEquals(print(joined(a, a)), print(a));
      assertEquals(mergeState(cloneRow(a), a), { life: false, columns: [] });
    }),
    { seed: 42, numRuns: 1_000 },
  );
});

test("mergeState() says what won and leaves the other state as it is", () => {
  fc.assert(
    fc.property(changes, changes, (first, second) => {
      const before = merged(first);
      const other = merged(second);
      const after = cloneRow(before);
      const effect = mergeState(after, other);
      assertEquals(effect, difference(before, after, [...other.columns.keys()]));
      assertEquals(print(other), print(merged(second)));
    }),
    { seed: 42, numRuns: 1_000 },
  );
});

test("an UPDATE makes no row: it waits for an INSERT that is not newer", () => {
  const state = merged([{
    op: "UPDATE",
    hlc: "5",
    clientId: "a",
    columns: [{ column: "x", value: 1 }],
  }]);
  assertEquals(state.life, undefined);
  assertFalse(isVisible(state));
  mergeDelta(state, { op: "INSERT", hlc: "4", clientId: "a", columns: [] });
  assert(isVisible(state));
  assertEquals(state.columns.get("x"), [1, "5", "a"]);
});

test("a re-INSERT starts clean and an UPDATE that lost to a DELETE stays lost", () => {
  const state = merged([
    {
      op: "INSERT",
      hlc: "1",
      clientId: "a",
      columns: [{ column: "x", value: 1 }, { column: "y", value: 1 }],
    },
    { op: "DELETE", hlc: "3", clientId: "a", columns: [] },
    { op: "UPDATE", hlc: "2", clientId: "b", columns: [{ column: "x", value: 2 }] },
    { op: "INSERT", hlc: "4", clientId: "a", columns: [{ column: "y", value: 4 }] },
  ]);
  assertEquals(state, {
    life: { alive: true, hlc: "4", clientId: "a" },
    columns: new Map<string, Register>([["y", [4, "4", "a"]]]),
  });
});

test("an UPDATE newer than the DELETE stays on the dead row and shows after an INSERT between", () => {
  const state = merged([
    { op: "DELETE", hlc: "3", clientId: "a", columns: [] },
    { op: "UPDATE", hlc: "9", clientId: "b", columns: [{ column: "x", value: 9 }] },
  ]);
  assertFalse(isVisible(state));
  mergeDelta(state, {
    op: "INSERT",
    hlc: "5",
    clientId: "a",
    columns: [{ column: "x", value: 5 }],
  });
  assertEquals(state.columns.get("x"), [9, "9", "b"]);
  assert(isVisible(state));
});

test("null is a value that wins over older ones", () => {
  const state = merged([
    { op: "INSERT", hlc: "1", clientId: "a", columns: [{ column: "x", value: 1 }] },
    { op: "UPDATE", hlc: "2", clientId: "a", columns: [{ column: "x", value: null }] },
  ]);
  assertEquals(state.columns.get("x"), [null, "2", "a"]);
});

test("cloneRow() makes a state that changes alone", () => {
  const state = merged([{
    op: "INSERT",
    hlc: "1",
    clientId: "a",
    columns: [{ column: "x", value: 1 }],
  }]);
  const copy = cloneRow(state);
  assertEquals(copy, state);
  mergeDelta(copy, {
    op: "INSERT",
    hlc: "2",
    clientId: "a",
    columns: [{ column: "y", value: 2 }],
  });
  assertEquals(state, {
    life: { alive: true, hlc: "1", clientId: "a" },
    columns: new Map<string, Register>([["x", [1, "1", "a"]]]),
  });
});

test("emptyRow() makes a fresh state each time", () => {
  emptyRow().columns.set("x", [1, "1", "a"]);
  assertEquals(emptyRow(), { life: undefined, columns: new Map() });
});

test("isVisible() is true for a living row only", () => {
  assertFalse(isVisible(undefined));
  assertFalse(isVisible(emptyRow()));
  const stamp = { hlc: "1", clientId: "a" };
  assertFalse(isVisible({ life: { ...stamp, alive: false }, columns: new Map() }));
  assert(isVisible({ life: { ...stamp, alive: true }, columns: new Map() }));
});
