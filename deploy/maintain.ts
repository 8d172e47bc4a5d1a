/**
 * `deno task maintain`: keeps the lakes of gateways in shape. See MAINTAIN_USAGE.
 *
 * @module
 */
import { join } from "node:path";
import process from "node:process";
import { systemRandom, systemScheduler } from "@lakesync/core";
import { gatewayPaths } from "./gateway_paths.ts";
import { MAINTAIN_USAGE, type MaintainArgs, parseMaintainArgs } from "./maintain_args.ts";
import {
  clearUp,
  maintainOnce,
  maintainRegularly,
  maintenanceLease,
  type NamedLake,
} from "./maintaining.ts";
import { maintenanceEngine } from "./maintain_engine.ts";
import { openLake } from "./open_lake.ts";
import { fail, logger } from "./program.ts";
import { openStores } from "./stores.ts";

async function main(): Promise<void> {
  const args = parseMaintainArgs(process.argv.slice(2), process.env);
  if (!args.ok) return fail(args.error, 2);
  if (args.value === "help") {
    process.stderr.write(`${MAINTAIN_USAGE}\n`);
    return;
  }
  const stopping = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => stopping.abort(new Error(signal)));
  }
  const { lakes, close } = await openLakes(args.value);
  const { every, dryRun } = args.value;
  if (!dryRun) await clearUp(logger);
  let well = true;
  if (every === undefined) {
    for (const { gateway, options } of lakes) {
      const { signal } = stopping;
      const done = await maintainOnce({ gateway, options: { ...options, signal } }, logger);
      if (!done.ok) return fail(done.error, 1);
      well &&= done.value;
    }
  } else {
    // A delay alone does not keep a process alive.
    const alive = setInterval(() => {}, 2 ** 30);
    await maintainRegularly(lakes, {
      everyMs: every * 1000,
      scheduler: systemScheduler,
      logger,
      signal: stopping.signal,
    });
    clearInterval(alive);
  }
  await close();
  process.stdout.write(`${JSON.stringify({ event: "maintained", well })}\n`);
  process.exit(well ? 0 : 1);
}

/** The lakes; with a lease each, where several processes may share the gateways' stores. */
async function openLakes(
  { data, lake, config, gateways, store, dryRun, compact, deletes, engine }: MaintainArgs,
): Promise<{ lakes: readonly NamedLake[]; close: () => Promise<void> }> {
  const lakes: NamedLake[] = [];
  const closing: (() => Promise<void>)[] = [];
  const shared = store.kind === "postgres" || store.kind === "kv";
  const stores = shared
    ? await openStores({
      choice: store,
      sqlitePath: (id) => gatewayPaths(data, id).log,
      kvPath: join(data, "kv.db"),
      logger,
    })
    : undefined;
  if (stores?.ok === false) return fail(stores.error, 1);
  const folds = await maintenanceEngine(engine);
  if (!folds.ok) return fail(folds.error, 2);
  for (const gateway of gateways) {
    const catalogue = await openLake({ data, id: gateway, config, lake, env: process.env });
    if (!catalogue.ok) return fail(catalogue.error, 1);
    const log = await stores?.value.open(gateway);
    if (log?.ok === false) return fail(log.error, 1);
    if (log !== undefined) closing.push(() => log.value.close());
    lakes.push({
      gateway,
      options: {
        catalogue: catalogue.value,
        dryRun,
        compact,
        deletes,
        engine: folds.value,
        ...(log !== undefined && { lease: maintenanceLease(log.value, { random: systemRandom }) }),
      },
    });
  }
  const close = async (): Promise<void> => {
    for (const one of closing) await one();
    await stores?.value.close();
  };
  return { lakes, close };
}

await main();
