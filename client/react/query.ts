import { use, useState, useSyncExternalStore } from "react";
import type { SqlRow, SqlValue } from "@lakesync/core";
import { sqlOf, type SqlQuery } from "../sql_query.ts";
import { LOADING, type QueryState, type QueryStore, queryStore } from "./_query_store.ts";
import { useLakeSync } from "./provider.tsx";

/** Options of {@linkcode useQuery} and {@linkcode useSuspenseQuery}. */
export interface UseQueryOptions<Row> {
  /**
   * What is shown until the first result: in a page that a server has rendered, the rows that the
   * server had. Only what it is at the first render counts.
   *
   * @default {undefined} no rows; `useSuspenseQuery` waits
   */
  initial?: readonly Row[];
}

/**
 * Shows a query's result and follows it: renders again after each change, from either side, that
 * changed it. However many components show the same query, it runs once.
 *
 * @param sql One SELECT, VALUES or WITH.
 * @param params Values for its `?`.
 * @returns The rows, whether they are still to come, and why the query failed where it did.
 *
 * @example Markup with the rows that a server has
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { LakeSyncProvider, useQuery } from "@lakesync/client/react";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import { createElement } from "react";
 * import { renderToString } from "react-dom/server";
 *
 * const todos = defineTable("todos", { title: string() });
 * const client = unwrapOrThrow(await createClient({ tables: [todos], database: ":memory:" }));
 * await client.tables.todos.insert({ title: "Buy milk" });
 * const initial = unwrapOrThrow(await client.query("SELECT title FROM todos"));
 *
 * function Todos() {
 *   const { rows } = useQuery("SELECT title FROM todos", [], { initial });
 *   return createElement("p", null, rows.map(({ title }) => String(title)));
 * }
 * const page = createElement(LakeSyncProvider, { client }, createElement(Todos));
 * assertEquals(renderToString(page), "<p>Buy milk</p>");
 * await client.close();
 * ```
 */
export function useQuery<Row extends SqlRow = SqlRow>(
  sql: string,
  params?: readonly SqlValue[],
  options?: UseQueryOptions<Row>,
): QueryState<Row>;
/**
 * Shows the result of a builder's query and follows it.
 *
 * @param query The query, with its parameters.
 * @returns The rows, whether they are still to come, and why the query failed where it did.
 */
export function useQuery<Row = SqlRow>(
  query: SqlQuery<Row>,
  options?: UseQueryOptions<Row>,
): QueryState<Row>;
export function useQuery(
  query: string | SqlQuery,
  second?: readonly SqlValue[] | UseQueryOptions<SqlRow>,
  third?: UseQueryOptions<SqlRow>,
): QueryState<SqlRow> {
  const { store, first } = useStore(query, second, third);
  // What a server has rendered is what the first render in the browser has to show, too.
  const state = useSyncExternalStore(store.subscribe, store.snapshot, () => LOADING);
  return state === LOADING ? first : state;
}

/**
 * Shows a query's result and follows it, as {@linkcode useQuery} does, but leaves it to the nearest
 * `<Suspense>` what is shown until the first result, and to the nearest error boundary what is shown
 * where the query fails. Change its parameters in a transition, or through `useDeferredValue`, and
 * React shows the rows of before until the new ones have come.
 *
 * @param sql One SELECT, VALUES or WITH.
 * @param params Values for its `?`.
 * @returns The rows.
 * @throws {LakeSyncError} Where the query fails.
 *
 * @example A server that waits for the rows
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { LakeSyncProvider, useSuspenseQuery } from "@lakesync/client/react";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import { createElement } from "react";
 * import { renderToReadableStream } from "react-dom/server";
 *
 * const todos = defineTable("todos", { title: string() });
 * const client = unwrapOrThrow(await createClient({ tables: [todos], database: ":memory:" }));
 * await client.tables.todos.insert({ title: "Buy milk" });
 *
 * function Todos() {
 *   const rows = useSuspenseQuery("SELECT title FROM todos");
 *   return createElement("p", null, rows.map(({ title }) => String(title)));
 * }
 * const page = createElement(LakeSyncProvider, { client }, createElement(Todos));
 * assertEquals(await new Response(await renderToReadableStream(page)).text(), "<p>Buy milk</p>");
 * await client.close();
 * ```
 */
export function useSuspenseQuery<Row extends SqlRow = SqlRow>(
  sql: string,
  params?: readonly SqlValue[],
  options?: UseQueryOptions<Row>,
): readonly Row[];
/**
 * Shows the result of a builder's query and follows it, with `<Suspense>`.
 *
 * @param query The query, with its parameters.
 * @returns The rows.
 * @throws {LakeSyncError} Where the query fails.
 */
export function useSuspenseQuery<Row = SqlRow>(
  query: SqlQuery<Row>,
  options?: UseQueryOptions<Row>,
): readonly Row[];
export function useSuspenseQuery(
  query: string | SqlQuery,
  second?: readonly SqlValue[] | UseQueryOptions<SqlRow>,
  third?: UseQueryOptions<SqlRow>,
): readonly SqlRow[] {
  const { store, first } = useStore(query, second, third);
  const server = first === LOADING ? store.snapshot : () => LOADING;
  const state = useSyncExternalStore(store.subscribe, store.snapshot, server);
  if (first === LOADING) use(store.load());
  if (state.error !== undefined) throw state.error;
  return (state === LOADING ? first : state).rows;
}

/** The store of a query, and what it shows before it has a result. */
function useStore(
  query: string | SqlQuery,
  second: readonly SqlValue[] | UseQueryOptions<SqlRow> = [],
  third: UseQueryOptions<SqlRow> = {},
): { store: QueryStore; first: QueryState<SqlRow> } {
  const [params, { initial }] = isParams(second) ? [second, third] : [[], second];
  const store = queryStore(useLakeSync(), sqlOf(query, params));
  // Rows that were there initially are those of the query that was asked initially.
  const [initially] = useState(() => ({
    store,
    state: initial === undefined ? LOADING : { ...LOADING, rows: initial },
  }));
  return { store, first: initially.store === store ? initially.state : LOADING };
}

function isParams(
  second: readonly SqlValue[] | UseQueryOptions<SqlRow>,
): second is readonly SqlValue[] {
  return Array.isArray(second);
}
