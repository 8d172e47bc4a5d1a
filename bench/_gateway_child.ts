/** A gateway in a process of its own: `_gateway_child.ts DATA`. */
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { startServer } from "@lakesync/deploy";
import { todos } from "./_todos.ts";

const data = process.argv[2]!;
// A day between flushes: none falls into a measurement.
const server = unwrapOrThrow(
  await startServer({ data, tables: [todos.schema], flushEvery: 86_400 }),
);
console.log(JSON.stringify({ url: server.url }));
