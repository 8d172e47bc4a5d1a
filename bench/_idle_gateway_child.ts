/** A gateway that tells what it costs: `_idle_gateway_child.ts DATA`; a line on stdin asks for it. */
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { startServer } from "@lakesync/deploy";
import { todos } from "./_workload.ts";

const server = unwrapOrThrow(
  await startServer({ data: process.argv[2]!, tables: [todos.schema], flushEvery: 86_400 }),
);
console.log(JSON.stringify({ url: server.url }));
process.stdin.on("data", () => console.log(JSON.stringify({ rss: process.memoryUsage().rss })));
