/**
 * The thread in which a server keeps its lakes in shape: what folds and packs a lake's files would else
 * hold up the requests.
 *
 * @module
 */
import process from "node:process";
import { type LakeSyncError, type Logger, toLakeSyncError } from "@lakesync/core";
import { gatewayPaths } from "./gateway_paths.ts";
import { type Lakes, openLakes } from "./lake.ts";
import { clearUp, maintainOnce } from "./maintaining.ts";
import type { UpkeepLakes, UpkeepNews, UpkeepOrder } from "./upkeep_messages.ts";

/** A worker's own side of its channel, in Deno and Bun alike. */
const thread = globalThis as unknown as {
  postMessage(news: UpkeepNews): void;
  onmessage: ((event: { readonly data: UpkeepOrder }) => void) | null;
};

const logger: Logger = {
  log: (level, event, facts = {}) => thread.postMessage({ type: "log", level, event, facts }),
};

let about: UpkeepLakes | undefined;
let lakes: Lakes | undefined;
let stopping = new AbortController();

thread.onmessage = ({ data: order }) => {
  if (order.type === "lakes") about = order;
  else if (order.type === "stop") stopping.abort();
  else {
    stopping = new AbortController();
    void see(order.gateway).catch((thrown) => failed(order.gateway, thrown)).then((well) =>
      thread.postMessage({ type: "done", well })
    );
  }
};

async function see(gateway: string): Promise<boolean | undefined> {
  const { data, choice } = about!;
  if (lakes === undefined) {
    await clearUp(logger);
    const directory = (id: string) => gatewayPaths(data, id).lake;
    const opened = await openLakes({ choice, directory, env: process.env });
    if (!opened.ok) return failed(gateway, opened.error);
    lakes = opened.value;
  }
  const catalogue = lakes.catalogue(gateway);
  // A lake without tables needs no upkeep.
  if (catalogue === undefined) return true;
  const { compact = true, deletes = "rewrite" } = choice.maintain ?? {};
  const { signal } = stopping;
  const options = { catalogue, compact, deletes, signal };
  const done = await maintainOnce({ gateway, options }, logger);
  if (done.ok) return done.value;
  return signal.aborted ? undefined : failed(gateway, done.error);
}

function failed(gateway: string, thrown: unknown): false {
  const { code, message }: LakeSyncError = toLakeSyncError(thrown, "INTERNAL");
  logger.log("error", "maintain.failed", { gateway, code, message });
  return false;
}
