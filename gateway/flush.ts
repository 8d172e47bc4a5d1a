import {
  type Destination,
  err,
  LakeSyncError,
  type Logger,
  type LogStore,
  ok,
  type Random,
  type Result,
  type Scheduler,
  type TableSchema,
  type Watermark,
} from "@lakesync/core";
import { FlushLane, type LaneFailure, type LaneReport } from "./flush_lane.ts";
import { readProgress } from "./flush_progress.ts";

/** What a flush did. */
export interface FlushReport {
  /** Every destination has everything up to this seq. */
  readonly flushedSeq: number;
  /** How many deltas were committed, summed over the destinations that were waited for. */
  readonly deltas: number;
  /** How many objects were written. */
  readonly objects: number;
}

/** Options of a flush. */
export interface FlushOptions {
  /** Stops it between commits. */
  readonly signal?: AbortSignal;
  /**
   * How long the destinations behind the first are waited for, in ms from when that has everything.
   * They get everything in any case: one that is slow, or away, later.
   *
   * @default {0}
   */
  readonly waitMs?: number;
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
  /** Where it goes: the primary, then the others. */
  readonly destinations: readonly Destination[];
  /** The tables of today. */
  readonly tables: () => Promise<Result<readonly TableSchema[]>>;
  /** For the leases' holder. */
  readonly random: Random;
  /** For pauses, and for destinations that hang. */
  readonly scheduler: Scheduler;
  /** For what went wrong. */
  readonly logger: Logger;
}

/** How long a close waits for flushes under way, in ms. */
const CLOSE_MS = 5_000;

/**
 * Takes the log to the destinations (PROTOCOL, section 7). The truth about how far a table is stands
 * in the destination, in the same commit as its data; this only plans what goes on top of it.
 *
 * The first destination is the primary: a flush is as long, and as successful, as the flush to it.
 * Each of the others follows at its own pace, and is tried again by itself.
 */
export class Flusher {
  readonly #options: FlusherOptions;
  readonly #lanes: readonly FlushLane[];
  readonly #closing: AbortController = new AbortController();
  #running: Promise<Result<FlushReport>> | undefined;

  constructor(options: FlusherOptions) {
    this.#options = options;
    const { destinations, store, tables, scheduler, logger } = options;
    const holder = options.random.uuid();
    this.#lanes = destinations.map((destination, i) => {
      const name = i === 0 ? "flush" : `flush:${destination.name}`;
      const lease = { name, holder };
      return new FlushLane({ store, destination, tables, scheduler, logger, lease });
    });
  }

  /**
   * Flushes up to the present head. One that runs is joined.
   *
   * @param options Its signal, and whether the others are waited for.
   * @returns What it did; `NOT_FOUND` without destinations, `CONFLICT` while another instance
   * flushes, or the primary's failure: what was committed stays committed.
   */
  flush(options: FlushOptions = {}): Promise<Result<FlushReport>> {
    this.#running ??= this.#flush(options).finally(() => {
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
    for (const { name } of this.#options.destinations) {
      const progress = await readProgress(this.#options.store, name);
      if (!progress.ok) return progress;
      seqs.set(name, progress.value.flushedSeq);
    }
    return ok(seqs);
  }

  /** What each destination that fails last failed with, by its name. */
  failures(): ReadonlyMap<string, LaneFailure> {
    const failures = new Map<string, LaneFailure>();
    for (const { destination, failure } of this.#lanes) {
      if (failure !== undefined) failures.set(destination.name, failure);
    }
    return failures;
  }

  /** How far a destination was when a flush to it last ended; undefined where there is none of that name. */
  async flushedUpTo(name: string): Promise<Result<FlushedUpTo> | undefined> {
    const { destinations, store } = this.#options;
    if (!destinations.some((destination) => destination.name === name)) return undefined;
    const progress = await readProgress(store, name);
    if (!progress.ok) return progress;
    const { flushedSeq, tables } = progress.value;
    const marks = new Map<string, Watermark>();
    for (const [table, { mark }] of tables) if (mark !== undefined) marks.set(table, mark);
    return ok({ seq: flushedSeq, marks });
  }

  /** Ends pauses, and flushes under way between commits; begins no other. */
  async close(): Promise<void> {
    this.#closing.abort(new LakeSyncError("CLOSED", "The gateway was closed"));
    const ended = new AbortController();
    const running = Promise.allSettled(this.#lanes.map((lane) => lane.running));
    const { scheduler } = this.#options;
    await Promise.race([running, scheduler.delay(CLOSE_MS, { signal: ended.signal })]);
    ended.abort();
  }

  async #flush(options: FlushOptions): Promise<Result<FlushReport>> {
    const { waitMs = 0, signal } = options;
    const closing = this.#closing.signal;
    const [primary, ...others] = this.#lanes;
    if (primary === undefined) {
      return err(
        new LakeSyncError("NOT_FOUND", "There is nowhere to flush to: configure a destination"),
      );
    }
    const following = closing.aborted
      ? []
      : others.map((lane) => lane.follow({ urgent: waitMs > 0, signal: closing }));
    const first = await primary.run(
      signal === undefined ? closing : AbortSignal.any([signal, closing]),
    );
    const reports = await this.#wait(following, waitMs);
    if (!first.ok) return first;
    const flushedSeq = await this.flushedSeq();
    if (!flushedSeq.ok) return flushedSeq;
    const all = [first.value, ...reports];
    return ok({
      flushedSeq: flushedSeq.value,
      deltas: all.reduce((sum, { deltas }) => sum + deltas, 0),
      objects: all.reduce((sum, { objects }) => sum + objects, 0),
    });
  }

  /** What was flushed behind the primary until the time is over. */
  async #wait(
    following: readonly (Promise<Result<LaneReport>> | undefined)[],
    waitMs: number,
  ): Promise<LaneReport[]> {
    const reports: LaneReport[] = [];
    if (waitMs <= 0 || following.length === 0) return reports;
    const all = following.map(async (flushing) => {
      const flushed = await flushing;
      if (flushed?.ok === true) reports.push(flushed.value);
    });
    const ended = new AbortController();
    const { scheduler } = this.#options;
    await Promise.race([Promise.all(all), scheduler.delay(waitMs, { signal: ended.signal })]);
    ended.abort();
    return reports;
  }
}
