import { type LakeSyncError, type SqlRow, type SqlValue, systemScheduler } from "@lakesync/core";
import type { Client } from "../client.ts";
import type { LiveQuery } from "../live_query.ts";
import { valuesText } from "../_row_changes.ts";
import { FAILED_MS, Lease, UNMOUNTED_MS } from "./_lease.ts";

/** What a query shows. */
export interface QueryState<Row> {
  /** The rows of the newest result: the same array, of the same objects, until they change. */
  readonly rows: readonly Row[];
  /** Whether the first result is still to come. */
  readonly loading: boolean;
  /** Why the query failed the last time, where it did. */
  readonly error: LakeSyncError | undefined;
}

/** What a query shows at first. */
export const LOADING: QueryState<never> = Object.freeze({
  rows: Object.freeze([]) as readonly never[],
  loading: true,
  error: undefined,
});

/** One live query for all components that show it, as React's `useSyncExternalStore` takes it. */
export class QueryStore {
  readonly #live: LiveQuery;
  readonly #lease: Lease;
  readonly #listeners: Set<() => void> = new Set();
  readonly #first: PromiseWithResolvers<void> & { promise: { status?: string } } = Promise
    .withResolvers();
  #state: QueryState<SqlRow> = LOADING;
  #stop: (() => void) | undefined;

  /** @param ended Told when no component shows it any more. */
  constructor(live: LiveQuery, ended: () => void) {
    this.#live = live;
    this.#lease = new Lease(systemScheduler, () => {
      this.#stop?.();
      this.#stop = undefined;
      ended();
    });
    this.#lease.expire(UNMOUNTED_MS);
  }

  /** What the query shows now. */
  readonly snapshot = (): QueryState<SqlRow> => this.#state;

  /** Calls a listener when that changes; returns how to stop that. */
  readonly subscribe = (listener: () => void): () => void => {
    const release = this.#lease.hold();
    // A component may subscribe with a function that another one has, too.
    const entry = (): void => listener();
    this.#listeners.add(entry);
    this.#start();
    return () => {
      this.#listeners.delete(entry);
      release();
    };
  };

  /** Runs the query though nothing is mounted yet; for `use`, which waits until it shows something. */
  load(): Promise<void> {
    this.#start();
    return this.#first.promise;
  }

  #start(): void {
    this.#stop ??= this.#live.subscribe(
      (rows) => this.#show({ rows, loading: false, error: undefined }),
      {
        onError: (error) => {
          this.#show({ rows: this.#state.rows, loading: false, error });
          this.#lease.expire(FAILED_MS);
        },
      },
    );
  }

  #show(state: QueryState<SqlRow>): void {
    this.#state = state;
    this.#first.resolve();
    // As React notes it itself: so `use` need not wait for a turn to find it out.
    this.#first.promise.status = "fulfilled";
    for (const listener of this.#listeners) listener();
  }
}

const stores: WeakMap<Client, Map<string, QueryStore>> = new WeakMap();

/** The store of a query; all who ask for the same SQL with the same parameters have the same one. */
export function queryStore(
  client: Client,
  { sql, params }: { sql: string; params: readonly SqlValue[] },
): QueryStore {
  let ofClient = stores.get(client);
  if (ofClient === undefined) stores.set(client, ofClient = new Map());
  const key = `${valuesText(params)} ${sql}`;
  let store = ofClient.get(key);
  if (store === undefined) {
    store = new QueryStore(client.live(sql, params), () => {
      if (ofClient.get(key) === store) ofClient.delete(key);
    });
    ofClient.set(key, store);
  }
  return store;
}
