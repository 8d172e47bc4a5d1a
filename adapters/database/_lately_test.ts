import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { Lately, MergedStates } from "./_lately.ts";

function merged(states: { readonly [row: string]: string }): MergedStates {
  const made = new MergedStates(true);
  for (const [rowId, text] of Object.entries(states)) made.set("t", { rowId, text });
  return made;
}

const taken = (lately: Lately, through: number) => {
  const found = lately.take("t", through);
  return found === undefined ? undefined : [found.after, Object.fromEntries(found.states)];
};

test("Lately gives a table's newest states once, as of the last place alone", () => {
  const lately = new Lately();
  lately.add(merged({ a: "a1", b: "b1" }), { after: 0, through: 2 });
  lately.add(merged({ a: "a2" }), { after: 2, through: 3 });
  assertEquals(taken(lately, 2), undefined);
  assertEquals(taken(lately, 3), [0, { a: "a2", b: "b1" }]);
  assertEquals(taken(lately, 3), undefined);
  lately.add(merged({ c: "c1" }), { after: 3, through: 4 });
  assertEquals(taken(lately, 4), [3, { c: "c1" }]);
});

test("Lately forgets what was before somebody else wrote, and before a batch that was not kept", () => {
  const lately = new Lately();
  lately.add(merged({ a: "a1" }), { after: 0, through: 1 });
  lately.add(merged({ b: "b1" }), { after: 5, through: 6 });
  assertEquals(taken(lately, 6), [5, { b: "b1" }]);
  lately.add(merged({ a: "a1" }), { after: 6, through: 7 });
  const left = new MergedStates(false);
  left.set("t", { rowId: "a", text: "a2" });
  lately.add(left, { after: 7, through: 8 });
  assertEquals(taken(lately, 8), undefined);
});

test("Lately keeps no more than some megabytes", () => {
  const lately = new Lately();
  const large = "x".repeat(20 * 1024 * 1024);
  lately.add(merged({ a: large }), { after: 0, through: 1 });
  lately.add(merged({ b: large }), { after: 1, through: 2 });
  assertEquals(lately.take("t", 2)?.states.size, 1);
  lately.add(merged({ a: large, b: large }), { after: 2, through: 3 });
  assertEquals(lately.take("t", 3), undefined);
});
