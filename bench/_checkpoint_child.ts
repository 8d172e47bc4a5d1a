/** A gateway that only reads, in a process of its own: `_checkpoint_child.ts DATA keep|anew`. */
import { join } from "node:path";
import process from "node:process";
import { fileObjectStore } from "@lakesync/adapter-file";
import { unwrapOrThrow } from "@lakesync/core";
import { gatewayPaths } from "@lakesync/deploy";
import { createGateway, createHandler, openSqliteLogStore } from "@lakesync/gateway";
import { serveHandler } from "@lakesync/testing";

const [data, way] = process.argv.slice(2);
const { log } = gatewayPaths(data!, "default");
const gateway = unwrapOrThrow(
  await createGateway({
    id: "default",
    store: unwrapOrThrow(await openSqliteLogStore({ path: log })),
    ...(way === "keep" && {
      checkpointCache: { store: fileObjectStore({ directory: join(data!, "cache") }) },
    }),
  }),
);
const handler = createHandler({ gateways: [gateway] });
const { url } = await serveHandler((request) => {
  if (new URL(request.url).pathname !== "/memory") return handler.fetch(request);
  // The most that it ever had, in KiB on Linux and on macOS under both runtimes.
  return Promise.resolve(Response.json({ maxRss: process.resourceUsage().maxRSS * 1024 }));
});
console.log(JSON.stringify({ url }));
