// Flushes batch after batch into a table of a REST catalogue until it is killed, and tells how far the
// table is after each.
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { icebergDestination } from "../destination.ts";
import { restCatalogue } from "../rest_catalogue.ts";
import { entries, flush } from "./lake_rows.ts";
import { openFiles } from "./rest_lake.ts";

const [url, namespace] = process.argv.slice(2) as [string, string];
const catalogue = restCatalogue({ url, namespace: [namespace], openStore: openFiles });
const destination = icebergDestination({ catalogue });

for (;;) {
  const from = unwrapOrThrow(await destination.watermarks(["todos"])).get("todos");
  const first = (from?.seq ?? 0) + 1;
  const outcome = (await flush(destination, entries(first, first + 19), { from })).get("todos");
  // A commit that the process before this one had under way may come in between: from there, then.
  if (outcome?.status === "committed") process.stdout.write(`${first + 19}\n`);
  else process.stderr.write(`${JSON.stringify(outcome)}\n`);
}
