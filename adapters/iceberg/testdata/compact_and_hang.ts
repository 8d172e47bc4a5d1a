// Compacts changes that are many for it, and hangs in the midst of it until it is killed: its store
// takes no file of the rows. It tells which engine does it.
import process from "node:process";
import { type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import { memoryObjectStore } from "@lakesync/testing";
import { compactTable } from "../compact.ts";
import { duckdbEngine } from "../compact_duckdb.ts";
import { streamingEngine } from "../compact_fold.ts";
import { icebergDestination } from "../destination.ts";
import { entry, flush } from "./lake_rows.ts";

const store = memoryObjectStore();
const table = "todos";
/** Each row is made, and then changed. */
const inserts = Array.from(
  { length: 200 },
  (_, i) => entry(i + 1, { op: "INSERT", rowId: `r${i}` }),
);
const updates = inserts.map(({ seq, delta: { rowId } }) => entry(200 + seq, { rowId }));
await flush(icebergDestination({ store }), inserts);
unwrapOrThrow(await compactTable({ store, table, buckets: 20, engine: streamingEngine() }));
await flush(icebergDestination({ store }), updates, { from: { epoch: "e", seq: 200 } });

const changesAtOnce = 20;
const engine = await duckdbEngine({ changesAtOnce }) ?? streamingEngine({ changesAtOnce });
const hanging: ObjectStore = {
  ...store,
  put: (key, ...rest) => {
    if (!/^todos\/data\//.test(key)) return store.put(key, ...rest);
    process.stdout.write(`${JSON.stringify(engine.name)}\n`);
    // A promise alone keeps no process alive.
    setInterval(() => {}, 1_000);
    return new Promise(() => {});
  },
};
await compactTable({ store: hanging, table, engine });
