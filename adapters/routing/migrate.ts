import {
  type DatabaseAdapter,
  type Destination,
  err,
  type FlushBatch,
  type FlushEntry,
  type FlushOutcome,
  LakeSyncError,
  ok,
  type Result,
  type TableSchema,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";

/** How far a migration is. */
export interface MigrateProgress {
  /** The table. */
  readonly table: string;
  /** How many of its deltas are there, in this run and before. */
  readonly copied: number;
  /** Whether that is all of them. */
  readonly done: boolean;
}

/** Options of {@linkcode migrate}. */
export interface MigrateOptions {
  /** The tables, with their schemas of today. */
  readonly tables: readonly TableSchema[];
  /**
   * How many deltas one commit has at the most.
   *
   * @default {10_000}
   */
  readonly batchSize?: number;
  /**
   * Told after each commit.
   *
   * @default {() => {}}
   */
  readonly onProgress?: (progress: MigrateProgress) => void;
  /** Stops it between commits; run it again to go on. */
  readonly signal?: AbortSignal;
}

/** What a migration did. */
export interface MigrateReport {
  /** How many deltas were copied in this run. */
  readonly copied: number;
}

const DEFAULT_BATCH_SIZE = 10_000;

/**
 * Copies all deltas of some tables from a database to a destination, after which a gateway can flush to
 * that in its place: it has the same watermarks. Run again after a stop, a failure or a crash, it goes
 * on; once it is through, it does nothing. While it runs, no gateway may flush to either.
 *
 * The place of a table is its watermark in the destination, under an epoch of the migration's own,
 * until the last commit, which has the source's.
 *
 * @param from The database.
 * @param to Where the deltas go.
 * @param options Which tables.
 * @returns What it did; `CONFLICT` where a table has other data there already or is still written to
 * in the source, `ABORTED` by its signal, or what one of the two failed with.
 * @throws {TypeError} Where the batch size is no whole number from 1.
 *
 * @example From nowhere
 * ```ts
 * import { sqlAdapter } from "@lakesync/adapter-database";
 * import { jsonDestination } from "@lakesync/adapter-json";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { migrate } from "@lakesync/adapter-routing";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const server = unwrapOrThrow(await postgresServer({ url: "postgres://nobody@127.0.0.1:1/none" }));
 * const from = sqlAdapter({ server, name: "old" });
 * const to = jsonDestination({ store: memoryObjectStore() });
 * const { schema } = defineTable("orders", { item: string() });
 * const migrated = await migrate(from, to, { tables: [schema] });
 * assertEquals(migrated.ok || migrated.error.code, "OFFLINE");
 * await from.close();
 * ```
 */
export async function migrate(
  from: DatabaseAdapter,
  to: Destination,
  options: MigrateOptions,
): Promise<Result<MigrateReport>> {
  const { tables, batchSize = DEFAULT_BATCH_SIZE } = options;
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new TypeError(`Cannot copy ${batchSize} deltas at once: not a whole number from 1`);
  }
  let copied = 0;
  for (const schema of tables) {
    const done = await copyTable(schema, { ...options, from, to, batchSize });
    if (!done.ok) return done;
    copied += done.value;
  }
  return ok({ copied });
}

type CopyOptions = MigrateOptions & {
  readonly from: DatabaseAdapter;
  readonly to: Destination;
  readonly batchSize: number;
};

/** Copies what is left of a table; gives the number of deltas. */
async function copyTable(schema: TableSchema, options: CopyOptions): Promise<Result<number>> {
  const { from, to, batchSize, onProgress = () => {}, signal } = options;
  const { table } = schema;
  const epoch = `migration:${from.name}`;
  const end = await markOf(from, table);
  if (!end.ok || end.value === undefined) return end.ok ? ok(0) : end;
  const there = await markOf(to, table);
  if (!there.ok) return there;
  if (isSame(there.value, end.value)) return ok(0);
  if (there.value !== undefined && there.value.epoch !== epoch) {
    return conflict(
      `Table "${table}" of "${to.name}" has data of another origin: drop it there, or leave it out`,
    );
  }
  const before = there.value?.seq ?? 0;
  let mark = there.value;
  let read = 0;
  let last = 0;
  for (let cursor: string | undefined, more = true; more;) {
    if (signal?.aborted === true) return err(stopped(signal));
    const page = await from.queryDeltasSince(cursor, {
      tables: [table],
      limit: batchSize,
      ...(signal !== undefined && { signal }),
    });
    if (!page.ok) return page;
    ({ cursor, hasMore: more } = page.value);
    const entries = page.value.entries.slice(Math.max(0, before - read)).map((entry) => {
      // As they were; but where a log was begun anew they have to go on rising.
      last = Math.max(entry.seq, last + 1, (mark?.seq ?? 0) + 1);
      return { ...entry, seq: last };
    });
    read += page.value.entries.length;
    if (more && entries.length === 0) continue;
    if (!more) {
      const now = await markOf(from, table);
      if (!now.ok) return now;
      if (!isSame(now.value, end.value) || entries.length === 0) {
        return conflict(
          `Table "${table}" of "${from.name}" is still written to: stop what flushes there, and run this again`,
        );
      }
    }
    const next = more ? { epoch, seq: read } : end.value;
    const written = await write(to, { schema, entries, mark, next, signal });
    if (!written.ok) return written;
    mark = next;
    onProgress({ table, copied: read, done: !more });
  }
  return ok(read - before);
}

async function write(
  to: Destination,
  batch: {
    schema: TableSchema;
    entries: readonly FlushEntry[];
    mark: Watermark | undefined;
    next: Watermark;
    signal: AbortSignal | undefined;
  },
): Promise<Result<void>> {
  const { schema, entries, mark, next, signal } = batch;
  const { table } = schema;
  async function* once(): AsyncGenerator<readonly FlushEntry[]> {
    yield await Promise.resolve(entries);
  }
  let outcome: FlushOutcome | undefined;
  try {
    const full: FlushBatch = {
      id: `${next.epoch}-${table}-${next.seq}`,
      to: next,
      tables: new Map([[table, { schema, from: mark }]]),
      entries: once(),
      ...(signal !== undefined && { signal }),
    };
    const written = await to.write(full);
    if (!written.ok) return written;
    outcome = written.value.get(table);
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "INTERNAL"));
  }
  switch (outcome?.status) {
    case "committed":
      return ok(undefined);
    case "failed":
      return err(outcome.error);
    case "moved":
      return conflict(
        `Table "${table}" of "${to.name}" was written to by somebody else: stop that, and run this again`,
      );
    default:
      return err(
        new LakeSyncError("INTERNAL", `"${to.name}" took nothing of table "${table}"`),
      );
  }
}

async function markOf(
  place: Pick<Destination, "watermarks">,
  table: string,
): Promise<Result<Watermark | undefined>> {
  const marks = await place.watermarks([table]);
  return marks.ok ? ok(marks.value.get(table)) : marks;
}

function isSame(a: Watermark | undefined, b: Watermark | undefined): boolean {
  return a?.epoch === b?.epoch && a?.seq === b?.seq;
}

function conflict(message: string): Result<never> {
  return err(new LakeSyncError("CONFLICT", message));
}

function stopped(signal: AbortSignal): LakeSyncError {
  return new LakeSyncError("ABORTED", "The migration was stopped: run it again to go on", {
    cause: signal.reason,
  });
}
