import { err, LakeSyncError, type Result, type Table } from "@lakesync/core";
import type { Client } from "../client.ts";
import type { LiveQuery } from "../live_query.ts";
import type { ClientStatus } from "../status.ts";
import type { TableClient } from "../tables.ts";

/** The status that is shown where there is no client yet. */
export const NO_STATUS: ClientStatus = Object.freeze({
  state: "idle",
  online: undefined,
  behind: undefined,
  outbox: 0,
  blocked: undefined,
  error: undefined,
  lastSyncedAt: undefined,
  firstSync: undefined,
});

/**
 * Stands for the client while a server renders: the database is the browser's. It has no rows, and what
 * it is asked to do fails.
 */
export function serverClient(tables: readonly Table[]): Client {
  const refuse = (): Promise<Result<never>> => Promise.resolve(err(noDatabase()));
  const table: TableClient<Table> = {
    insert: refuse,
    insertMany: refuse,
    upsert: refuse,
    upsertMany: refuse,
    update: refuse,
    delete: refuse,
    get: refuse,
  };
  return {
    clientId: "",
    tables: Object.fromEntries(tables.map(({ name }) => [name, table])),
    status: NO_STATUS,
    query: refuse,
    live: noRows,
    transaction: refuse,
    import: refuse,
    syncOnce: refuse,
    pause() {},
    resume() {},
    pending: refuse,
    storage: refuse,
    rejected: { list: refuse, retry: refuse, drop: refuse },
    on: () => () => {},
    close: () => Promise.resolve(),
    wipe: refuse,
  };
}

function noRows<Row>(): LiveQuery<Row> {
  return {
    current: undefined,
    subscribe(_listener, { onError } = {}) {
      queueMicrotask(() => onError?.(noDatabase()));
      return () => {};
    },
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.resolve({ done: true, value: undefined }),
    }),
  };
}

function noDatabase(): LakeSyncError {
  return new LakeSyncError(
    "CLOSED",
    "Cannot reach the database while a server renders: give LakeSyncProvider a client, or useSuspenseQuery the option initial",
  );
}
