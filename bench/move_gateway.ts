/** The gateway of the `client` benchmark: one after the other, each with a log of its own, in one process. */
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { type RunningServer, startServer } from "@lakesync/deploy";
import { serveCommands } from "./_commands.ts";
import { todos } from "./_workload.ts";

let server: RunningServer;
let cpu: ReturnType<typeof process.cpuUsage>;

await serveCommands({
  async open(data: string) {
    // A day between flushes: none falls into a measurement.
    server = unwrapOrThrow(
      await startServer({ data, tables: [todos.schema], flushEvery: 86_400 }),
    );
    return server.url;
  },
  start() {
    cpu = process.cpuUsage();
  },
  took() {
    const { user, system } = process.cpuUsage(cpu);
    return { cpu: user + system };
  },
  async close() {
    await server.stop();
  },
});
