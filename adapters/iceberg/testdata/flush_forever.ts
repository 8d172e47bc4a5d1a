// Flushes batch after batch into the lake in a directory until it is killed, and tells how far the
// table is after each.
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { fileObjectStore } from "@lakesync/testing";
import { icebergDestination } from "../destination.ts";
import { entries, flush } from "./lake_rows.ts";

const destination = icebergDestination({ store: fileObjectStore({ directory: process.argv[2]! }) });

for (;;) {
  const from = unwrapOrThrow(await destination.watermarks(["todos"])).get("todos");
  const first = (from?.seq ?? 0) + 1;
  const outcome = (await flush(destination, entries(first, first + 19), { from })).get("todos");
  if (outcome?.status !== "committed") throw new Error(`not committed: ${outcome?.status}`);
  process.stdout.write(`${first + 19}\n`);
}
