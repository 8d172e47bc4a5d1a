import {
  type Clock,
  err,
  LakeSyncError,
  ok,
  type Random,
  type Result,
  systemClock,
  systemRandom,
  toLakeSyncError,
} from "@lakesync/core";
import type { Catalogue } from "./catalogue.ts";
import { catalogueOf, type LakePlace } from "./catalogue_files.ts";
import { damaged } from "./commit.ts";
import { compactTable } from "./compact.ts";
import type { CompactionEngine } from "./compact_engine.ts";
import { type ExpireOptions, withoutExpired } from "./expire.ts";
import { removeOrphans } from "./orphans.ts";
import { rewriteChanges } from "./rewrite.ts";
import { changesTable } from "./snapshot.ts";
import { presentSchema } from "./table.ts";

/** How often an expiry is tried while others commit. */
const COMMIT_TRIES = 20;
const HOUR_MS = 3_600_000;

/** Sees to it that no two processes maintain a lake at once. */
export interface MaintenanceLease {
  /** Takes the lease, or takes it for longer; false where somebody else holds it. */
  acquire(): Promise<Result<boolean>>;
  /** Lets go of it. */
  release(): Promise<Result<void>>;
}

/** A step of {@linkcode maintainLake}, as it ends. */
export type MaintenanceStep =
  & {
    /** The table in the lake. */
    readonly table: string;
  }
  & (
    | { readonly step: "compact"; readonly changes: number; readonly bytes: number }
    | {
      readonly step: "rewrite";
      readonly files: number;
      readonly into: number;
      readonly manifests: number;
    }
    | { readonly step: "expire"; readonly snapshots: number }
    | { readonly step: "orphans"; readonly files: number; readonly bytes: number }
    | {
      readonly step: "failed";
      readonly during: "compact" | "rewrite" | "expire" | "orphans";
      readonly error: LakeSyncError;
    }
  );

/** Options of {@linkcode maintainLake}. */
export interface MaintainLakeOptions extends LakePlace, ExpireOptions {
  /**
   * The app's tables.
   *
   * @default {undefined} all that have a changelog
   */
  readonly tables?: readonly string[];
  /**
   * What folds.
   *
   * @default {streamingEngine()}
   */
  readonly engine?: CompactionEngine;
  /**
   * Whether tables of current rows are made and kept.
   *
   * @default {true}
   */
  readonly compact?: boolean;
  /**
   * How rows that changed are taken out of their files. See {@linkcode CompactTableOptions}.
   *
   * @default {"rewrite"}
   */
  readonly deletes?: "rewrite" | "positions" | "vectors" | "equality";
  /**
   * Files that nothing names are removed when they are so many milliseconds old; an hour at least.
   * It must be longer than any commit takes, and than clocks differ.
   *
   * @default {259_200_000} 3 days
   */
  readonly orphanAgeMs?: number;
  /**
   * Whether somebody else needs the file of a key, a checkpoint for instance. Then it stays.
   *
   * @default {() => false}
   */
  readonly inUse?: (key: string) => boolean;
  /**
   * Only tell what there is to do. Nothing is written.
   *
   * @default {false}
   */
  readonly dryRun?: boolean;
  /**
   * Keeps others out.
   *
   * @default {undefined} nobody is kept out: two at once are safe, but work twice
   */
  readonly lease?: MaintenanceLease;
  /**
   * Hears of each step as it ends.
   *
   * @default {undefined}
   */
  readonly onStep?: (step: MaintenanceStep) => void;
  /**
   * Tells how old things are.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Makes snapshot ids and file names.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
  /** Stops it between steps, and within the long ones. */
  readonly signal?: AbortSignal;
}

/** What became of a {@linkcode maintainLake}. */
export type MaintainOutcome =
  /** Somebody else holds the lease; what was done until then is in `steps`. */
  | { readonly status: "busy"; readonly steps: readonly MaintenanceStep[] }
  /** All steps were done; those that failed are among them. */
  | { readonly status: "done"; readonly steps: readonly MaintenanceStep[] };

/**
 * Keeps a lake in shape. For each table: new changes are folded into the current rows, the changelog's
 * small files and manifests merged, old snapshots forgotten, and old files that nothing names any more
 * removed (docs/lake.md, *Upkeep*). Flushes and readers may go on meanwhile.
 *
 * Each step is one commit or removes only what nothing names, so it may be killed at any time and run
 * twice. A step that fails is told of and does not keep the others from being done.
 *
 * @param options The lake.
 * @returns The steps; an error where the lake's tables cannot be listed, the lease cannot be asked
 * for, or the signal was aborted.
 *
 * @example What there is to do in an empty lake
 * ```ts
 * import { maintainLake } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const outcome = unwrapOrThrow(await maintainLake({ store: memoryObjectStore(), dryRun: true }));
 * assertEquals(outcome, { status: "done", steps: [] });
 * ```
 */
export async function maintainLake(
  options: MaintainLakeOptions,
): Promise<Result<MaintainOutcome>> {
  const { orphanAgeMs = 72 * HOUR_MS } = options;
  if (!(orphanAgeMs >= HOUR_MS)) {
    throw new TypeError(
      `Cannot remove files that are ${orphanAgeMs} ms old: a commit under way may need them, choose ${HOUR_MS} or more`,
    );
  }
  const catalogue = catalogueOf(options);
  const { lease, signal, onStep, compact = true } = options;
  const steps: MaintenanceStep[] = [];
  const tables = await tablesOf(catalogue, options);
  if (!tables.ok) return tables;
  try {
    for (const table of tables.value) {
      for (const work of worksOf(table, compact)) {
        if (signal?.aborted === true) return aborted(signal);
        const held = await lease?.acquire();
        if (held?.ok === false) return held;
        if (held?.value === false) return ok({ status: "busy", steps });
        const step = await done(catalogue, work, { ...options, orphanAgeMs });
        if (step === undefined) continue;
        if (step.step === "failed" && step.error.code === "ABORTED") return err(step.error);
        steps.push(step);
        onStep?.(step);
      }
    }
    return ok({ status: "done", steps });
  } finally {
    // A lease that cannot be let go of runs out by itself.
    await lease?.release();
  }
}

/** A step that is to be done. */
interface Work {
  readonly step: "compact" | "rewrite" | "expire" | "orphans";
  /** The app's table. */
  readonly of: string;
  /** The table in the lake. */
  readonly table: string;
}

function worksOf(of: string, compact: boolean): Work[] {
  const changes = changesTable({ table: of });
  const works: Work[] = [
    { step: "compact", of, table: of },
    { step: "rewrite", of, table: changes },
    { step: "expire", of, table: changes },
    { step: "orphans", of, table: changes },
    { step: "expire", of, table: of },
    { step: "orphans", of, table: of },
  ];
  return compact ? works : works.filter(({ table }) => table === changes);
}

async function tablesOf(
  catalogue: Catalogue,
  { tables }: MaintainLakeOptions,
): Promise<Result<readonly string[]>> {
  if (tables !== undefined) return ok(tables);
  const names = await catalogue.list();
  if (!names.ok) return names;
  const suffix = changesTable({ table: "" });
  const found: string[] = [];
  for (const name of names.value.filter((name) => name.endsWith(suffix))) {
    const table = name.slice(0, -suffix.length);
    const version = await catalogue.load(name);
    // Somebody else's table.
    if (!version.ok && version.error.code === "CONFLICT") continue;
    const schema = version.ok && version.value !== undefined
      ? presentSchema(name, version.value.metadata)
      : undefined;
    // The rows of an app's table of such a name. What is damaged is told of by its steps.
    if (schema?.ok === true && schema.value.table !== table) continue;
    found.push(table);
  }
  return ok(found);
}

/** Does a step; undefined where there was nothing to do. */
async function done(
  catalogue: Catalogue,
  work: Work,
  options: MaintainLakeOptions & { readonly orphanAgeMs: number },
): Promise<MaintenanceStep | undefined> {
  const { step, table } = work;
  try {
    const outcome = await doStep(catalogue, work, options);
    return outcome.ok
      ? outcome.value
      : { step: "failed", table, during: step, error: outcome.error };
  } catch (thrown) {
    const error = thrown instanceof RangeError
      ? damaged(table, thrown)
      : toLakeSyncError(thrown, "INTERNAL");
    return { step: "failed", table, during: step, error };
  }
}

async function doStep(
  catalogue: Catalogue,
  { step, of, table }: Work,
  options: MaintainLakeOptions & { readonly orphanAgeMs: number },
): Promise<Result<MaintenanceStep | undefined>> {
  const { engine, inUse = () => false, dryRun = false, deletes = "rewrite", orphanAgeMs } = options;
  const { clock = systemClock, random = systemRandom, signal } = options;
  switch (step) {
    case "compact": {
      const outcome = await compactTable({
        catalogue,
        table: of,
        dryRun,
        deletes,
        clock,
        random,
        ...(engine !== undefined && { engine }),
        ...(signal !== undefined && { signal }),
      });
      if (!outcome.ok) return outcome;
      if (outcome.value.status !== "compacted") return ok(undefined);
      const { changes, bytes } = outcome.value;
      return ok({ step, table, changes, bytes });
    }
    case "rewrite": {
      const outcome = await rewriteChanges(catalogue, { table: of, clock, random, dryRun, signal });
      if (!outcome.ok) return outcome;
      const { files, manifests } = outcome.value;
      return ok(files === 0 && manifests === 0 ? undefined : { step, table, ...outcome.value });
    }
    case "expire": {
      const snapshots = await expire(catalogue, table, { ...options, now: clock.now(), dryRun });
      if (!snapshots.ok) return snapshots;
      return ok(snapshots.value === 0 ? undefined : { step, table, snapshots: snapshots.value });
    }
    case "orphans": {
      const before = clock.now() - orphanAgeMs;
      const removed = await removeOrphans(catalogue, { table, before, inUse, dryRun, signal });
      if (!removed.ok) return removed;
      return ok(removed.value.files === 0 ? undefined : { step, table, ...removed.value });
    }
  }
}

/** Forgets old snapshots; how many. */
async function expire(
  catalogue: Catalogue,
  table: string,
  options: ExpireOptions & { readonly now: number; readonly dryRun: boolean },
): Promise<Result<number>> {
  for (let attempt = 0; attempt < COMMIT_TRIES; attempt++) {
    const version = await catalogue.load(table);
    if (!version.ok) return version;
    if (version.value === undefined) return ok(0);
    const { metadata } = version.value;
    const next = withoutExpired(metadata, options);
    if (next === undefined) return ok(0);
    const count = metadata.snapshots.length - next.snapshots.length;
    if (options.dryRun) return ok(count);
    const outcome = await catalogue.commit(table, version.value, next);
    if (outcome.status === "committed") return ok(count);
    if (outcome.status !== "lost") return err(outcome.error);
  }
  return err(
    new LakeSyncError(
      "CONFLICT",
      `Cannot expire snapshots of "${table}": others committed to it meanwhile, try again`,
    ),
  );
}

function aborted(signal: AbortSignal): Result<never> {
  return err(
    new LakeSyncError("ABORTED", "Stopped maintenance between steps: its signal was aborted", {
      cause: signal.reason,
    }),
  );
}
