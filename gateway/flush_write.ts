import {
  type Destination,
  err,
  type FlushBatch,
  type FlushOutcome,
  LakeSyncError,
  type Result,
  type Scheduler,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";

/** A destination that neither reads on nor answers for so long is given up for this time at first, in ms. */
export const STALL_MS = 600_000;

/** Asks a destination how far its tables are. */
export function readMarks(
  destination: Destination,
  options: { tables: readonly string[]; scheduler: Scheduler },
): Promise<Result<ReadonlyMap<string, Watermark>>> {
  const { tables, scheduler } = options;
  const patience = { scheduler, patienceMs: STALL_MS };
  return watched(destination, patience, () => destination.watermarks(tables));
}

/**
 * Writes a batch; what its entries or the destination throw becomes the error, and a destination that
 * hangs becomes `TIMEOUT`. Should that one commit later after all, its watermark tells the next batch.
 */
export function writeBatch(
  destination: Destination,
  batch: FlushBatch,
  options: Patience,
): Promise<Result<ReadonlyMap<string, FlushOutcome>>> {
  return watched(destination, options, (signs) => {
    const signal = AbortSignal.any([signs.signal, ...batch.signal ? [batch.signal] : []]);
    async function* entries() {
      for await (const chunk of batch.entries) {
        signs.ofLife();
        signs.signal.throwIfAborted();
        yield chunk;
      }
      signs.ofLife();
    }
    return destination.write({ ...batch, entries: entries(), signal });
  });
}

interface Patience {
  readonly scheduler: Scheduler;
  /** How long a destination may go without a sign, in ms. */
  readonly patienceMs: number;
}

interface Signs {
  /** Aborts what hangs. */
  readonly signal: AbortSignal;
  /** Tells that it goes on. */
  ofLife(): void;
}

async function watched<T>(
  { name }: Destination,
  { scheduler, patienceMs }: Patience,
  body: (signs: Signs) => Promise<Result<T>>,
): Promise<Result<T>> {
  const giveUp = new AbortController();
  const ended = new AbortController();
  let signs = 0;
  const stalled = async (): Promise<Result<T>> => {
    for (let seen = -1; seen !== signs && !ended.signal.aborted;) {
      seen = signs;
      await scheduler.delay(patienceMs, { signal: ended.signal });
    }
    const message = `Destination "${name}" gave no sign for ${
      patienceMs / 60_000
    } minutes: see whether it answers, what it lacks is tried again, with more time`;
    const error = new LakeSyncError("TIMEOUT", message);
    giveUp.abort(error);
    return err(error);
  };
  const run = async (): Promise<Result<T>> => {
    try {
      return await body({ signal: giveUp.signal, ofLife: () => void signs++ });
    } catch (thrown) {
      return err(toLakeSyncError(thrown, "INTERNAL"));
    }
  };
  const result = await Promise.race([run(), stalled()]);
  ended.abort();
  return result;
}
