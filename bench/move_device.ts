/** A device of the `client` benchmark: a process of its own that is told to move rows, or to wait for them. */
import process from "node:process";
import { type Client, createClient, httpTransport } from "@lakesync/client";
import { unwrapOrThrow } from "@lakesync/core";
import { Prng } from "@lakesync/testing";
import { now, serveCommands } from "./_commands.ts";
import { todos } from "./_workload.ts";

let client: Client<readonly [typeof todos]>;
let cpu: ReturnType<typeof process.cpuUsage>;
let shown: Promise<number>;
const random = new Prng(7);

/** When a row can be read. */
function whenShown(id: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const stop = client.live("SELECT n FROM todos WHERE id = ?", [id]).subscribe((rows) => {
    if (rows.length > 0) resolve(now());
  });
  return promise.finally(stop);
}

await serveCommands({
  async open({ url, database, way }: { url: string; database: string; way: "ws" | "http" }) {
    client = unwrapOrThrow(
      await createClient({
        tables: [todos],
        database,
        ...(way === "ws" ? { url } : { transport: httpTransport({ url }) }),
      }),
    );
    unwrapOrThrow(await client.syncOnce());
  },
  async insert(id: string) {
    unwrapOrThrow(await client.tables.todos.insert({ id, title: "One", done: false, n: 0 }));
  },
  async wait(id: string) {
    await whenShown(id);
  },
  watch(id: string) {
    cpu = process.cpuUsage();
    shown = whenShown(id);
  },
  shown: () => shown,
  /** Imports rows, of which the last has this id; when that began and ended. */
  async move({ last, steps, rows }: { last: string; steps: number; rows: number }) {
    const batches = Array.from({ length: steps }, () =>
      Array.from({ length: rows }, (_, i) => ({
        id: random.uuid(),
        title: `Task number ${i}`,
        done: false,
        n: i,
      })));
    batches.at(-1)!.at(-1)!.id = last;
    cpu = process.cpuUsage();
    const began = now();
    for (const batch of batches) unwrapOrThrow(await client.import("todos", batch));
    return [began, now()];
  },
  /** The CPU that it took, in µs, once it is in step with the gateway; and how many rows there are. */
  async took() {
    unwrapOrThrow(await client.syncOnce());
    const { user, system } = process.cpuUsage(cpu);
    const [row] = unwrapOrThrow(await client.query("SELECT count(*) AS n FROM todos"));
    return { cpu: user + system, rows: row!.n };
  },
  async close() {
    await client.close();
  },
});
