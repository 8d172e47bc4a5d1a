/**
 * `deno task example:react [--port N] [--data DIR]`: a gateway, and a React app of which each browser
 * tab, each device and each `?device=` has its own database.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { unwrapOrThrow } from "@lakesync/core";
import { startServer } from "@lakesync/deploy";
import { sightingPages } from "./pages.ts";
import { writeSample } from "./sample.ts";
import { tables } from "./tables.ts";

const { port, data } = parseArgs({
  options: {
    port: { type: "string", default: "8788" },
    data: { type: "string", default: "lakesync-data/react" },
  },
}).values;

const server = unwrapOrThrow(
  await startServer({
    port: Number(port),
    data,
    tables: tables.map(({ schema }) => schema),
    pages: sightingPages(),
  }),
);
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => void server.stop().then(() => process.exit(0)));
}
const { tables: counts } = unwrapOrThrow(await server.gateways[0]!.stats());
if (counts["sightings"]?.rows === 0) await writeSample(server.url);

console.log(`\n  Sightings: ${server.url}/\n`);
console.log(`  A second device: ${server.url}/?device=2`);
console.log(
  "  Go offline in one of them, change things in both, and come back. Ctrl-C stops it.\n",
);
