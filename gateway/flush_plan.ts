import {
  type Delta,
  type Destination,
  type FlushBatch,
  type FlushEntry,
  type FlushTable,
  LakeSyncError,
  type Logger,
  type LogSnapshot,
  type LogStore,
  ok,
  type Result,
  type Scheduler,
  type TableSchema,
  type Watermark,
} from "@lakesync/core";
import { sameMark, type TableProgress } from "./flush_progress.ts";
import { isOfThisLog } from "./flush_history.ts";
import { readMarks } from "./flush_write.ts";
import { planRebuild } from "./rebuild.ts";

/** What plans are made with. */
export interface PlanContext {
  readonly store: LogStore;
  readonly destination: Destination;
  /** The tables of today. */
  readonly tables: () => Promise<Result<readonly TableSchema[]>>;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** What one flush to one destination knows. */
export interface FlushRun {
  /** Up to where it goes. */
  readonly head: number;
  readonly signal: AbortSignal | undefined;
  /** Up to where the destination had everything when the flush began. */
  readonly flushedSeq: number;
  /** How far its tables are, as far as the flush has come. */
  readonly progress: Map<string, TableProgress>;
  /** Tables that it leaves alone from now on, and why. */
  readonly failed: Map<string, LakeSyncError>;
}

/** What is to be written next. */
export interface PlannedBatch {
  readonly batch: FlushBatch;
  /** What the batch reads from, where that is not the log. */
  readonly snapshot?: LogSnapshot;
}

/** How much of the log one batch covers at the most. */
const BATCH_SEQS = 1_000_000;
const READ_ENTRIES = 2_000;
/** What a destination says of one of its tables, not of itself. */
const OF_A_TABLE = new Set(["CONFLICT", "CORRUPT", "VALIDATION_ERROR", "NOT_FOUND"]);

/**
 * Plans the next batch for a destination, and notes in the run how far each table is.
 *
 * @returns The batch; undefined where the destination has everything but for failed tables.
 */
export async function planBatch(
  context: PlanContext,
  run: FlushRun,
): Promise<Result<PlannedBatch | undefined>> {
  const { store } = context;
  for (;;) {
    const found = await lookAtTables(context, run);
    if (!found.ok) return found;
    const { tables, starts } = found.value;
    const first = Math.min(run.head, ...starts.values());
    if (first >= run.head) return ok(undefined);
    const reached = await store.read(first, { limit: 1 });
    if (reached.ok) {
      const to = await batchEnd(store, first, run.head);
      if (!to.ok) return to;
      const batch: FlushBatch = {
        id: `${store.epoch}-${first}-${to.value.seq}`,
        to: to.value,
        tables,
        entries: readEntries(store, { after: first, through: to.value.seq, starts }),
        ...(run.signal !== undefined && { signal: run.signal }),
      };
      return ok({ batch });
    }
    if (reached.error.code !== "CHECKPOINT_REQUIRED") return reached;
    const lost = await behindTrim(context, run, found.value);
    if (!lost.ok) return lost;
    if (lost.value.size === 0) continue;
    const rebuild = await planRebuild(store, { tables: lost.value, signal: run.signal });
    if (!rebuild.ok) return rebuild;
    context.logger.log("warn", "destination.rebuilt", {
      destination: context.destination.name,
      tables: [...lost.value.keys()],
      seq: rebuild.value.batch.to.seq,
    });
    return rebuild;
  }
}

interface Tables {
  readonly tables: ReadonlyMap<string, FlushTable>;
  /** By table, up to where it has everything. */
  readonly starts: ReadonlyMap<string, number>;
}

/** The tables that a batch may touch, and from where on. */
async function lookAtTables(context: PlanContext, run: FlushRun): Promise<Result<Tables>> {
  const { store } = context;
  // Read after the head: a table's schema is stored before its first entry.
  const today = await context.tables();
  if (!today.ok) return today;
  const schemas = today.value.filter(({ table }) => !run.failed.has(table));
  const marks = await marksOf(context, run, schemas.map(({ table }) => table));
  if (!marks.ok) return marks;
  const tables = new Map<string, FlushTable>();
  const starts = new Map<string, number>();
  for (const schema of schemas) {
    const { table } = schema;
    if (run.failed.has(table)) continue;
    const from = marks.value.get(table);
    // Of another epoch's data nothing is in this log.
    const has = from?.epoch === store.epoch ? from.seq : 0;
    // One that is as it was left has everything, though without news it keeps an older watermark.
    // Any other went on, was rolled back, lost or replaced: only its own watermark counts.
    const known = run.progress.get(table);
    const isAsLeft = sameMark(from, known?.mark);
    if (from !== undefined && has > 0 && !isAsLeft) {
      const written = await isOfThisLog(context, { table, mark: from });
      if (!written.ok) return written;
    }
    const left = isAsLeft ? known?.through ?? run.flushedSeq : 0;
    const through = Math.max(has, left);
    starts.set(table, through);
    tables.set(table, { schema, from });
    run.progress.set(table, { mark: from, through });
  }
  return ok({ tables, starts });
}

/** The tables' watermarks. Where one table makes the destination fail, only that one has failed. */
async function marksOf(
  context: PlanContext,
  run: FlushRun,
  tables: readonly string[],
): Promise<Result<ReadonlyMap<string, Watermark>>> {
  const { destination, scheduler } = context;
  const marks = await readMarks(destination, { tables, scheduler });
  if (marks.ok || !OF_A_TABLE.has(marks.error.code)) return marks;
  const found = new Map<string, Watermark>();
  for (const table of tables) {
    const own = await readMarks(destination, { tables: [table], scheduler });
    if (!own.ok) {
      if (!OF_A_TABLE.has(own.error.code)) return own;
      run.failed.set(table, own.error);
      continue;
    }
    const mark = own.value.get(table);
    if (mark !== undefined) found.set(table, mark);
  }
  return ok(found);
}

/** Of the tables that need what is trimmed, those that are empty and get the rows as they are. */
async function behindTrim(
  { store, destination }: PlanContext,
  run: FlushRun,
  { tables, starts }: Tables,
): Promise<Result<ReadonlyMap<string, FlushTable>>> {
  const stats = await store.stats();
  if (!stats.ok) return stats;
  const empty = new Map<string, FlushTable>();
  for (const [table, after] of starts) {
    if (after >= stats.value.trimmed) continue;
    const part = tables.get(table)!;
    if (part.from === undefined) empty.set(table, part);
    else run.failed.set(table, trimmedError(destination, { table, after }));
  }
  return ok(empty);
}

/** Where a batch that begins after `first` ends: between transactions. */
async function batchEnd(store: LogStore, first: number, head: number): Promise<Result<Watermark>> {
  const end = first + BATCH_SEQS;
  const read = end < head ? await store.read(end - 1, { limit: 1 }) : ok([]);
  if (!read.ok) return read;
  const seq = read.value[0]?.txLast ?? head;
  const hash = await store.hashAt(seq);
  if (!hash.ok) return hash;
  const { epoch } = store;
  return ok({ epoch, seq, ...(hash.value !== undefined && { hash: hash.value }) });
}

async function* readEntries(
  store: LogStore,
  range: { after: number; through: number; starts: ReadonlyMap<string, number> },
): AsyncGenerator<readonly FlushEntry[]> {
  for (let after = range.after; after < range.through;) {
    const read = await store.read(after, { limit: READ_ENTRIES, through: range.through });
    if (!read.ok) throw read.error;
    const last = read.value.at(-1);
    if (last === undefined) {
      throw new LakeSyncError("CORRUPT", `The log ends at seq ${after}, before ${range.through}`);
    }
    const entries: FlushEntry[] = [];
    for (const { seq, at, table, json } of read.value) {
      if (seq > (range.starts.get(table) ?? Infinity)) {
        entries.push({ seq, at, delta: JSON.parse(json) as Delta });
      }
    }
    yield entries;
    after = last.seq;
  }
}

function trimmedError(
  destination: Destination,
  lacks: { table: string; after: number },
): LakeSyncError {
  const { table, after } = lacks;
  return new LakeSyncError(
    "CONFLICT",
    `Table "${table}" of destination "${destination.name}" needs the log from seq ${
      after + 1
    } on, which is trimmed: restore it from a backup, or drop it and the next flush rebuilds it`,
    { details: { table, after } },
  );
}
