import type { LakeSyncError, SqlDatabase, SqlRow, SqlValue } from "@lakesync/core";
import type { LiveHub } from "./_live_hub.ts";

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
 * A query whose result follows the data: the first result comes at once, then one after each
 * transaction, from either side, that changed it. It runs again only where a table that it reads has
 * changed; changes that come while it runs are answered together.
 *
 * @typeParam Row The shape that the app knows a result's row to have; it is not checked.
 */
export interface LiveQuery<Row extends SqlRow = SqlRow> extends AsyncIterable<Row[]> {
  /**
   * Calls a function with each result.
   *
   * @param listener Gets all rows of the result.
   * @returns Ends the subscription.
   */
  subscribe(listener: (rows: Row[]) => void, options?: SubscribeOptions): () => void;
  /**
   * Iterates over results: the newest one each time, those between are left out. Ends with the
   * client; throws a `LakeSyncError` where the query fails.
   */
  [Symbol.asyncIterator](): AsyncIterator<Row[], undefined, undefined>;
}

/** What a live query works with. */
export interface LiveContext {
  readonly database: SqlDatabase;
  readonly hub: LiveHub;
  /** Told about failures that nobody else is told about, and about listeners that throw. */
  readonly failed: (error: LakeSyncError) => void;
  readonly threw: (thrown: unknown) => void;
}

/** Makes a live query. */
export function liveQuery<Row extends SqlRow>(
  context: LiveContext,
  sql: string,
  params: readonly SqlValue[],
): LiveQuery<Row> {
  const start = (deliver: Deliver<Row>): () => void => watch(context, { sql, params, deliver });
  return {
    subscribe(listener, options = {}) {
      return start({
        rows(rows) {
          try {
            listener(rows);
          } catch (thrown) {
            context.threw(thrown);
          }
        },
        error: options.onError ?? context.failed,
        end: () => {},
      });
    },
    [Symbol.asyncIterator]: () => iterate(start),
  };
}

interface Deliver<Row> {
  rows(rows: Row[]): void;
  error(error: LakeSyncError): void;
  end(): void;
}

/** Runs the query now and after each change that matters, never twice at once. */
function watch<Row extends SqlRow>(
  context: LiveContext,
  query: { sql: string; params: readonly SqlValue[]; deliver: Deliver<Row> },
): () => void {
  const { database, hub } = context;
  const { sql, params, deliver } = query;
  let reads: ReadonlySet<string> | undefined;
  let running = false;
  let dirty = true;
  let last: readonly SqlRow[] | undefined;
  let stopped = hub.closed;

  const run = async (): Promise<void> => {
    if (running) return;
    running = true;
    // What changes within one turn of the event loop is answered by one run.
    await Promise.resolve();
    while (dirty && !stopped) {
      dirty = false;
      if (reads === undefined) {
        const tables = await database.tablesOf(sql);
        if (tables.ok) reads = new Set(tables.value);
      }
      const result = await database.query(sql, params);
      if (stopped) break;
      if (result.ok) {
        // A change of the table may leave the result as it was: then there is nothing to tell.
        if (last !== undefined && sameRows(last, result.value)) continue;
        last = result.value;
        deliver.rows(result.value as Row[]);
      } else if (result.error.code !== "CLOSED") deliver.error(result.error);
    }
    running = false;
  };

  const unwatch = hub.watch((tables) => {
    // Until it is known what the query reads, everything counts.
    if (reads !== undefined && !intersects(reads, tables)) return;
    dirty = true;
    void run();
  }, () => {
    stopped = true;
    deliver.end();
  });
  if (stopped) deliver.end();
  else void run();
  return () => {
    stopped = true;
    unwatch();
  };
}

function sameRows(a: readonly SqlRow[], b: readonly SqlRow[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    // One query gives the same columns each time.
    for (const column in a[i]) if (!sameValue(a[i]![column]!, b[i]![column]!)) return false;
  }
  return true;
}

function sameValue(a: SqlValue, b: SqlValue): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return Object.is(a, b);
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function intersects(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const item of b) if (a.has(item)) return true;
  return false;
}

function iterate<Row extends SqlRow>(
  start: (deliver: Deliver<Row>) => () => void,
): AsyncIterator<Row[], undefined, undefined> {
  let newest: { rows: Row[] } | undefined;
  let failure: LakeSyncError | undefined;
  let ended = false;
  let wake = (): void => {};
  const stop = start({
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
  const finish = (): IteratorResult<Row[], undefined> => {
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
