import fc from "fast-check";
import { type Delta, unwrapOrThrow } from "@lakesync/core";
import { memoryObjectStore, test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { filesCatalogue } from "./catalogue_files.ts";
import { compactTable } from "./compact.ts";
import { branchFiles } from "./compact_files.ts";
import type { DeleteForm } from "./compact_write.ts";
import { currentSnapshot } from "./metadata.ts";
import { decodePositions, encodePositions } from "./roaring.ts";
import { addDeletes, encodeDeletes } from "./state_deletes.ts";
import { decodeVector, VectorFile } from "./state_vectors.ts";
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

test("A set of positions comes back as it was, whatever its containers are", () => {
  const near = fc.uniqueArray(fc.nat(200_000), { maxLength: 40 });
  const far = fc.uniqueArray(fc.nat(2 ** 40), { maxLength: 10 });
  const dense = fc.nat(70_000).map((from) => Array.from({ length: 9_000 }, (_, i) => from + i));
  fc.assert(
    fc.property(near, far, fc.option(dense), (...lists) => {
      const all = new Set(lists.flatMap((list) => list ?? []));
      const positions = [...all].sort((a, b) => a - b);
      assertEquals(decodePositions(encodePositions(positions)), positions);
    }),
    { seed: 42 },
  );
});

test("A set with runs, as other engines write them, is read", () => {
  // One container of key 0 with two runs: 3 to 5, and 9.
  const runs = [0x3b, 0x30, 0, 0, 1, 0, 0, 3, 0, 2, 0, 3, 0, 2, 0, 9, 0, 0, 0];
  const bytes = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...runs);
  assertEquals(decodePositions(bytes), [3, 4, 5, 9]);
});

test("A vector of which a bit is another is not taken for one", () => {
  const file = new VectorFile();
  file.add({ path: "file:///a", bucket: 0, positions: [7, 3, 7] });
  const { bytes, entries: [entry] } = file.encode();
  const start = Number(entry!.contentOffset);
  const blob = bytes.slice(start, start + Number(entry!.contentSize));
  assertEquals([decodeVector(blob), entry!.rows], [[3, 7], 2n]);
  for (let i = 0; i < blob.length; i++) {
    blob[i]! ^= 1;
    assertThrows(() => decodeVector(blob), RangeError);
    blob[i]! ^= 1;
  }
});

/** Random changes of fifty rows, each folded in with one of the forms. */
function histories(forms: readonly DeleteForm[]): fc.Arbitrary<[Delta[], DeleteForm][]> {
  const changes = fc.array(
    fc.tuple(deltas, fc.nat(49)).map(([delta, row]): Delta => ({ ...delta, rowId: `row ${row}` })),
    { minLength: 1, maxLength: 3 },
  );
  return fc.array(fc.tuple(changes, fc.constantFrom(...forms)), { minLength: 2, maxLength: 8 });
}

for (const form of ["positions", "vectors", "equality", "all by turns"] as const) {
  const name =
    `With deletes as ${form}, rows are the merge, and files stay while few rows are gone`;
  const forms = form === "all by turns" ? ["positions", "vectors", "equality"] as const : [form];
  test(name, async () => {
    let stayed = 0;
    let rewritten = 0;
    await fc.assert(
      fc.asyncProperty(histories(forms), async (history) => {
        const store = memoryObjectStore();
        const compact = async (deletes: DeleteForm) =>
          unwrapOrThrow(await compactTable({ store, table: "all", buckets: 2, deletes }));
        const all: Delta[] = manyRows(50);
        await flushDeltas(store, all, { after: 0 });
        await compact(forms[0]);
        for (const [batch, deletes] of history) {
          await flushDeltas(store, batch, { after: all.length });
          all.push(...batch);
          await compact(deletes);
          assertEquals(await readState(store, "all"), visible(oracle(all)));
          const version = unwrapOrThrow(await filesCatalogue(store).load("all"))!;
          const { summary } = currentSnapshot(version.metadata)!;
          if (summary["added-delete-files"] !== undefined) stayed++;
          if (summary["deleted-data-files"] !== "0") rewritten++;
        }
        assertEquals((await compact(forms[0])).status, "current");
      }),
      { seed: 42, numRuns: 30 },
    );
    assert(stayed > 20 && rewritten > 5, `${stayed} stayed, ${rewritten} rewritten`);
  });
}

test("Each row of a table with vectors has an id of its own, and a row that stays keeps it", async () => {
  const store = memoryObjectStore();
  const compact = async () =>
    unwrapOrThrow(await compactTable({ store, table: "all", buckets: 2, deletes: "vectors" }));
  const all: Delta[] = manyRows(50);
  await flushDeltas(store, all, { after: 0 });
  await compact();
  const known = new Map<string, bigint>();
  for (let round = 0; round < 6; round++) {
    const batch = manyRows(2).map((delta): Delta => ({ ...delta, hlc: String(round + 9) }));
    await flushDeltas(store, batch, { after: all.length });
    all.push(...batch);
    await compact();
    const { metadata } = unwrapOrThrow(await filesCatalogue(store).load("all"))!;
    const branch = { table: "all", metadata, branch: "main" };
    const { data } = unwrapOrThrow(await branchFiles(filesCatalogue(store), branch));
    const files = [...data.values()].flat().map(({ file }) => file);
    const ids = files.flatMap(({ firstRowId, rows }) =>
      Array.from({ length: Number(rows) }, (_, i) => firstRowId! + BigInt(i))
    );
    assertEquals(new Set(ids).size, ids.length);
    assert(ids.every((id) => id < metadata["next-row-id"]!));
    for (const { path, firstRowId } of files) {
      assertEquals(known.get(path) ?? firstRowId, firstRowId);
      known.set(path, firstRowId!);
    }
    const last = metadata.snapshots.at(-1)!;
    assertEquals(last["first-row-id"]! + last["added-rows"]!, metadata["next-row-id"]);
  }
});
