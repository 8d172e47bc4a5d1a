import { filesCatalogue, icebergDestination } from "@lakesync/adapter-iceberg";
import { memoryObjectStore } from "@lakesync/adapter-memory";
import {
  defineTable,
  integer,
  type JsonValue,
  type ObjectStore,
  type Source,
  type SourceChange,
  string,
  type TableSchema,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import { createGateway, type Gateway, memoryLogStore } from "@lakesync/gateway";
import { recordSource } from "@lakesync/adapter-sources";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { icebergSource } from "./iceberg_source.ts";

const notes: TableSchema = defineTable("notes", {
  text: string(),
  n: integer().nullable(),
  at: timestamp().nullable(),
}).schema;
const others: TableSchema = defineTable("others", { text: string() }).schema;

const AT = "2026-01-02T03:04:05.678901Z";

const upsert = (rowId: string, text: string, n: number | null = null): SourceChange => ({
  op: "upsert",
  table: "notes",
  rowId,
  columns: new Map<string, JsonValue>([["text", text], ["n", n], ["at", AT]]),
});
const remove = (rowId: string): SourceChange => ({
  op: "delete",
  table: "notes",
  rowId,
  columns: new Map(),
});

/** A gateway over a lake, and what puts changes into it. */
async function lakeOf(store: ObjectStore): Promise<{
  gateway: Gateway;
  put: (...changes: SourceChange[]) => Promise<void>;
}> {
  const gateway = unwrapOrThrow(
    await createGateway({
      id: "default",
      store: memoryLogStore(),
      tables: [notes, others],
      destinations: [icebergDestination({ store })],
    }),
  );
  let made = 0;
  const put = async (...changes: SourceChange[]) => {
    const name = `s${++made}`;
    const source = recordSource({ name, records: () => changes, change: (change) => change });
    unwrapOrThrow(await gateway.ingest(source));
    unwrapOrThrow(await gateway.flush());
  };
  return { gateway, put };
}

/** What a reading gives from a cursor on, a text a change, and the cursor behind it. */
async function read(
  source: Source,
  cursor: string | undefined,
  batches = Infinity,
): Promise<{ changes: string[]; cursor: string | undefined }> {
  const changes: string[] = [];
  for await (const batch of source.read({ cursor })) {
    const { value } = { value: unwrapOrThrow(batch) };
    for (const { op, rowId, columns } of value.changes) {
      changes.push(`${op} ${rowId} ${[...columns.values()].join(",")}`);
    }
    cursor = value.cursor;
    if (--batches === 0) break;
  }
  return { changes, cursor };
}

test("icebergSource() gives the rows as they are, and then those that later commits touched", async () => {
  const store = memoryObjectStore();
  const { gateway, put } = await lakeOf(store);
  const source = icebergSource({
    name: "lake",
    catalogue: filesCatalogue(store),
    tables: [notes, others],
  });
  assertEquals(await read(source, undefined), { changes: [], cursor: undefined });
  await put(upsert("a", "one", 1), upsert("b", "two"), upsert("c", "three"), remove("c"));
  const first = await read(source, undefined);
  assertEquals(first.changes, [`upsert a one,1,${AT}`, `upsert b two,,${AT}`]);
  assertEquals(await read(source, first.cursor), { changes: [], cursor: first.cursor });
  await put(upsert("a", "uno", null), remove("b"));
  const second = await read(source, first.cursor);
  assertEquals(second.changes, [`upsert a uno,,${AT}`, "delete b "]);
  await put(upsert("b", "again"));
  const third = await read(source, second.cursor);
  assertEquals(third.changes, [`upsert b again,,${AT}`]);
  await gateway.close();
});

test("icebergSource() goes on within a reading that was stopped, whatever was committed meanwhile", async () => {
  const store = memoryObjectStore();
  const { gateway, put } = await lakeOf(store);
  const source = icebergSource({
    name: "lake",
    catalogue: filesCatalogue(store),
    tables: [notes],
    batchSize: 2,
  });
  await put(...["a", "b", "c", "d", "e"].map((rowId) => upsert(rowId, "old")));
  const begun = await read(source, undefined, 1);
  assertEquals(begun.changes.length, 2);
  await put(upsert("a", "new"), upsert("e", "new"));
  const rest = await read(source, begun.cursor);
  assertEquals(rest.changes, [`upsert c old,,${AT}`, `upsert d old,,${AT}`, `upsert e new,,${AT}`]);
  const next = await read(source, rest.cursor);
  assertEquals(next.changes, [`upsert a new,,${AT}`, `upsert e new,,${AT}`]);
  assertEquals((await read(source, next.cursor)).changes, []);
  await gateway.close();
});

test("icebergSource() refuses a cursor that is not its own", async () => {
  const source = icebergSource({
    name: "lake",
    catalogue: filesCatalogue(memoryObjectStore()),
    tables: [notes],
  });
  const strange = ["", "x", "1", "{}", '[["notes",{}]]', '[["notes",{"from":{"at":"x","seq":1}}]]'];
  for (const cursor of strange) {
    for await (const batch of source.read({ cursor })) {
      assert(!batch.ok);
      assertEquals(batch.error.code, "VALIDATION_ERROR");
    }
  }
});
