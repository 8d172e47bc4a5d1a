import {
  maintainLake,
  type MaintainLakeOptions,
  removeAbandonedScratch,
} from "@lakesync/adapter-iceberg";
import type { MaintenanceLease, MaintenanceStep } from "@lakesync/adapter-iceberg";
import { ok } from "@lakesync/core";
import type { Logger, LogStore, Random, Result, Scheduler } from "@lakesync/core";
import { maintenanceEngine } from "./maintain_engine.ts";

const LEASE = "maintain";

/** Where a lease is renewed before each step: none takes so long but a large compaction. */
const LEASE_MS = 3_600_000;

/** A lake with the name that it has in logs. */
export interface NamedLake {
  /** The gateway whose lake it is. */
  readonly gateway: string;
  /** The lake, and how it is maintained. */
  readonly options: MaintainLakeOptions;
}

/**
 * A gateway store's lease as maintenance takes it: of all instances on one store one maintains.
 *
 * @param store The gateway's log store.
 * @param options What this instance's name is made of, and for how long it takes the lease at a time:
 * an hour, where nothing is said.
 * @returns The lease.
 */
export function maintenanceLease(
  store: Pick<LogStore, "acquireLease" | "releaseLease">,
  { random, ttlMs = LEASE_MS }: { random: Random; ttlMs?: number },
): MaintenanceLease {
  const holder = random.uuid();
  return {
    acquire: () => store.acquireLease(LEASE, { holder, ttlMs }),
    release: () => store.releaseLease(LEASE, { holder }),
  };
}

/**
 * Removes what compactions of processes that were killed have left among this machine's temporary files.
 *
 * @param logger Where it is told.
 * @returns Resolves when that is done; that it cannot be is told, too, and keeps nobody from his work.
 */
export async function clearUp(logger: Logger): Promise<void> {
  const removed = await removeAbandonedScratch();
  if (!removed.ok) {
    const { code, message } = removed.error;
    logger.log("warn", "maintain.scratch", { code, message });
  } else if (removed.value.length > 0) {
    logger.log("info", "maintain.scratch", { removed: removed.value });
  }
}

/**
 * Maintains a lake once and tells of each step. Where its options name no engine it is compacted with
 * DuckDB, if that can be loaded.
 *
 * @param lake The lake.
 * @param logger Where the steps are told.
 * @returns Whether all went well: nothing failed, and nobody else was at it.
 */
export async function maintainOnce(
  { gateway, options }: NamedLake,
  logger: Logger,
): Promise<Result<boolean>> {
  const engine = options.engine === undefined
    ? await maintenanceEngine(undefined)
    : ok(options.engine);
  if (!engine.ok) return engine;
  let failed = false;
  const onStep = (step: MaintenanceStep): void => {
    if (step.step === "failed") {
      failed = true;
      const { table, during, error: { code, message } } = step;
      logger.log("error", "maintain.failed", { gateway, table, during, code, message });
    } else {
      const { step: name, ...facts } = step;
      const by = name === "compact" ? { engine: engine.value.name } : {};
      logger.log("info", `maintain.${name}`, { gateway, ...facts, ...by });
    }
  };
  const outcome = await maintainLake({ ...options, engine: engine.value, onStep });
  if (!outcome.ok) return outcome;
  if (outcome.value.status === "busy") logger.log("info", "maintain.busy", { gateway });
  return { ok: true, value: !failed && outcome.value.status === "done" };
}

/**
 * Maintains lakes now and every so often.
 *
 * @param lakes The lakes.
 * @param options How often, and until when.
 * @returns Resolves when the signal has ended it.
 */
export async function maintainRegularly(
  lakes: readonly NamedLake[],
  options: { everyMs: number; scheduler: Scheduler; logger: Logger; signal: AbortSignal },
): Promise<void> {
  const { everyMs, scheduler, logger, signal } = options;
  while (!signal.aborted) {
    for (const { gateway, options } of lakes) {
      const done = await maintainOnce({ gateway, options: { ...options, signal } }, logger);
      if (done.ok || signal.aborted) continue;
      const { code, message } = done.error;
      logger.log("error", "maintain.failed", { gateway, code, message });
    }
    await scheduler.delay(everyMs, { signal });
  }
}
