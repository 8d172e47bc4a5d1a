import type { Table } from "@lakesync/core";
import type { Client } from "../client.ts";
import type { TableClient, TransactionTable } from "../tables.ts";

// A type, not an interface: TanStack DB takes what may have more functions.
/** What a collection of LakeSync's says about itself: its `utils`. */
export type LakeSyncCollectionUtils = {
  /** The name of its table. */
  readonly table: () => string;
  /** Resolves when the collection has been told of all that has changed in its table until now. */
  readonly settled: () => Promise<void>;
};

/** A change that TanStack DB shows already and that is to be made: the part that matters here. */
export interface CollectionChange {
  /** What is done with the row. */
  readonly type: "insert" | "update" | "delete";
  /** The row's `id`. */
  readonly key: unknown;
  /** The row as it then is. */
  readonly modified: object;
  /** The columns that change. */
  readonly changes: object;
  /** The collection that it is made in. */
  readonly collection: { readonly utils: object };
}

type NewRow = Parameters<TransactionTable<Table>["insert"]>[0];
type Changes = Parameters<TransactionTable<Table>["update"]>[1];

/**
 * Makes changes as one transaction of the client, and waits until their collections have been told of
 * it: who shows them in advance may stop then.
 *
 * @throws {LakeSyncError} Where they cannot be made.
 */
export async function commit(client: Client, changes: readonly CollectionChange[]): Promise<void> {
  const all = changes.map((change) => ({ change, utils: utilsOf(change) }));
  const [only, ...more] = all;
  const done = only !== undefined && more.length === 0
    // A transaction would take a message more to the worker that has the database.
    ? await make(client.tables[only.utils.table()]!, only.change)
    : await client.transaction(async ({ tables }) => {
      for (const { change, utils } of all) await make(tables[utils.table()]!, change);
    });
  if (!done.ok) throw done.error;
  const settled = new Set(all.map(({ utils }) => utils.settled));
  await Promise.all([...settled].map((wait) => wait()));
}

function utilsOf({ collection }: CollectionChange): LakeSyncCollectionUtils {
  const utils = collection.utils as Partial<LakeSyncCollectionUtils>;
  const { table, settled } = utils;
  if (table !== undefined && settled !== undefined) return { table, settled };
  throw new TypeError(
    "Cannot commit: a change is in a collection that lakeSyncCollectionOptions() did not make",
  );
}

/** Makes one change; what comes of it is what such a table gives. */
function make<T extends TableClient<Table> | TransactionTable<Table>>(
  table: T,
  { type, key, modified, changes }: CollectionChange,
): ReturnType<T[CollectionChange["type"]]> {
  type Made = ReturnType<T[CollectionChange["type"]]>;
  switch (type) {
    case "insert":
      return table.insert(modified as NewRow) as Made;
    case "update":
      return table.update(String(key), changes as Changes) as Made;
    case "delete":
      return table.delete(String(key)) as Made;
  }
}
