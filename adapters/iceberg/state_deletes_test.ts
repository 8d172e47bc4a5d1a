import fc from "fast-check";
import { type Delta, unwrapOrThrow } from "@lakesync/core";
import { memoryObjectStore, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { filesCatalogue } from "./catalogue_files.ts";
import { compactTable } from "./compact.ts";
import { currentSnapshot } from "./metadata.ts";
import { addDeletes, encodeDeletes } from "./state_deletes.ts";
import {
  deltas,
  flushDeltas,
  manyRows,
  oracle,
  readState,
  visible,
} from "./testdata/state_rows.ts";

test("Positions come back as they were written, in the order that Iceberg wants", async () => {
  const positions = new Map([["file:///b", [7, 3]], ["file:///a", [0, 2 ** 40]]]);
  const { bytes, rows } = encodeDeletes(positions);
  const known = new Map<string, Set<number>>();
  await addDeletes(bytes, known);
  assertEquals(rows, 4);
  assertEquals([...known].map(([path, set]) => [path, [...set]]), [
    ["file:///a", [0, 2 ** 40]],
    ["file:///b", [3, 7]],
  ]);
});

test("With positions, rows are the merge too, and files stay while few of their rows are gone", async () => {
  let stayed = 0;
  let rewritten = 0;
  const changes = fc.array(
    fc.tuple(deltas, fc.nat(49)).map(([delta, row]): Delta => ({ ...delta, rowId: `row ${row}` })),
    { minLength: 1, maxLength: 3 },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(changes, { minLength: 2, maxLength: 8 }), async (batches) => {
      const store = memoryObjectStore();
      const compact = async () => {
        const options = { store, table: "all", buckets: 2, deletes: "positions" } as const;
        return unwrapOrThrow(await compactTable(options));
      };
      const all: Delta[] = manyRows(50);
      await flushDeltas(store, all, { after: 0 });
      await compact();
      for (const batch of batches) {
        await flushDeltas(store, batch, { after: all.length });
        all.push(...batch);
        await compact();
        assertEquals(await readState(store, "all"), visible(oracle(all)));
        const version = unwrapOrThrow(await filesCatalogue(store).load("all"))!;
        const { summary } = currentSnapshot(version.metadata)!;
        if (summary["added-position-deletes"] !== undefined) stayed++;
        if (summary["removed-position-deletes"] !== undefined) rewritten++;
      }
      assertEquals((await compact()).status, "current");
    }),
    { seed: 42, numRuns: 30 },
  );
  assert(stayed > 20 && rewritten > 5, `${stayed} stayed, ${rewritten} rewritten`);
});
