import { unwrapOrThrow } from "@lakesync/core";
import { testLogStore } from "@lakesync/testing";
import { openDenoKv } from "./kv_open_deno.ts";
import { kvLogStore } from "./store_kv.ts";
import { strictKv } from "./testdata/strict_kv.ts";

testLogStore({
  name: "Deno KV",
  durable: true,
  shared: true,
  async open({ directory, clock }) {
    const kv = strictKv(unwrapOrThrow(await openDenoKv({ path: `${directory}/log.kv` })));
    return unwrapOrThrow(await kvLogStore({ kv, clock, closesKv: true }));
  },
});
