import { type Destination, type FlushOutcome, unwrapOrThrow, type Watermark } from "@lakesync/core";
import {
  faultyObjectStore,
  memoryObjectStore,
  type StoreFault,
  type StoreOperation,
  test,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { icebergDestination } from "./destination.ts";
import { icebergLake } from "./lake.ts";
import { loadTable, putVersion } from "./table.ts";
import { allKeys, entries, flush, readSeqs } from "./testdata/lake_rows.ts";

const SEQS = Array.from({ length: 6 }, (_, i) => i + 1);

/** A lake with seqs 1 to 3, behind a store on which later operations may go wrong. */
async function lakeWith(fault: (operation: StoreOperation) => StoreFault | undefined) {
  const inner = memoryObjectStore();
  await flush(icebergDestination({ store: inner }), entries(1, 3));
  const store = faultyObjectStore(inner, fault);
  return { inner, store, destination: icebergDestination({ store }) };
}

const from: Watermark = { epoch: "e", seq: 3 };

/** Does what a gateway does: tries from the newest watermark until everything is there. */
async function settle(destination: Destination): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const watermark = unwrapOrThrow(await destination.watermarks(["todos"])).get("todos");
    const next = (watermark?.seq ?? 0) + 1;
    if (next > 6) return;
    await flush(destination, entries(next, 6), { from: watermark });
  }
}

/** How many operations a flush of seqs 4 to 6 takes when nothing goes wrong. */
async function operationsOfFlush(): Promise<string[]> {
  const operations: string[] = [];
  const { destination } = await lakeWith(({ name, key }) => {
    operations.push(`${name} ${key}`);
    return undefined;
  });
  const outcome = (await flush(destination, entries(4, 6), { from })).get("todos");
  assertEquals(outcome?.status, "committed");
  return operations;
}

test("a process that dies before any operation of a flush loses and doubles nothing", async () => {
  const { length } = await operationsOfFlush();
  assert(length >= 6);
  for (let dead = 1; dead <= length; dead++) {
    const { inner, destination } = await lakeWith(({ count }) =>
      count >= dead ? "fail" : undefined
    );
    await flush(destination, entries(4, 6), { from });
    await settle(icebergDestination({ store: inner }));
    assertEquals(await readSeqs(inner, "todos_changes"), SEQS, `dead at ${dead}`);
  }
});

test("a lost answer of any operation of a flush loses and doubles nothing", async () => {
  const operations = await operationsOfFlush();
  for (let lost = 1; lost <= operations.length; lost++) {
    const { store, destination } = await lakeWith(({ count }) =>
      count === lost ? "lose-answer" : undefined
    );
    await flush(destination, entries(4, 6), { from });
    await settle(destination);
    assertEquals(await readSeqs(store, "todos_changes"), SEQS, `lost ${operations[lost - 1]}`);
  }
});

test("a failure of any operation of a flush is told, and leaves no data behind", async () => {
  const operations = await operationsOfFlush();
  const before = await allKeys((await lakeWith(() => undefined)).inner);
  for (const [i, operation] of operations.entries()) {
    const { inner, destination } = await lakeWith(({ count }) =>
      count === i + 1 ? "fail" : undefined
    );
    const outcome = (await flush(destination, entries(4, 6), { from })).get("todos");
    if (outcome?.status === "committed") {
      // Only the hint, and the commit itself and the look behind it, which are tried twice, may fail.
      assert(/(put|head) .*(version-hint|metadata\.json)/.test(operation), operation);
      continue;
    }
    assertEquals(codeOf(outcome), "STORAGE_ERROR");
    assertEquals((await allKeys(inner)).length, before.length, operation);
    await settle(icebergDestination({ store: inner }));
    assertEquals(await readSeqs(inner, "todos_changes"), SEQS);
  }
});

test("a commit whose answer is lost twice is found by its watermark; no file is removed", async () => {
  const { inner, destination } = await lakeWith(({ name, key }) =>
    name === "put" && key.endsWith("v2.metadata.json") ? "lose-answer" : undefined
  );
  // The first put was done: the second finds the very same metadata there.
  const outcome = (await flush(destination, entries(4, 6), { from })).get("todos");
  assertEquals(outcome?.status, "committed");
  assertEquals(await readSeqs(inner, "todos_changes"), SEQS);

  let committing = false;
  const blind = await lakeWith(({ name, key }) => {
    if (!key.endsWith("v2.metadata.json")) return undefined;
    committing ||= name === "put";
    return committing ? "lose-answer" : undefined;
  });
  const unknown = (await flush(blind.destination, entries(4, 6), { from })).get("todos");
  assertEquals(codeOf(unknown), "STORAGE_ERROR");
  assertEquals(await readSeqs(blind.inner, "todos_changes"), SEQS);
  const retry = await flush(icebergDestination({ store: blind.inner }), entries(4, 6), { from });
  assertEquals(retry.get("todos"), { status: "moved", watermark: { epoch: "e", seq: 6 } });
});

test("a disk that is full at any put leaves the table as it was", async () => {
  const puts = (await operationsOfFlush()).filter((operation) => operation.startsWith("put"));
  for (const put of puts) {
    const kind = /parquet|-m0|snap|v2\.metadata|hint/.exec(put)![0];
    const { inner, destination } = await lakeWith(({ name, key }) =>
      name === "put" && key.includes(kind) ? { fullAfterBytes: 20 } : undefined
    );
    const outcome = (await flush(destination, entries(4, 6), { from })).get("todos");
    if (kind === "hint") {
      assertEquals(outcome?.status, "committed");
      continue;
    }
    assertEquals(codeOf(outcome), "STORAGE_ERROR");
    assertEquals(await readSeqs(inner, "todos_changes"), [1, 2, 3]);
    await settle(icebergDestination({ store: inner }));
    assertEquals(await readSeqs(inner, "todos_changes"), SEQS);
  }
});

test("two destinations that race on a table double nothing and lose nothing", async () => {
  for (let round = 0; round < 5; round++) {
    const store = memoryObjectStore();
    const writers = Array.from({ length: 4 }, () => icebergDestination({ store }));
    if (round > 0) await flush(writers[0]!, entries(1, 3));
    const start = round > 0 ? from : undefined;
    const list = entries(round > 0 ? 4 : 1, 6);
    const outcomes = await Promise.all(
      writers.map((writer) => flush(writer, list, { from: start })),
    );
    const statuses = outcomes.map((outcome) => outcome.get("todos")?.status).sort();
    assertEquals(statuses, ["committed", "moved", "moved", "moved"]);
    assertEquals(await readSeqs(store, "todos_changes"), SEQS);
    // What the losers wrote is gone.
    const scan = unwrapOrThrow(await icebergLake({ store }).scan("todos_changes"));
    const data = (await allKeys(store)).filter((key) => key.endsWith(".parquet"));
    assertEquals(data.sort(), scan.files.map(({ key }) => key).sort());
  }
});

test("a destination whose commit was overtaken tells the new watermark", async () => {
  const inner = memoryObjectStore();
  await flush(icebergDestination({ store: inner }), entries(1, 3));
  let overtake: Promise<void> | undefined;
  const store = faultyObjectStore(inner, ({ name, key }) => {
    if (name !== "put" || !key.endsWith("v2.metadata.json")) return undefined;
    overtake ??= flush(icebergDestination({ store: inner }), entries(4, 5), { from }).then(
      () => {},
    );
    return { after: overtake };
  });
  const outcome = await flush(icebergDestination({ store }), entries(4, 6), { from });
  assertEquals(outcome.get("todos"), { status: "moved", watermark: { epoch: "e", seq: 5 } });
  await settle(icebergDestination({ store }));
  assertEquals(await readSeqs(inner, "todos_changes"), SEQS);
});

test("a destination overtaken by a commit that leaves the watermark commits on top of it", async () => {
  const inner = memoryObjectStore();
  await flush(icebergDestination({ store: inner }), entries(1, 3));
  const { metadata } = unwrapOrThrow(await loadTable(inner, "todos_changes"))!;
  // What maintenance would do: another version, the same data, the same watermark.
  const tidied = { ...metadata, properties: { ...metadata.properties, tidied: "yes" } };
  const overtake = Promise.withResolvers<void>();
  const store = faultyObjectStore(inner, ({ name, key }) => {
    if (name !== "put" || !key.endsWith("v2.metadata.json")) return undefined;
    putVersion(inner, "todos_changes", { number: 2, metadata: tidied })
      .then(() => overtake.resolve());
    return { after: overtake.promise };
  });
  const outcome = await flush(icebergDestination({ store }), entries(4, 6), { from });
  assertEquals(outcome.get("todos")?.status, "committed");
  const newest = unwrapOrThrow(await loadTable(inner, "todos_changes"))!;
  assertEquals(newest.number, 3);
  assertEquals(newest.metadata.properties.tidied, "yes");
  assertEquals(await readSeqs(inner, "todos_changes"), SEQS);
  // The metadata of the first try is gone; each commit has a manifest and a manifest list.
  const avro = (await allKeys(inner)).filter((key) => key.endsWith(".avro"));
  assertEquals(avro.length, 4);
});

function codeOf(outcome: FlushOutcome | undefined): string {
  return outcome?.status === "failed" ? outcome.error.code : `not failed: ${outcome?.status}`;
}
