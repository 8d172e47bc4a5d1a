import type { LakeSyncError, SqlRow } from "@lakesync/core";
import type { LiveQueries, LiveTarget } from "./_live_queries.ts";

/** Options of {@linkcode LiveQuery.subscribe}. */
export interface SubscribeOptions {
  /**
   * Called where the query fails; the subscription goes on with the next change.
   *
   * @default {undefined} the client's `error` event tells it
   */
  onError?: (error: LakeSyncError) => void;
}

/**
 * What is different from the result before. Rows are the same where they have the same `id`; where a
 * result has no column `id`, or a value of it twice, rows are compared as a whole, so that a changed
 * one counts as one removed and one added. Rows that only moved are in none of the lists.
 *
 * @typeParam Row The shape of a row.
 */
export interface RowChanges<Row = SqlRow> {
  /** Rows that are new; with a subscription's first result all of them. */
  readonly added: readonly Row[];
  /** Rows with other values than before, as they are now. */
  readonly changed: readonly Row[];
  /** Rows that are gone, as they were. */
  readonly removed: readonly Row[];
}

/**
 * A query whose result follows the data: the first result comes at once, then one after each
 * transaction, from either side, that changed it. A client runs a query once for all who subscribe
 * to the same SQL with the same parameters; changes that come while it runs are answered together.
 *
 * @typeParam Row The shape that the app knows a result's row to have; it is not checked.
 */
export interface LiveQuery<Row = SqlRow> extends AsyncIterable<Row[]> {
  /**
   * The newest result while somebody subscribes; undefined until the first one came. The same array
   * until the result changes, and rows that did not change stay the same objects: not to be changed.
   */
  readonly current: readonly Row[] | undefined;
  /**
   * Calls a function with each result.
   *
   * @param listener Gets all rows of the result, which it shares with all who subscribe, and what is
   * different from the one before.
   * @returns Ends the subscription.
   */
  subscribe(
    listener: (rows: Row[], changes: RowChanges<Row>) => void,
    options?: SubscribeOptions,
  ): () => void;
  /**
   * Iterates over results: the newest one each time, those between are left out. Ends with the
   * client; throws a `LakeSyncError` where the query fails.
   */
  [Symbol.asyncIterator](): AsyncIterator<Row[], undefined, undefined>;
}

/** Told about results. */
export interface LiveSubscriber {
  rows(rows: SqlRow[], changes: RowChanges<SqlRow>): void;
  error(error: LakeSyncError): void;
  end(): void;
}

/** A live query over a client's shared ones. */
export function liveQuery(queries: LiveQueries, target: LiveTarget): LiveQuery {
  return {
    get current() {
      return queries.current(target);
    },
    subscribe(listener, options = {}) {
      return queries.subscribe(target, {
        rows: listener,
        error: options.onError ?? queries.failed,
        end: () => {},
      });
    },
    [Symbol.asyncIterator]: () => iterate((subscriber) => queries.subscribe(target, subscriber)),
  };
}

function iterate(
  subscribe: (subscriber: LiveSubscriber) => () => void,
): AsyncIterator<SqlRow[], undefined, undefined> {
  let newest: { rows: SqlRow[] } | undefined;
  let failure: LakeSyncError | undefined;
  let ended = false;
  let wake = (): void => {};
  const stop = subscribe({
    rows(rows) {
      newest = { rows };
      wake();
    },
    error(error) {
      failure = error;
      wake();
    },
    end() {
      ended = true;
      wake();
    },
  });
  const finish = (): IteratorResult<SqlRow[], undefined> => {
    ended = true;
    stop();
    wake();
    return { done: true, value: undefined };
  };
  return {
    async next() {
      for (;;) {
        if (newest !== undefined && !ended) {
          const { rows } = newest;
          newest = undefined;
          return { done: false, value: rows };
        }
        if (failure !== undefined) {
          const error = failure;
          failure = undefined;
          finish();
          throw error;
        }
        if (ended) return finish();
        await new Promise<void>((resolve) => wake = resolve);
      }
    },
    return() {
      return Promise.resolve(finish());
    },
  };
}
