// A child for kv_kill_deno_test.ts: appends pushes to the KV at the given path until it is killed.
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { appendRequest, Prng } from "@lakesync/testing";
import { openDenoKv } from "../kv_open_deno.ts";
import { kvLogStore } from "../store_kv.ts";
import { makePush } from "./kv_pushes.ts";

const [path, clientId, first] = process.argv.slice(2) as [string, string, string];
const kv = unwrapOrThrow(await openDenoKv({ path }));
const store = unwrapOrThrow(await kvLogStore({ kv }));
const prng = new Prng(Number(first));
for (let n = Number(first);; n++) {
  const deltas = makePush(clientId, n);
  unwrapOrThrow(await store.append(appendRequest(deltas, { clientId })));
  process.stdout.write(`${JSON.stringify({ answered: n })}\n`);
  if (prng.chance(0.1)) {
    const snapshot = unwrapOrThrow(await store.snapshot());
    for await (const _ of snapshot.rows()) break;
    if (prng.chance(0.5)) await snapshot.close();
  }
}
