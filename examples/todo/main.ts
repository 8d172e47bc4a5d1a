/**
 * `deno task example:todo [--port N] [--host H] [--data DIR]`: a gateway with rules, which serves the to-do
 * app. Two people can sign in.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import process from "node:process";
import { parseArgs } from "node:util";
import { unwrapOrThrow } from "@lakesync/core";
import { startServer } from "@lakesync/deploy";
import { signToken } from "@lakesync/gateway";
import { TODO_PATH, todoPages } from "./pages.ts";
import { rules } from "./rules.ts";
import { SAMPLE, writeLists } from "./sample.ts";
import { PEOPLE, tables } from "./tables.ts";

const { port, host, data } = parseArgs({
  options: {
    port: { type: "string", default: "8787" },
    host: { type: "string", default: "127.0.0.1" },
    data: { type: "string", default: "lakesync-data/todo" },
  },
}).values;

// Devices ask for a new token where this one is not known any more: it need not be kept.
const secret = randomBytes(32).toString("base64url");
const server = unwrapOrThrow(
  await startServer({
    host,
    port: Number(port),
    data,
    tables: tables.map(({ schema }) => schema),
    rules,
    auth: { secrets: [secret] },
    pages: todoPages({ secret }),
  }),
);
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => void server.stop().then(() => process.exit(0)));
}

const { tables: counts } = unwrapOrThrow(await server.gateways[0]!.stats());
if (counts["lists"]?.rows === 0) {
  for (const { id } of PEOPLE) {
    const getToken = () => signToken({ sub: id, gw: "default" }, { secret });
    await writeLists(id, SAMPLE, { url: server.url, getToken });
  }
}

console.log(`\n  To-dos: ${server.url}${TODO_PATH}\n`);
console.log("  Sign in as Ann in one browser and as Ben in another. Ctrl-C stops it.\n");
