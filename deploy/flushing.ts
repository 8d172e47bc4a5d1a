import type { Logger, LogStore, Scheduler } from "@lakesync/core";
import type { FlushOptions, Gateway } from "@lakesync/gateway";

/** With how much that is not flushed yet a flush does not wait for its time. */
export interface FlushThresholds {
  /**
   * So many deltas.
   *
   * @default {Infinity}
   */
  rows?: number;
  /**
   * So many bytes of deltas as JSON, roughly. To know it the log is read once more.
   *
   * @default {Infinity}
   */
  bytes?: number;
}

/** How often it is looked whether a threshold is reached. */
const CHECK_MS = 1_000;

/**
 * Flushes gateways every so often, and those at a threshold earlier.
 *
 * @param gateways The gateways.
 * @param options How often, from how much on, and until when.
 * @returns Resolves when the signal has ended it, after the flush under way.
 */
export async function flushRegularly(
  gateways: readonly Gateway[],
  options: {
    everyMs: number;
    flushAt: FlushThresholds;
    scheduler: Scheduler;
    logger: Logger;
    signal: AbortSignal;
    /** Called when those were flushed that were due. */
    onFlushed?: () => void;
  },
): Promise<void> {
  const { everyMs, flushAt, scheduler, logger, signal, onFlushed } = options;
  const watched = flushAt.rows !== undefined || flushAt.bytes !== undefined;
  const backlogs = new Map(
    gateways.map((gateway) => [gateway, new Backlog(gateway.store, flushAt)]),
  );
  let waited = 0;
  for (;;) {
    const wait = watched ? Math.min(CHECK_MS, everyMs - waited) : everyMs;
    await scheduler.delay(wait, { signal });
    if (signal.aborted) return;
    waited += wait;
    const due = waited >= everyMs;
    if (due) waited = 0;
    let flushed = false;
    for (const [gateway, backlog] of backlogs) {
      const full = watched && await backlog.isFull();
      if (!full && !due) continue;
      // A flush that fails waits for its time, or for as much again.
      backlog.begin();
      await flushOnce(gateway, logger);
      flushed = true;
    }
    if (flushed) onFlushed?.();
  }
}

/** What has come into a log since a flush began. */
class Backlog {
  readonly #store: LogStore;
  readonly #rows: number;
  readonly #bytes: number;
  /** Where the log was when the last flush began. */
  #from: number | undefined;
  /** Up to where it was looked at. */
  #seen = 0;
  /** The bytes between the two. */
  #size = 0;

  constructor(store: LogStore, { rows = Infinity, bytes = Infinity }: FlushThresholds) {
    this.#store = store;
    this.#rows = rows;
    this.#bytes = bytes;
  }

  /** Whether a threshold is reached. A log that cannot be read now is looked at again later. */
  async isFull(): Promise<boolean> {
    const head = await this.#store.head();
    if (!head.ok) return false;
    const { seq } = head.value;
    this.#from ??= seq;
    if (seq - this.#from >= this.#rows) {
      this.#seen = seq;
      return true;
    }
    if (this.#bytes === Infinity) {
      this.#seen = seq;
      return false;
    }
    this.#seen = Math.max(this.#seen, this.#from);
    while (this.#seen < seq && this.#size < this.#bytes) {
      const entries = await this.#store.read(this.#seen, { limit: 2_000, through: seq });
      if (!entries.ok || entries.value.length === 0) break;
      for (const { json } of entries.value) this.#size += json.length;
      this.#seen = entries.value.at(-1)!.seq;
    }
    return this.#size >= this.#bytes;
  }

  /** Notes that a flush begins. */
  begin(): void {
    this.#from = this.#from === undefined ? undefined : this.#seen;
    this.#size = 0;
  }
}

/** How long the last flushes of a server may take together, in ms … */
const LAST_MS = 30_000;
/** … and each of them beyond its primary destination. */
const OTHERS_MS = 5_000;

/**
 * Flushes gateways before they are closed, one after the other. A lake that does not answer keeps no
 * server from stopping: the log has everything for the next one.
 */
export async function flushLast(
  gateways: readonly Gateway[],
  { logger, scheduler }: { logger: Logger; scheduler: Scheduler },
): Promise<void> {
  const done = new AbortController();
  const late = new AbortController();
  const time = scheduler.delay(LAST_MS, { signal: done.signal }).then(() => late.abort());
  for (const gateway of gateways) {
    if (late.signal.aborted) break;
    const { signal } = late;
    await Promise.race([flushOnce(gateway, logger, { waitMs: OTHERS_MS, signal }), time]);
  }
  done.abort();
}

/** Flushes a gateway's log and tells of it. */
export async function flushOnce(
  gateway: Gateway,
  logger: Logger,
  options: FlushOptions = {},
): Promise<void> {
  const flushed = await gateway.flush(options);
  if (!flushed.ok) {
    const { code, message } = flushed.error;
    logger.log("error", "flush.failed", { gateway: gateway.id, code, message });
  } else if (flushed.value.deltas > 0) {
    logger.log("info", "flush.done", { gateway: gateway.id, ...flushed.value });
  }
}
