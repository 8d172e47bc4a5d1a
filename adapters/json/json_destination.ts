import {
  type Destination,
  err,
  type FlushBatch,
  type FlushEntry,
  type FlushOutcome,
  LakeSyncError,
  type ObjectStore,
  ok,
  type Random,
  systemRandom,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";
import { newestManifest, type NumberedManifest, putManifest } from "./manifest.ts";
import { TableWrite } from "./_table_write.ts";

/** The most characters that wait in all tables of a batch together. */
const TOTAL_CHARS = 64 * 1024 * 1024;

/** Options of {@linkcode jsonDestination}. */
export interface JsonDestinationOptions {
  /** Where the deltas go. Of several puts at once with `ifAbsent` it must let one succeed. */
  readonly store: ObjectStore;
  /**
   * Names it in stats and logs.
   *
   * @default {"json"}
   */
  readonly name?: string;
  /**
   * Makes the objects' names.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
}

/**
 * Deltas as they are, as gzipped NDJSON: `<table>/deltas/*.ndjson.gz` with `{ seq, at, delta }` in
 * each line, and `<table>/manifests/N.json`, which name the objects that count and tell how far the
 * table is. Whoever puts a manifest's number first has made that commit; what no manifest names
 * counts for nothing. Errors are as those of any destination, in each table's outcome.
 *
 * @param options The store.
 * @returns The destination.
 *
 * @example Flush a delta
 * ```ts
 * import { jsonDestination } from "@lakesync/adapter-json";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { deltaId, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const destination = jsonDestination({ store: memoryObjectStore() });
 * const schema = { table: "todos", version: 1, columns: [{ name: "title", type: "string" }] } as const;
 * const content = { op: "INSERT", table: "todos", rowId: "r1", clientId: "a", hlc: "65536", columns: [{ column: "title", value: "Milk" }] } as const;
 * const delta = { ...content, deltaId: deltaId(content) };
 * async function* entries() {
 *   yield [{ seq: 1, at: 1_700_000_000_000, delta }];
 * }
 *
 * const outcomes = unwrapOrThrow(
 *   await destination.write({
 *     id: "batch-1",
 *     to: { epoch: "e", seq: 1 },
 *     tables: new Map([["todos", { schema, from: undefined }]]),
 *     entries: entries(),
 *   }),
 * );
 * assertEquals(outcomes.get("todos")?.status, "committed");
 * ```
 */
export function jsonDestination(options: JsonDestinationOptions): Destination {
  const { store, name = "json", random = systemRandom } = options;
  const known = new Map<string, NumberedManifest>();

  const load = async (table: string) => {
    const newest = await newestManifest(store, table, known.get(table));
    if (newest.ok && newest.value !== undefined) known.set(table, newest.value);
    return newest;
  };

  /** Begins to write a table, or tells why it does not. */
  const open = async (table: string, batch: FlushBatch): Promise<TableWrite | FlushOutcome> => {
    const part = batch.tables.get(table)!;
    const base = await load(table);
    if (!base.ok) return { status: "failed", error: base.error };
    const watermark = watermarkOf(base.value);
    if (watermark?.epoch !== part.from?.epoch || watermark?.seq !== part.from?.seq) {
      return { status: "moved", watermark };
    }
    const { epoch } = batch.to;
    return new TableWrite({ store, random, table, part, epoch, base: base.value });
  };

  const commit = async (write: TableWrite, batch: FlushBatch): Promise<FlushOutcome> => {
    const { table, base } = write.options;
    const { files } = write;
    const next: NumberedManifest = {
      number: (base?.number ?? 0) + 1,
      manifest: { version: 1, ...batch.to, batchId: batch.id, files },
    };
    const outcome = await putManifest(store, table, next);
    if (typeof outcome === "object") return { status: "failed", error: outcome.unknown };
    if (outcome === "lost") {
      await write.discard();
      const newest = await load(table);
      if (!newest.ok) return { status: "failed", error: newest.error };
      return { status: "moved", watermark: watermarkOf(newest.value) };
    }
    known.set(table, next);
    return {
      status: "committed",
      deltas: files.reduce((sum, { deltas }) => sum + deltas, 0),
      objects: files.length,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  };

  return {
    name,

    async watermarks(tables) {
      const found = new Map<string, Watermark>();
      for (const table of tables) {
        const newest = await load(table);
        if (!newest.ok) return newest;
        const watermark = watermarkOf(newest.value);
        if (watermark !== undefined) found.set(table, watermark);
      }
      return ok(found);
    },

    async write(batch) {
      const outcomes = new Map<string, FlushOutcome>();
      const writes = new Map<string, TableWrite>();
      for (const table of batch.tables.keys()) outcomes.set(table, { status: "empty" });
      const writeOf = async ({ delta: { table } }: FlushEntry): Promise<TableWrite | undefined> => {
        const there = writes.get(table);
        if (there !== undefined || outcomes.get(table)?.status !== "empty") return there;
        const opened = await open(table, batch);
        if (!(opened instanceof TableWrite)) {
          outcomes.set(table, opened);
          return undefined;
        }
        writes.set(table, opened);
        return opened;
      };
      try {
        for await (const chunk of batch.entries) {
          throwIfStopped(batch.signal);
          for (const entry of chunk) await (await writeOf(entry))?.add(entry);
          let waiting = 0;
          for (const { weight } of writes.values()) waiting += weight;
          if (waiting > TOTAL_CHARS) {
            for (const write of writes.values()) await write.writeFile();
          }
        }
        for (const write of writes.values()) await write.writeFile();
      } catch (thrown) {
        for (const write of writes.values()) await write.discard();
        return err(toLakeSyncError(thrown, "INTERNAL"));
      }
      for (const [table, write] of writes) {
        const error = write.error ?? (batch.signal?.aborted ? stopped(batch.signal) : undefined);
        if (error !== undefined || write.files.length === 0) await write.discard();
        if (error !== undefined) outcomes.set(table, { status: "failed", error });
        else if (write.files.length > 0) outcomes.set(table, await commit(write, batch));
      }
      return ok(outcomes);
    },
  };
}

function watermarkOf(newest: NumberedManifest | undefined): Watermark | undefined {
  if (newest === undefined) return undefined;
  const { epoch, seq, hash } = newest.manifest;
  return { epoch, seq, ...(hash !== undefined && { hash }) };
}

function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw stopped(signal);
}

function stopped(signal: AbortSignal): LakeSyncError {
  return new LakeSyncError("ABORTED", "Stopped a flush between commits: its signal was aborted", {
    cause: signal.reason,
  });
}
