import fc from "fast-check";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import type { Cell } from "./_cells.ts";
import { ChangeList, type Changes } from "./compact_change_list.ts";
import { PartedChanges } from "./compact_parted.ts";

const text = fc.string({ unit: "grapheme" });
const columns: readonly fc.Arbitrary<Cell>[] = [
  fc.oneof(text, fc.constant(null)),
  fc.oneof(fc.constantFrom("few", "", "\u{1f600}"), fc.constant(null)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.oneof(fc.bigInt({ min: -9n, max: 9n }), fc.constant(null)),
  fc.oneof(fc.double({ noNaN: true }), fc.constant(null)),
  fc.oneof(fc.boolean(), fc.constant(null)),
  fc.oneof(fc.uint8Array({ maxLength: 4 }), fc.constant(null)),
];

const change = fc.record({
  bucket: fc.nat({ max: 6 }),
  id: text,
  hlc: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  carried: fc.oneof(fc.constantFrom("a", "a,b"), fc.constant(null)),
  cells: fc.tuple(...columns),
});

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function changesOf(list: readonly Change[]): Changes {
  return {
    bucket: list.map(({ bucket }) => bucket),
    id: list.map(({ id }) => id),
    op: list.map(() => "UPDATE"),
    hlc: list.map(({ hlc }) => hlc),
    clientId: list.map(() => "alice"),
    carried: list.map(({ carried }) => carried),
    cells: columns.map((_, i) => list.map(({ cells }) => cells[i]!)),
  };
}

test("Changes that are parted by groups come back as they were, in their order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(change, { maxLength: 90, size: "max" }), { maxLength: 3 }),
      async (batches) => {
        const groupOf = (bucket: number) => bucket >> 1;
        const parted = await PartedChanges.open(columns.length);
        try {
          for (const batch of batches) await parted.add(changesOf(batch), groupOf);
          const all = batches.flat();
          const groups = [...parted.groups()].sort();
          assertEquals(groups, [...new Set(all.map(({ bucket }) => groupOf(bucket)))].sort());
          for (const group of groups) {
            const expected = new ChangeList(columns.length);
            expected.addAll(changesOf(all.filter(({ bucket }) => groupOf(bucket) === group)));
            assertEquals(await parted.read(group), expected);
          }
        } finally {
          await parted.close();
        }
      },
    ),
    { seed: 42, numRuns: 30 },
  );
});
