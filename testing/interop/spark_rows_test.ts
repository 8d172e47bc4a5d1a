import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import {
  compactTable,
  duckdbEngine,
  icebergDestination,
  maintainLake,
  streamingEngine,
} from "@lakesync/adapter-iceberg";
import {
  type Delta,
  emptyRow,
  type FlushEntry,
  isVisible,
  mergeDelta,
  type ObjectStore,
  type RowState,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { fileObjectStore, JARS, Prng, test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { needsPython, runPython } from "./_python.ts";

const jar = join(JARS, "spark", "iceberg-spark.jar");
const skip = needsPython("pyspark") ??
  (existsSync(jar) ? undefined : `needs ${jar} (deno run -A testing/fetch_jars.ts)`);

/** Runs statements of SQL on a lake without a catalogue, and prints the rows of each. */
const SCRIPT = `
import json, sys
from pyspark.sql import SparkSession
jar, warehouse, statements = sys.argv[1:]
spark = (SparkSession.builder.master("local[1]")
  .config("spark.jars", jar)
  .config("spark.ui.enabled", "false")
  .config("spark.driver.memory", "700m")
  .config("spark.sql.shuffle.partitions", "1")
  .config("spark.sql.extensions",
          "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
  .config("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
  .config("spark.sql.catalog.lake.type", "hadoop")
  .config("spark.sql.catalog.lake.warehouse", warehouse)
  .getOrCreate())
results = [[list(row) for row in spark.sql(one).collect()] for one in json.loads(statements)]
spark.stop()
print(json.dumps(results))
`;

const DOCS = new URL("../../docs/lake.md", import.meta.url);

const schema: TableSchema = {
  table: "todos",
  version: 1,
  columns: [
    { name: "title", type: "string" },
    { name: "done", type: "boolean" },
    { name: "n", type: "integer", nullable: true },
  ],
};

function spark(warehouse: string, statements: readonly string[]): readonly unknown[][] {
  const java = process.env.LAKESYNC_JAVA;
  const env = java === undefined ? {} : { JAVA_HOME: dirname(dirname(java)) };
  const args = [jar, warehouse, JSON.stringify(statements)];
  return runPython(SCRIPT, args, { env }) as unknown[][];
}

/** The statement of SQL that the documentation has under a first line. */
function documented(title: string): string {
  const blocks = readFileSync(DOCS, "utf8").split("```sql\n").slice(1);
  const block = blocks.map((text) => text.split("```")[0]!)
    .find((text) => text.startsWith(`-- ${title}\n`));
  if (block === undefined) throw new Error(`docs/lake.md has no SQL "${title}"`);
  return block.replace(/;\s*$/, "");
}

/** Random deltas whose stamps differ, as those that clients make do. */
function someDeltas(
  random: Prng,
  { first, count }: { first: number; count: number },
): Delta[] {
  return Array.from({ length: count }, (_, i): Delta => {
    const op = random.pick(["INSERT", "INSERT", "UPDATE", "UPDATE", "UPDATE", "DELETE"] as const);
    const values = [
      { column: "title", value: random.pick(["Milk", "Brot 🍞", "é", ""]) },
      { column: "done", value: random.pick([true, false]) },
      { column: "n", value: random.pick([1, -5, null]) },
    ];
    const columns = op === "INSERT" ? values : op === "DELETE" ? [] : [random.pick(values)];
    return {
      op,
      table: "todos",
      rowId: `r${random.int(0, 11)}`,
      clientId: random.pick(["alice", "bob"]),
      hlc: String((BigInt(random.int(0, 49)) << 16n) + BigInt(first + i)),
      columns,
      deltaId: "",
    };
  });
}

async function flush(
  store: ObjectStore,
  list: readonly Delta[],
  { after }: { after: number },
): Promise<void> {
  async function* entries(): AsyncGenerator<FlushEntry[]> {
    await Promise.resolve();
    yield list.map((delta, i) => ({ seq: after + i + 1, at: 1_790_000_000_000, delta }));
  }
  const from = after === 0 ? undefined : { epoch: "e", seq: after };
  const outcomes = unwrapOrThrow(
    await icebergDestination({ store }).write({
      id: `batch ${after}`,
      to: { epoch: "e", seq: after + list.length },
      tables: new Map([["todos", { schema, from }]]),
      entries: entries(),
    }),
  );
  assertEquals(outcomes.get("todos")?.status, "committed");
}

/** The rows that deltas amount to, by the merge that clients use. */
function merged(all: readonly Delta[]): unknown[] {
  const rows = new Map<string, RowState>();
  for (const delta of all) {
    const row = rows.get(delta.rowId) ?? emptyRow();
    rows.set(delta.rowId, row);
    mergeDelta(row, delta);
  }
  return [...rows].filter(([, row]) => isVisible(row))
    .map(([id, { columns }]) => [
      id,
      ...["title", "done", "n"].map((name) => columns.get(name)?.[0] ?? null),
    ])
    .sort(([a], [b]) => String(a) < String(b) ? -1 : 1);
}

/** How rows come to be as they are, each in a lake of its own: which engine, which deletes. */
const CASES = [
  ["duckdb", "rewrite"],
  ["streaming", "positions"],
  ["streaming", "vectors"],
  ["streaming", "equality"],
] as const;

test({
  name: "Spark reads current rows however it is told which are gone, and what DuckDB wrote",
  skip,
  timeoutMs: 400_000,
}, async () => {
  await withTempDir(async (directory) => {
    const random = new Prng(7);
    const all = new Map<string, readonly Delta[]>();
    for (const [engineName, deletes] of CASES) {
      const name = `${engineName}_${deletes}`;
      const store = fileObjectStore({ directory: join(directory, name) });
      const engine = engineName === "duckdb" ? (await duckdbEngine())! : streamingEngine();
      const list = manyInserts(400);
      await flush(store, list, { after: 0 });
      const compact = async () =>
        unwrapOrThrow(await compactTable({ store, table: "todos", deletes, buckets: 2, engine }));
      await compact();
      for (let round = 0; round < 3; round++) {
        const more = someDeltas(random, { first: 1 + 12 * round, count: 12 })
          .map((delta) => ({ ...delta, hlc: String(BigInt(delta.hlc) + (1n << 32n)) }));
        await flush(store, more, { after: list.length });
        list.push(...more);
        await compact();
      }
      all.set(name, list);
    }
    const names = [...all.keys()];
    const rows = spark(
      directory,
      names.map((name) => `SELECT id, title, done, n FROM lake.${name}.todos ORDER BY id`),
    );
    for (const [i, name] of names.entries()) assertEquals(rows[i], merged(all.get(name)!), name);
    const deleteFiles = spark(
      directory,
      names.map((name) =>
        `SELECT DISTINCT content, file_format FROM lake.${name}.todos.all_delete_files`
      ),
    );
    assertEquals(deleteFiles, [[], [[1, "PARQUET"]], [[1, "PUFFIN"]], [[2, "PARQUET"]]]);
  });
});

/** So many rows as they are made. */
function manyInserts(count: number): Delta[] {
  return Array.from({ length: count }, (_, i): Delta => ({
    op: "INSERT",
    table: "todos",
    rowId: `r${i}`,
    clientId: "zoe",
    hlc: String(i + 1),
    columns: [
      { column: "title", value: `title ${i}` },
      { column: "done", value: false },
      { column: "n", value: i },
    ],
    deltaId: "",
  }));
}

test({
  name: "Spark reads current rows, and the documented SQL makes the same of the changelog",
  skip,
  timeoutMs: 400_000,
}, async () => {
  await withTempDir(async (directory) => {
    const store = fileObjectStore({ directory });
    const random = new Prng(42);
    const all = someDeltas(random, { first: 1, count: 40 });
    const rows = (table: string) => `SELECT id, title, done, n FROM ${table} ORDER BY id`;
    await flush(store, all, { after: 0 });
    unwrapOrThrow(await maintainLake({ store }));
    const [ours, , theirs] = spark(directory, [
      rows("lake.todos"),
      documented("Spark: all rows anew"),
      rows("lake.todos_rows"),
    ]);
    assertEquals(ours, merged(all));
    assertEquals(theirs, merged(all));
    const more = someDeltas(random, { first: 41, count: 30 });
    await flush(store, more, { after: all.length });
    all.push(...more);
    unwrapOrThrow(await maintainLake({ store, deletes: "positions" }));
    const [again, , changed] = spark(directory, [
      rows("lake.todos"),
      documented("Spark: the rows that changed").replace(":folded", "40"),
      rows("lake.todos_rows"),
    ]);
    assertEquals(again, merged(all));
    assertEquals(changed, merged(all));
  });
});
