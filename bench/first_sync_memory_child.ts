/** A device's first sync in a process of its own: `first_sync_memory_child.ts URL DATABASE ROWS`. */
import process from "node:process";
import { createClient } from "@lakesync/client";
import { unwrapOrThrow } from "@lakesync/core";
import { peakRss } from "./_machine.ts";
import { todos } from "./_workload.ts";

const [url, database, rows] = process.argv.slice(2) as [string, string, string];
const client = unwrapOrThrow(
  await createClient({ tables: [todos], database, url, sync: { auto: false } }),
);
const rssBefore = process.memoryUsage().rss;
const start = performance.now();
unwrapOrThrow(await client.syncOnce());
const seconds = (performance.now() - start) / 1000;
const [count] = unwrapOrThrow(await client.query("SELECT count(*) AS n FROM todos"));
if (count?.n !== Number(rows)) throw new Error(`The client has ${count?.n} of ${rows} rows`);
await client.close();
console.log(JSON.stringify({ seconds, rssBefore, rssPeak: peakRss() }));
