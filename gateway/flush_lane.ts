import {
  type Destination,
  err,
  LakeSyncError,
  type Logger,
  type LogStore,
  ok,
  type Result,
  type Scheduler,
  type TableSchema,
} from "@lakesync/core";
import { type FlushRun, planBatch, type PlannedBatch } from "./flush_plan.ts";
import { readProgress, type TableProgress, writeProgress } from "./flush_progress.ts";
import { STALL_MS, writeBatch } from "./flush_write.ts";

/** What a {@linkcode FlushLane} works on. */
export interface LaneOptions {
  readonly store: LogStore;
  readonly destination: Destination;
  readonly tables: () => Promise<Result<readonly TableSchema[]>>;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** The lease that it is flushed under, and by whom. */
  readonly lease: { readonly name: string; readonly holder: string };
}

/** What a flush to one destination wrote. */
export interface LaneReport {
  readonly deltas: number;
  readonly objects: number;
}

/** What a destination last failed with. */
export interface LaneFailure {
  readonly error: LakeSyncError;
  /** How often in a row. */
  readonly attempts: number;
  /** The tables that it was about, each with its own; none where it was about all of them. */
  readonly tables: ReadonlyMap<string, LakeSyncError>;
}

const LEASE_MS = 60_000;
/** How often a batch is planned anew because its destination had moved. */
const ATTEMPTS = 5;
/** What a lane that works behind others waits after a failure: twice as long after each further one. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 300_000;
/** How often the time is doubled, at the most, that a destination may go without a sign. */
const MAX_DOUBLINGS = 4;

/** Takes the log to one destination, by its own watermark, lease and pace. */
export class FlushLane {
  readonly #options: LaneOptions;
  #running: Promise<Result<LaneReport>> | undefined;
  #next: Promise<Result<LaneReport>> | undefined;
  #failure: LaneFailure | undefined;
  /** The tables that fail in the flush under way. */
  #failed: ReadonlyMap<string, LakeSyncError> = new Map();
  /** How often in a row the destination gave no sign. */
  #stalls = 0;
  /** Ends the pause that it makes after a failure. */
  #pause: AbortController | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get destination(): Destination {
    return this.#options.destination;
  }

  /** What the last flush failed with; undefined where it did not. */
  get failure(): LaneFailure | undefined {
    return this.#failure;
  }

  /** The flush under way. */
  get running(): Promise<unknown> | undefined {
    return this.#running;
  }

  /** Flushes up to the present head. */
  run(signal: AbortSignal | undefined): Promise<Result<LaneReport>> {
    return this.#running ??= this.#run(signal).finally(() => {
      this.#running = undefined;
    });
  }

  /**
   * Has everything up to the present head flushed behind the caller: now, or after the flush under
   * way. One that fails is tried again, with growing pauses, until it is through.
   *
   * @param options `urgent`: it does not wait for the end of a pause.
   * @returns What the first flush does that begins from now on; undefined within a pause.
   */
  follow(
    options: { urgent: boolean; signal: AbortSignal },
  ): Promise<Result<LaneReport>> | undefined {
    if (this.#pause !== undefined && !options.urgent) return undefined;
    this.#pause?.abort();
    this.#pause = undefined;
    if (this.#running === undefined) return this.#follow(options.signal);
    return this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#follow(options.signal);
    });
  }

  async #follow(signal: AbortSignal): Promise<Result<LaneReport>> {
    const flushed = await this.run(signal);
    if (this.#failure !== undefined && !signal.aborted) void this.#retry(signal);
    return flushed;
  }

  async #retry(signal: AbortSignal): Promise<void> {
    if (this.#pause !== undefined || this.#failure === undefined) return;
    const pause = this.#pause = new AbortController();
    const ms = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(this.#failure.attempts - 1, 30));
    await this.#options.scheduler.delay(ms, { signal: AbortSignal.any([signal, pause.signal]) });
    // Somebody was in more of a hurry.
    if (this.#pause !== pause) return;
    this.#pause = undefined;
    if (!signal.aborted) void this.follow({ urgent: true, signal });
  }

  async #run(signal: AbortSignal | undefined): Promise<Result<LaneReport>> {
    const { store, lease: { name, holder }, destination: { name: destination }, logger } =
      this.#options;
    const lease = await this.#renewLease();
    // It is another's work: that it does not get there is that one's failure.
    if (!lease.ok) return lease;
    let flushed: Result<LaneReport>;
    try {
      flushed = await this.#flush(signal);
    } finally {
      await store.releaseLease(name, { holder });
    }
    if (flushed.ok || signal?.aborted === true) this.#failure = undefined;
    else {
      const { error } = flushed;
      const attempts = (this.#failure?.attempts ?? 0) + 1;
      this.#failure = { error, attempts, tables: this.#failed };
      const { code, message } = error;
      logger.log("error", "flush.failed", { destination, attempts, code, message });
    }
    return flushed;
  }

  async #flush(signal: AbortSignal | undefined): Promise<Result<LaneReport>> {
    const { store, destination } = this.#options;
    const head = await store.head();
    if (!head.ok) return head;
    const { seq } = head.value;
    const before = await readProgress(store, destination.name);
    if (!before.ok) return before;
    const { flushedSeq, tables } = before.value;
    const progress = new Map(tables);
    const failed = new Map<string, LakeSyncError>();
    this.#failed = failed;
    const run: FlushRun = { head: seq, signal, flushedSeq, progress, failed };
    const total = { deltas: 0, objects: 0 };
    for (let attempt = 0; attempt < ATTEMPTS;) {
      const lease = await this.#renewLease();
      if (!lease.ok) return lease;
      const planned = await planBatch(this.#options, run);
      if (!planned.ok) return planned;
      if (planned.value !== undefined) {
        const written = await this.#write(planned.value, { run, total });
        if (!written.ok) return written;
        if (written.value === "moved") {
          attempt++;
          continue;
        }
      }
      const noted = await this.#note(run, { changed: planned.value !== undefined });
      if (!noted.ok) return noted;
      const through = planned.value?.snapshot === undefined ? planned.value?.batch.to.seq : 0;
      if (through !== undefined && through < seq) continue;
      for (const error of run.failed.values()) return err(error);
      return ok(total);
    }
    return err(
      new LakeSyncError(
        "CONFLICT",
        `Destination "${destination.name}" kept changing under ${ATTEMPTS} attempts: is another gateway flushing to it?`,
      ),
    );
  }

  /** Writes a batch and notes in the run how far its tables are. */
  async #write(
    { batch, snapshot }: PlannedBatch,
    { run, total }: { run: FlushRun; total: { deltas: number; objects: number } },
  ): Promise<Result<"done" | "moved">> {
    const { destination, scheduler } = this.#options;
    // One that hangs is to be tried again soon; one that is slow has to get through in the end.
    const patienceMs = STALL_MS * 2 ** Math.min(this.#stalls, MAX_DOUBLINGS);
    const written = await writeBatch(destination, batch, { scheduler, patienceMs });
    await snapshot?.close();
    const isStall = !written.ok && written.error.code === "TIMEOUT";
    this.#stalls = isStall ? this.#stalls + 1 : 0;
    if (!written.ok) return written;
    let moved = false;
    for (const [table, { from }] of batch.tables) {
      const outcome = written.value.get(table);
      if (outcome === undefined) {
        const message = `Destination "${destination.name}" gave no outcome for table "${table}"`;
        run.failed.set(table, new LakeSyncError("INTERNAL", message));
      } else if (outcome.status === "failed") run.failed.set(table, outcome.error);
      else if (outcome.status === "moved") moved = true;
      else {
        const committed = outcome.status === "committed";
        if (committed) {
          total.deltas += outcome.deltas;
          total.objects += outcome.objects;
        }
        // One without news may be further than the batch, which goes back for the sake of another.
        const through = committed
          ? batch.to.seq
          : Math.max(run.progress.get(table)?.through ?? 0, batch.to.seq);
        run.progress.set(table, { mark: committed ? batch.to : from, through });
      }
    }
    return ok(moved ? "moved" : "done");
  }

  /** Notes how far the destination is. A table that failed stays where it was. */
  async #note(run: FlushRun, { changed }: { changed: boolean }): Promise<Result<void>> {
    const { store, destination } = this.#options;
    const tables = await this.#options.tables();
    if (!tables.ok) return tables;
    const progress = new Map<string, TableProgress>();
    let flushedSeq = run.failed.size > 0 ? Infinity : run.head;
    for (const { table } of tables.value) {
      // A table that was added meanwhile has its entries beyond the head.
      if (!run.failed.has(table) && !run.progress.has(table)) continue;
      const known = run.progress.get(table) ?? { mark: undefined, through: run.flushedSeq };
      progress.set(table, known);
      flushedSeq = Math.min(flushedSeq, known.through);
    }
    if (!changed && flushedSeq <= run.flushedSeq) return ok(undefined);
    return await writeProgress(store, destination.name, { flushedSeq, tables: progress });
  }

  async #renewLease(): Promise<Result<void>> {
    const { store, lease: { name, holder } } = this.#options;
    const lease = await store.acquireLease(name, { holder, ttlMs: LEASE_MS });
    if (!lease.ok) return lease;
    if (lease.value) return ok(undefined);
    return err(
      new LakeSyncError("CONFLICT", "Another instance is flushing: wait for it and try again"),
    );
  }
}
