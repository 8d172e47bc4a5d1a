import {
  type Clock,
  type Destination,
  err,
  type FlushBatch,
  type FlushEntry,
  type FlushOutcome,
  type FlushTable,
  LakeSyncError,
  ok,
  type Random,
  type Result,
  systemClock,
  systemRandom,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";
import { catalogueOf, type LakePlace } from "./catalogue_files.ts";
import { AppendCommit, type CommitPorts } from "./commit.ts";
import { sameWatermark } from "./metadata.ts";
import { changesTable, emptyMetadata, schemaEntry, withSchema } from "./snapshot.ts";
import { newSchemaPlan } from "./lake_schema.ts";
import { planFor, progress, rebase } from "./_plan.ts";
import type { TableVersion } from "./table.ts";
import { FILE_WEIGHT, TableWrite } from "./_table_write.ts";

/** The most rows that wait in all tables of a batch together. */
const TOTAL_ROWS = 262_144;
/** The most bytes, roughly, that they take. */
const TOTAL_WEIGHT = 128 * 1024 * 1024;
/** How often a commit is tried while others commit without moving the watermark. */
const COMMIT_TRIES = 10;

/** Options of {@linkcode icebergDestination}. */
export interface IcebergDestinationOptions extends LakePlace {
  /**
   * Names it in stats and logs.
   *
   * @default {"iceberg"}
   */
  readonly name?: string;
  /**
   * A data file is written when its rows take about so many bytes, before they are compressed; or
   * earlier: it has at most 131,072 rows, and 128 MiB wait in all tables together.
   *
   * @default {67_108_864}
   */
  readonly fileBytes?: number;
  /**
   * Tells when a snapshot was made.
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
}

/**
 * A lake of Iceberg tables, one append-only `<table>_changes` for each table (docs/lake.md): in a
 * catalogue, or without one, where `vN.metadata.json` is put only where nobody put it.
 *
 * A table's data, its watermark and, where it grew, its schema are one commit. Memory is bounded:
 * about 262,144 rows wait at most, whatever the batch's size. Every error of a table is in its
 * outcome: `CORRUPT` where its files are damaged, `CONFLICT` where they are not LakeSync's or a
 * column has another type, `STORAGE_ERROR` where the store failed, `ABORTED`. Then nothing of the
 * batch is left behind, unless it is not known what became of the commit. Data files of a process
 * that was killed are orphans that no metadata names; earlier metadata files are kept.
 *
 * @param options The lake's store, or its catalogue.
 * @returns The destination.
 *
 * @example Flush a delta and look at the lake
 * ```ts
 * import { icebergDestination, icebergLake } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { deltaId, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const store = memoryObjectStore();
 * const schema = { table: "todos", version: 1, columns: [{ name: "title", type: "string" }] } as const;
 * const content = { op: "INSERT", table: "todos", rowId: "r1", clientId: "a", hlc: "65536", columns: [{ column: "title", value: "Milk" }] } as const;
 * const delta = { ...content, deltaId: deltaId(content) };
 * async function* entries() {
 *   yield [{ seq: 1, at: 1_700_000_000_000, delta }];
 * }
 *
 * const outcomes = unwrapOrThrow(
 *   await icebergDestination({ store }).write({
 *     id: "batch-1",
 *     to: { epoch: "e", seq: 1 },
 *     tables: new Map([["todos", { schema, from: undefined }]]),
 *     entries: entries(),
 *   }),
 * );
 * assertEquals(outcomes.get("todos")?.status, "committed");
 * const scan = unwrapOrThrow(await icebergLake({ store }).scan("todos_changes"));
 * assertEquals(scan.watermark, { epoch: "e", seq: 1 });
 * ```
 */
export function icebergDestination(options: IcebergDestinationOptions): Destination {
  const { name = "iceberg", fileBytes = FILE_WEIGHT } = options;
  const { clock = systemClock, random = systemRandom } = options;
  const catalogue = catalogueOf(options);
  const ports: CommitPorts = { catalogue, clock, random };
  const known = new Map<string, TableVersion>();

  /** The newest version of a table; one that was seen before spares most of the reading. */
  const load = async (table: string): Promise<Result<TableVersion | undefined>> => {
    const version = await catalogue.load(table, known.get(table));
    if (version.ok && version.value !== undefined) known.set(table, version.value);
    return version;
  };

  /** Begins to write a table, or tells why it does not. */
  const open = async (
    part: FlushTable,
    batch: FlushBatch,
  ): Promise<TableWrite | FlushOutcome> => {
    const table = changesTable(part.schema);
    const version = await load(table);
    if (!version.ok) return { status: "failed", error: version.error };
    const watermark = progress(version.value, table);
    if (!watermark.ok) return { status: "failed", error: watermark.error };
    if (!sameWatermark(watermark.value, part.from)) {
      return { status: "moved", watermark: watermark.value };
    }
    const base = version.value === undefined
      ? await catalogue.create(
        table,
        emptyMetadata(newSchemaPlan(part.schema), { uuid: random.uuid(), now: clock.now() }),
      )
      : ok(version.value);
    if (!base.ok) return { status: "failed", error: base.error };
    const plan = planFor(base.value, part);
    if (!plan.ok) return { status: "failed", error: plan.error };
    const schema = schemaEntry(withSchema(base.value.metadata, plan.value));
    return new TableWrite(ports, {
      table,
      part,
      epoch: batch.to.epoch,
      base: base.value,
      plan: plan.value,
      schema,
      fileBytes,
    });
  };

  /** Commits a table's files on top of the watermark that they start from. */
  const commit = async (write: TableWrite, batch: FlushBatch): Promise<FlushOutcome> => {
    const { table, part, plan } = write.options;
    let { base } = write.options;
    const { files } = write;
    const { location } = base.metadata;
    const append = new AppendCommit(ports, {
      table,
      plan,
      files,
      batchId: batch.id,
      watermark: batch.to,
    });
    const discard = async () => {
      await append.discard();
      await write.discard();
    };
    for (let attempt = 0; attempt < COMMIT_TRIES; attempt++) {
      const outcome = await append.on(base);
      switch (outcome.status) {
        case "committed":
          known.set(table, outcome.version);
          return {
            status: "committed",
            deltas: files.reduce((sum, { rows }) => sum + Number(rows), 0),
            objects: files.length,
            bytes: files.reduce((sum, { bytes }) => sum + Number(bytes), 0),
          };
        case "unknown":
          return { status: "failed", error: outcome.error };
        case "failed":
          await discard();
          return { status: "failed", error: outcome.error };
      }
      const newest = await load(table);
      const again = newest.ok ? rebase(newest.value, { part, plan, table, location }) : newest;
      if (!again.ok || again.value.status === "moved") {
        await discard();
        return again.ok ? again.value as FlushOutcome : { status: "failed", error: again.error };
      }
      base = again.value.base;
    }
    await discard();
    return {
      status: "failed",
      error: new LakeSyncError(
        "CONFLICT",
        `Cannot commit to "${table}": others committed ${COMMIT_TRIES} times meanwhile, try again`,
      ),
    };
  };

  return {
    name,

    async watermarks(tables) {
      const found = new Map<string, Watermark>();
      for (const name of tables) {
        const table = changesTable({ table: name });
        const version = await load(table);
        if (!version.ok) return version;
        const watermark = progress(version.value, table);
        if (!watermark.ok) return watermark;
        if (watermark.value !== undefined) found.set(name, watermark.value);
      }
      return ok(found);
    },

    async write(batch) {
      const outcomes = new Map<string, FlushOutcome>();
      const writes = new Map<string, TableWrite>();
      for (const table of batch.tables.keys()) outcomes.set(table, { status: "empty" });
      const begin = async (entry: FlushEntry): Promise<TableWrite | undefined> => {
        const { table } = entry.delta;
        const part = batch.tables.get(table);
        if (part === undefined || outcomes.get(table)?.status !== "empty") return undefined;
        const opened = await open(part, batch);
        if (opened instanceof TableWrite) writes.set(table, opened);
        else outcomes.set(table, opened);
        return opened instanceof TableWrite ? opened : undefined;
      };
      try {
        for await (const chunk of batch.entries) {
          throwIfStopped(batch.signal);
          for (const entry of chunk) {
            const write = writes.get(entry.delta.table) ?? await begin(entry);
            if (write === undefined) continue;
            if (write.isFullFor(entry)) await write.writeFile();
            write.add(entry);
          }
          await makeRoom(writes);
        }
        for (const write of writes.values()) {
          throwIfStopped(batch.signal);
          await write.writeFile();
        }
      } catch (thrown) {
        for (const write of writes.values()) await write.discard();
        return err(toLakeSyncError(thrown, "INTERNAL"));
      }
      for (const [table, write] of writes) {
        const stopped = batch.signal?.aborted === true ? stop(batch.signal) : undefined;
        const error = write.error ?? stopped;
        if (error !== undefined || write.files.length === 0) await write.discard();
        if (error !== undefined) outcomes.set(table, { status: "failed", error });
        else if (write.files.length > 0) outcomes.set(table, await commit(write, batch));
      }
      return ok(outcomes);
    },
  };
}

/** Writes out the largest tables until what waits is bounded again. */
async function makeRoom(writes: ReadonlyMap<string, TableWrite>): Promise<void> {
  for (;;) {
    let rows = 0;
    let weight = 0;
    let largest: TableWrite | undefined;
    for (const write of writes.values()) {
      rows += write.count;
      weight += write.weight;
      if (largest === undefined || write.weight > largest.weight) largest = write;
    }
    if (largest === undefined || (rows <= TOTAL_ROWS && weight <= TOTAL_WEIGHT)) return;
    await largest.writeFile();
  }
}

function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw stop(signal);
}

function stop(signal: AbortSignal): LakeSyncError {
  return new LakeSyncError("ABORTED", "Stopped a flush between commits: its signal was aborted", {
    cause: signal.reason,
  });
}
