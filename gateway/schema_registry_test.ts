import { assertEquals } from "@std/assert";
import { err, LakeSyncError, type LogStore, type TableSchema, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { SchemaRegistry } from "./schema_registry.ts";
import { memoryLogStore } from "./store_memory.ts";
import { PROTO, storeWith, TODOS } from "./testdata/fixture.ts";

async function open(store: LogStore = memoryLogStore()): Promise<SchemaRegistry> {
  return unwrapOrThrow(await SchemaRegistry.open(store));
}

async function codeOfPut(registry: SchemaRegistry, value: unknown): Promise<string> {
  const put = await registry.put(value);
  return put.ok ? "ok" : put.error.code;
}

test("SchemaRegistry starts without tables at version 0", async () => {
  const registry = await open();
  const { tables, version, index } = registry.known;
  assertEquals([tables, version, index.size], [[], 0, 0]);
});

test("SchemaRegistry keeps a set, its index and its greatest version, also over a restart", async () => {
  const store = memoryLogStore();
  const tables = [{ ...TODOS, version: 3 }, PROTO];
  const put = await (await open(store)).put({ tables });
  assertEquals(unwrapOrThrow(put), tables);
  const { known } = await open(store);
  assertEquals([known.tables, known.version], [tables, 3]);
  assertEquals(known.index.get("__proto__")?.columns.has("constructor"), true);
});

const widened: TableSchema = {
  ...TODOS,
  version: 2,
  columns: [
    { ...TODOS.columns[0]!, nullable: true },
    ...TODOS.columns.slice(1),
    { name: "due", type: "timestamp", nullable: true },
  ],
};
const without = (name: string): TableSchema => ({
  ...TODOS,
  version: 2,
  columns: TODOS.columns.filter((column) => column.name !== name),
});
const changes: [title: string, tables: unknown, code: string][] = [
  ["the same set", [TODOS, PROTO], "ok"],
  ["a table more", [TODOS, PROTO, { table: "tags", version: 1, columns: [] }], "ok"],
  ["a nullable column more, and one that became nullable", [widened, PROTO], "ok"],
  ["another order", [PROTO, TODOS], "ok"],
  ["a table less", [TODOS], "CONFLICT"],
  ["a column less", [without("note"), PROTO], "CONFLICT"],
  ["a higher version alone", [{ ...TODOS, version: 2 }, PROTO], "ok"],
  ["a column of another type", [
    { ...TODOS, version: 2, columns: [{ name: "title", type: "json" }, ...TODOS.columns.slice(1)] },
    PROTO,
  ], "CONFLICT"],
  ["a new column that must not be null", [
    { ...TODOS, version: 2, columns: [...TODOS.columns, { name: "due", type: "timestamp" }] },
    PROTO,
  ], "CONFLICT"],
  ["a column more under the same version", [{ ...widened, version: 1 }, PROTO], "ok"],
  ["no list", { todos: TODOS }, "VALIDATION_ERROR"],
  ["a table that is none", [null], "VALIDATION_ERROR"],
  [
    "a table twice, but for its case",
    [TODOS, PROTO, { ...TODOS, table: "Todos" }],
    "VALIDATION_ERROR",
  ],
];
for (const [title, tables, code] of changes) {
  test(`SchemaRegistry.put() of ${title}: ${code}`, async () => {
    const registry = await open();
    unwrapOrThrow(await registry.put({ tables: [TODOS, PROTO] }));
    assertEquals(await codeOfPut(registry, { tables }), code);
    if (code !== "ok") assertEquals(registry.known.tables, [TODOS, PROTO]);
  });
}

test("SchemaRegistry.put() refuses what is not { tables }", async () => {
  const registry = await open();
  for (const value of [null, 1, "x", [], {}, { table: [] }, [TODOS]]) {
    assertEquals(await codeOfPut(registry, value), "VALIDATION_ERROR");
  }
});

const a: TableSchema = { table: "a", version: 1, columns: [] };
const b: TableSchema = { table: "b", version: 1, columns: [] };

test("SchemaRegistry.put() judges concurrent sets of several instances one after the other", async () => {
  const store = memoryLogStore();
  const [one, two] = [await open(store), await open(store)];
  const codes = await Promise.all([
    codeOfPut(one, { tables: [a] }),
    codeOfPut(two, { tables: [b] }),
    codeOfPut(two, { tables: [a, b] }),
  ]);
  assertEquals(codes, ["ok", "CONFLICT", "ok"]);
  assertEquals(two.known.tables, [a, b]);
});

test("SchemaRegistry.current() shows what another instance put, and is the known set where nothing changed", async () => {
  const store = memoryLogStore();
  const [one, two] = [await open(store), await open(store)];
  const before = two.known;
  assertEquals(unwrapOrThrow(await two.current()) === before, true);
  unwrapOrThrow(await one.put({ tables: [a] }));
  assertEquals(two.known.tables, []);
  const current = unwrapOrThrow(await two.current());
  assertEquals([current.tables, current.index.has("a")], [[a], true]);
  assertEquals(two.known === current, true);
});

test("SchemaRegistry.put() changes nothing when the store fails", async () => {
  const failure = err(new LakeSyncError("STORAGE_ERROR", "The disk is full"));
  const store = storeWith(memoryLogStore(), { append: () => Promise.resolve(failure) });
  const registry = await open(store);
  assertEquals(await codeOfPut(registry, { tables: [TODOS] }), "STORAGE_ERROR");
  assertEquals(registry.known.tables, []);
});

test("SchemaRegistry.open() refuses a stored set that is damaged", async () => {
  const store = memoryLogStore();
  unwrapOrThrow(await store.setValue("schema", "[{"));
  const opened = await SchemaRegistry.open(store);
  assertEquals(opened.ok || opened.error.code, "CORRUPT");
});

test("what many ask for in one turn is read once, and none misses what was put before", async () => {
  const store = memoryLogStore();
  const other = await open(store);
  let reads = 0;
  const registry = await open(storeWith(store, {
    getValue: (key) => {
      reads++;
      return store.getValue(key);
    },
  }));
  for (const tables of [[TODOS], [TODOS, PROTO]]) {
    unwrapOrThrow(await other.put({ tables }));
    reads = 0;
    const asked = await Promise.all(Array.from({ length: 1_000 }, () => registry.current()));
    for (const set of asked) assertEquals(unwrapOrThrow(set).tables, tables);
    assertEquals(reads, 1);
  }
});
