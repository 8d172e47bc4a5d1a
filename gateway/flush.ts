import {
  type Delta,
  type Destination,
  err,
  type FlushBatch,
  type FlushEntry,
  type FlushOutcome,
  type FlushTable,
  LakeSyncError,
  type Logger,
  type LogSnapshot,
  type LogStore,
  ok,
  type Random,
  type Result,
  type TableSchema,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";
import { planRebuild } from "./rebuild.ts";

/** What a flush did. */
export interface FlushReport {
  /** Every destination has everything up to this seq. */
  readonly flushedSeq: number;
  /** How many deltas were committed, summed over destinations. */
  readonly deltas: number;
  /** How many objects were written. */
  readonly objects: number;
}

/** What is noted when a flush to a destination has ended. */
export interface FlushedUpTo {
  /** The destination has everything up to this seq. */
  readonly seq: number;
  /** The watermark that each of its tables had then. A table without news keeps an older one. */
  readonly marks: ReadonlyMap<string, Watermark>;
}

/** What a flusher works on. */
export interface FlusherOptions {
  /** The log. */
  readonly store: LogStore;
  /** Where it goes. */
  readonly destinations: readonly Destination[];
  /** The tables of today. */
  readonly tables: () => Promise<Result<readonly TableSchema[]>>;
  /** For the lease's holder. */
  readonly random: Random;
  /** For what went wrong. */
  readonly logger: Logger;
}

/** What the store remembers of a destination: a hint for where to begin, never the truth. */
interface Progress {
  /** Everything up to here is in the destination. */
  readonly flushedSeq: number;
  /** The watermark that each of its tables had then. One without news keeps an older one. */
  readonly marks: readonly Mark[];
}

type Mark = readonly [table: string, epoch: string, seq: number];

/** What is to be written next. */
interface Planned {
  readonly batch: FlushBatch;
  /** Whether the destination has everything up to the head then. */
  readonly done: boolean;
  /** Up to where it then has everything. */
  readonly flushedSeq: number;
  /** The watermarks of its tables that are not in the batch. */
  readonly others: readonly Mark[];
  /** What the batch reads from, where that is not the log. */
  readonly snapshot?: LogSnapshot;
}

/** How much of the log one batch covers at the most. */
const BATCH_SEQS = 1_000_000;
const READ_ENTRIES = 2_000;
const LEASE = "flush";
const LEASE_MS = 60_000;
/** How often a batch is planned anew because its destination had moved. */
const ATTEMPTS = 5;

/**
 * Takes the log to the destinations (PROTOCOL, section 7). The truth about how far a table is stands
 * in the destination, in the same commit as its data; this only plans what goes on top of it.
 */
export class Flusher {
  readonly #options: FlusherOptions;
  readonly #holder: string;
  #running: Promise<Result<FlushReport>> | undefined;

  constructor(options: FlusherOptions) {
    this.#options = options;
    this.#holder = options.random.uuid();
  }

  /**
   * Flushes up to the present head. One that runs is joined.
   *
   * @param options Its signal.
   * @returns What it did; `NOT_FOUND` without destinations, `CONFLICT` while another instance
   * flushes, or the first destination's failure: what the others committed stays committed.
   */
  flush(options: { signal?: AbortSignal } = {}): Promise<Result<FlushReport>> {
    this.#running ??= this.#flush(options.signal).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Every destination has everything up to this seq, as far as the store knows. */
  async flushedSeq(): Promise<Result<number>> {
    const seqs = await this.flushedSeqs();
    return seqs.ok ? ok(seqs.value.size === 0 ? 0 : Math.min(...seqs.value.values())) : seqs;
  }

  /** The seq up to which each destination has everything, as far as the store knows. */
  async flushedSeqs(): Promise<Result<ReadonlyMap<string, number>>> {
    const seqs = new Map<string, number>();
    for (const destination of this.#options.destinations) {
      const progress = await this.#progress(destination);
      if (!progress.ok) return progress;
      seqs.set(destination.name, progress.value.flushedSeq);
    }
    return ok(seqs);
  }

  /** How far a destination was when a flush to it last ended; undefined where there is none of that name. */
  async flushedUpTo(name: string): Promise<Result<FlushedUpTo> | undefined> {
    const destination = this.#options.destinations.find((destination) => destination.name === name);
    if (destination === undefined) return undefined;
    const progress = await this.#progress(destination);
    if (!progress.ok) return progress;
    const { flushedSeq, marks } = progress.value;
    return ok({
      seq: flushedSeq,
      marks: new Map(marks.map(([table, epoch, seq]) => [table, { epoch, seq }])),
    });
  }

  async #flush(signal: AbortSignal | undefined): Promise<Result<FlushReport>> {
    const { store, destinations, logger } = this.#options;
    if (destinations.length === 0) {
      return err(
        new LakeSyncError("NOT_FOUND", "There is nowhere to flush to: configure a destination"),
      );
    }
    const lease = await this.#renewLease();
    if (!lease.ok) return lease;
    try {
      const head = await store.head();
      if (!head.ok) return head;
      let deltas = 0;
      let objects = 0;
      let failure: LakeSyncError | undefined;
      for (const destination of destinations) {
        const flushed = await this.#flushTo(destination, head.value.seq, signal);
        if (flushed.ok) {
          deltas += flushed.value.deltas;
          objects += flushed.value.objects;
        } else {
          failure ??= flushed.error;
          logger.log("error", "flush.failed", {
            destination: destination.name,
            code: flushed.error.code,
            message: flushed.error.message,
          });
        }
      }
      if (failure !== undefined) return err(failure);
      const flushedSeq = await this.flushedSeq();
      return flushedSeq.ok ? ok({ flushedSeq: flushedSeq.value, deltas, objects }) : flushedSeq;
    } finally {
      await store.releaseLease(LEASE, { holder: this.#holder });
    }
  }

  async #renewLease(): Promise<Result<void>> {
    const options = { holder: this.#holder, ttlMs: LEASE_MS };
    const lease = await this.#options.store.acquireLease(LEASE, options);
    if (!lease.ok) return lease;
    if (lease.value) return ok(undefined);
    return err(
      new LakeSyncError("CONFLICT", "Another instance is flushing: wait for it and try again"),
    );
  }

  async #flushTo(
    destination: Destination,
    head: number,
    signal: AbortSignal | undefined,
  ): Promise<Result<{ deltas: number; objects: number }>> {
    let deltas = 0;
    let objects = 0;
    /** Tables that were to be rebuilt and have no rows, so that no watermark tells of it. */
    const rowless = new Map<string, number>();
    for (let attempt = 0; attempt < ATTEMPTS;) {
      const lease = await this.#renewLease();
      if (!lease.ok) return lease;
      const planned = await this.#plan(destination, { head, rowless, signal });
      if (!planned.ok) return planned;
      if (planned.value === undefined) return ok({ deltas, objects });
      const { batch, done, flushedSeq, others, snapshot } = planned.value;
      const written = await write(destination, batch);
      await snapshot?.close();
      if (!written.ok) return written;
      let moved = false;
      const marks = [...others];
      for (const [table, { from }] of batch.tables) {
        const outcome = written.value.get(table) ?? unanswered(destination, table);
        if (outcome.status === "failed") return err(outcome.error);
        if (outcome.status === "moved") moved = true;
        if (outcome.status === "empty" && snapshot !== undefined) rowless.set(table, batch.to.seq);
        if (outcome.status === "committed") {
          deltas += outcome.deltas;
          objects += outcome.objects;
        }
        const mark = outcome.status === "committed" ? batch.to : from;
        if (mark !== undefined) marks.push([table, mark.epoch, mark.seq]);
      }
      if (moved) {
        attempt++;
        continue;
      }
      const stored = await this.#setProgress(destination, { flushedSeq, marks });
      if (!stored.ok) return stored;
      if (done) return ok({ deltas, objects });
    }
    return err(
      new LakeSyncError(
        "CONFLICT",
        `Destination "${destination.name}" kept changing under ${ATTEMPTS} attempts: is another gateway flushing to it?`,
      ),
    );
  }

  /** The next batch for a destination, or undefined where it has everything. */
  async #plan(
    destination: Destination,
    { head, rowless, signal }: {
      head: number;
      rowless: ReadonlyMap<string, number>;
      signal: AbortSignal | undefined;
    },
  ): Promise<Result<Planned | undefined>> {
    const { store } = this.#options;
    // Read after the head: a table's schema is stored before its first entry.
    const tablesOfToday = await this.#options.tables();
    if (!tablesOfToday.ok) return tablesOfToday;
    const schemas = tablesOfToday.value;
    const progress = await this.#progress(destination);
    if (!progress.ok) return progress;
    const marks = await destination.watermarks(schemas.map(({ table }) => table));
    if (!marks.ok) return marks;
    const known = new Map(
      progress.value.marks.map(([table, epoch, seq]) => [table, { epoch, seq }]),
    );
    const tables = new Map<string, FlushTable>();
    const starts = new Map<string, number>();
    for (const schema of schemas) {
      const from = marks.value.get(schema.table);
      // Of another epoch's data nothing is in this log.
      const has = from?.epoch === store.epoch ? from.seq : 0;
      // One that is as it was left has everything, though without news it keeps an older watermark.
      // Any other went on, was rolled back, lost or replaced: only its own watermark counts.
      const left = sameMark(from, known.get(schema.table));
      const start = Math.max(
        left ? Math.max(has, progress.value.flushedSeq) : has,
        from === undefined ? rowless.get(schema.table) ?? 0 : 0,
      );
      if (has > head) {
        // Another flusher may have gone on meanwhile, but not beyond the log.
        const present = await store.head();
        if (!present.ok) return present;
        if (has > present.value.seq) {
          return err(aheadOfLog(destination, schema.table, from, present.value.seq));
        }
      }
      starts.set(schema.table, start);
      tables.set(schema.table, { schema, from });
    }
    const first = Math.min(head, ...starts.values());
    if (first >= head) {
      if (progress.value.flushedSeq >= head) return ok(undefined);
      // A crash came between the commit and the note of it.
      const marks = [...tables].flatMap(([table, { from }]) =>
        from === undefined ? [] : [[table, from.epoch, from.seq] as const]
      );
      const stored = await this.#setProgress(destination, { flushedSeq: head, marks });
      return stored.ok ? ok(undefined) : stored;
    }
    const reached = await store.read(first, { limit: 1 });
    if (!reached.ok) {
      const trimmed = reached.error.code === "CHECKPOINT_REQUIRED";
      return trimmed ? await this.#planRebuild(destination, { tables, starts, signal }) : reached;
    }
    const to = await this.#batchEnd(first, head);
    if (!to.ok) return to;
    const batch: FlushBatch = {
      id: `${store.epoch}-${first}-${to.value}`,
      to: { epoch: store.epoch, seq: to.value },
      tables,
      entries: readEntries(store, { after: first, through: to.value, starts }),
      ...(signal !== undefined && { signal }),
    };
    return ok({ batch, done: to.value === head, flushedSeq: to.value, others: [] });
  }

  /** Tables that need what is trimmed, and are empty, get the rows as they are. */
  async #planRebuild(
    destination: Destination,
    plan: {
      tables: ReadonlyMap<string, FlushTable>;
      starts: ReadonlyMap<string, number>;
      signal: AbortSignal | undefined;
    },
  ): Promise<Result<Planned>> {
    const { store, logger } = this.#options;
    const stats = await store.stats();
    if (!stats.ok) return stats;
    const empty = new Map<string, FlushTable>();
    const others: Mark[] = [];
    let flushedSeq = Infinity;
    for (const [table, start] of plan.starts) {
      const part = plan.tables.get(table)!;
      if (start >= stats.value.trimmed) {
        flushedSeq = Math.min(flushedSeq, start);
        if (part.from !== undefined) others.push([table, part.from.epoch, part.from.seq]);
      } else if (part.from === undefined) empty.set(table, part);
      else return err(behindTrim(destination, { table, after: start }));
    }
    const rebuild = await planRebuild(store, { tables: empty, signal: plan.signal });
    if (!rebuild.ok) return rebuild;
    logger.log("warn", "destination.rebuilt", {
      destination: destination.name,
      tables: [...empty.keys()],
      seq: rebuild.value.batch.to.seq,
    });
    flushedSeq = Math.min(flushedSeq, rebuild.value.batch.to.seq);
    return ok({ ...rebuild.value, done: false, flushedSeq, others });
  }

  /** Where a batch that begins after `first` ends: between transactions. */
  async #batchEnd(first: number, head: number): Promise<Result<number>> {
    const end = first + BATCH_SEQS;
    if (end >= head) return ok(head);
    const read = await this.#options.store.read(end - 1, { limit: 1 });
    return read.ok ? ok(read.value[0]?.txLast ?? head) : read;
  }

  async #progress(destination: Destination): Promise<Result<Progress>> {
    const stored = await this.#options.store.getValue(progressKey(destination));
    if (!stored.ok) return stored;
    return ok(
      stored.value === undefined
        ? { flushedSeq: 0, marks: [] }
        : JSON.parse(stored.value) as Progress,
    );
  }

  async #setProgress(destination: Destination, progress: Progress): Promise<Result<void>> {
    const present = await this.#progress(destination);
    if (!present.ok) return present;
    // Another flusher has come further.
    if (present.value.flushedSeq > progress.flushedSeq) return ok(undefined);
    return await this.#options.store.setValue(progressKey(destination), JSON.stringify(progress));
  }
}

function sameMark(a: Watermark | undefined, b: Watermark | undefined): boolean {
  return a?.epoch === b?.epoch && a?.seq === b?.seq;
}

/** Writes a batch; what its entries or the destination throw becomes the error. */
async function write(
  destination: Destination,
  batch: FlushBatch,
): Promise<Result<ReadonlyMap<string, FlushOutcome>>> {
  try {
    return await destination.write(batch);
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "INTERNAL"));
  }
}

function unanswered(destination: Destination, table: string): FlushOutcome {
  const message = `Destination "${destination.name}" gave no outcome for table "${table}"`;
  return { status: "failed", error: new LakeSyncError("INTERNAL", message) };
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

function progressKey(destination: Destination): string {
  return `flush:${destination.name}`;
}

function behindTrim(
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

function aheadOfLog(
  destination: Destination,
  table: string,
  from: Watermark | undefined,
  head: number,
): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Table "${table}" of destination "${destination.name}" is at seq ${from?.seq} and the log only at ${head}: the log was restored from an older backup, give the gateway a new log or the destination a new location`,
    { details: { table, watermark: from?.seq ?? null, head } },
  );
}
