import type { RowOf, Table } from "@lakesync/core";
import type { Client } from "../client.ts";
import { type CollectionChange, commit, type LakeSyncCollectionUtils } from "./_commit.ts";
import { type FeedListener, TableFeed } from "./_table_feed.ts";

/** Options of {@linkcode lakeSyncCollectionOptions}. */
export interface LakeSyncCollectionOptions<T extends Table> {
  /** The client, which whoever opened it closes. */
  client: Client<readonly T[]>;
  /** The declared table, one of the client's. */
  table: T;
  /**
   * The collection's id.
   *
   * @default {undefined} one that TanStack DB makes
   */
  id?: string;
}

/**
 * What TanStack DB lets a collection be filled by; the part that matters here.
 *
 * @typeParam Row The shape of a row.
 */
export interface CollectionFeed<Row> {
  /** Begins a batch. */
  begin(): void;
  /** Adds to the batch: a row as it now is, or the `id` of one that is gone. */
  write(
    change:
      | { readonly type: "insert" | "update"; readonly value: Row }
      | { readonly type: "delete"; readonly key: string },
  ): void;
  /** Shows the batch. */
  commit(): unknown;
  /** Says that all rows are there. */
  markReady(): void;
  /** Says why they are not. */
  markError(error: unknown): void;
}

/** Makes the changes of one of TanStack DB's transactions; rejects with the `LakeSyncError`. */
export type SaveChanges = (
  changes: { readonly transaction: { readonly mutations: readonly CollectionChange[] } },
) => Promise<void>;

/**
 * What `createCollection` of TanStack DB takes; other options can be added to it.
 *
 * @typeParam T The declared table.
 */
export interface LakeSyncCollectionConfig<T extends Table> {
  /** The collection's id. */
  id?: string;
  /** A row's `id`. */
  getKey: (row: RowOf<T>) => string;
  /** Fills the collection, and keeps it up to date until what it returns is called. */
  sync: { sync: (collection: CollectionFeed<RowOf<T>>) => () => void; rowUpdateMode: "full" };
  /** Writes new rows. */
  onInsert: SaveChanges;
  /** Writes changes of rows. */
  onUpdate: SaveChanges;
  /** Removes rows. */
  onDelete: SaveChanges;
  /** What there is as `collection.utils`. */
  utils: LakeSyncCollectionUtils;
  /** The client validates. */
  schema?: never;
}

/**
 * Makes a table a collection of [TanStack DB](https://tanstack.com/db), and so a thing of React, Vue,
 * Svelte, Solid and Angular. The collection holds all rows of the table in memory, in the form that
 * `client.tables` has, and follows what anybody changes. What is inserted, updated and deleted in it
 * shows at once, is one transaction of the client, and is taken back where that fails.
 *
 * @param options The client and the table.
 * @returns What `createCollection` takes. Rows are found by their `id`, which an insert has to bring.
 *
 * @example A collection
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { lakeSyncCollectionOptions } from "@lakesync/client/tanstack-db";
 * import { boolean, defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import { createCollection } from "@tanstack/db";
 *
 * const table = defineTable("todos", { title: string(), done: boolean() });
 * const client = unwrapOrThrow(await createClient({ tables: [table], database: ":memory:" }));
 * const todos = createCollection(lakeSyncCollectionOptions({ client, table }));
 * await todos.preload();
 *
 * await todos.insert({ id: "1", title: "Buy milk", done: false }).isPersisted.promise;
 * await todos.update("1", (todo) => {
 *   todo.done = true;
 * }).isPersisted.promise;
 * assertEquals(unwrapOrThrow(await client.tables.todos.get("1"))?.done, true);
 * await todos.cleanup();
 * await client.close();
 * ```
 */
export function lakeSyncCollectionOptions<T extends Table>(
  options: LakeSyncCollectionOptions<T>,
): LakeSyncCollectionConfig<T> {
  const { table, id } = options;
  // Of the tables it is only known that this is one of them.
  const client = options.client as unknown as Client;
  let feed: TableFeed<T> | undefined;
  const save = lakeSyncMutationFn(client);
  return {
    ...(id !== undefined && { id }),
    getKey: (row) => row.id,
    sync: {
      sync(collection) {
        const own = feed = new TableFeed(client, table, listenerOf(collection));
        return () => own.stop();
      },
      rowUpdateMode: "full",
    },
    onInsert: save,
    onUpdate: save,
    onDelete: save,
    utils: { table: () => table.name, settled: async () => await feed?.settled() },
  };
}

function listenerOf<T extends Table>(collection: CollectionFeed<RowOf<T>>): FeedListener<T> {
  let ready = false;
  return {
    changes({ added, changed, removed }) {
      collection.begin();
      for (const value of added) collection.write({ type: "insert", value });
      for (const value of changed) collection.write({ type: "update", value });
      for (const key of removed) collection.write({ type: "delete", key });
      collection.commit();
      if (!ready) collection.markReady();
      ready = true;
    },
    failed(error) {
      if (!ready) collection.markError(error);
    },
  };
}

/**
 * Saves transactions over several collections of one client as one: all of it or nothing of it, here
 * and elsewhere.
 *
 * @param client The client of the collections.
 * @returns A `mutationFn` for `createTransaction` and `createOptimisticAction` of TanStack DB.
 *
 * @example Two tables as one
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { lakeSyncCollectionOptions, lakeSyncMutationFn } from "@lakesync/client/tanstack-db";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import { createCollection, createTransaction } from "@tanstack/db";
 *
 * const [lists, todos] = [
 *   defineTable("lists", { name: string() }),
 *   defineTable("todos", { title: string(), list: string() }),
 * ];
 * const client = unwrapOrThrow(await createClient({ tables: [lists, todos], database: ":memory:" }));
 * const allLists = createCollection(lakeSyncCollectionOptions({ client, table: lists }));
 * const allTodos = createCollection(lakeSyncCollectionOptions({ client, table: todos }));
 *
 * const transaction = createTransaction({ mutationFn: lakeSyncMutationFn(client) });
 * transaction.mutate(() => {
 *   allLists.insert({ id: "l", name: "Shopping" });
 *   allTodos.insert({ id: "t", title: "Milk", list: "l" });
 * });
 * await transaction.isPersisted.promise;
 * assertEquals(unwrapOrThrow(await client.tables.todos.get("t"))?.list, "l");
 * await allLists.cleanup();
 * await allTodos.cleanup();
 * await client.close();
 * ```
 */
export function lakeSyncMutationFn<Tables extends readonly Table[]>(
  client: Client<Tables>,
): SaveChanges {
  return async ({ transaction }) =>
    await commit(client as unknown as Client, transaction.mutations);
}
