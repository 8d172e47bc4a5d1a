// What tests of bad input have in common.
import { recordSource } from "@lakesync/adapter-sources";
import {
  defineTable,
  integer,
  type JsonValue,
  string,
  type TableSchema,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import type { DestinationState, Gateway } from "@lakesync/gateway";
import type { RunningServer } from "../server.ts";

export const todos: TableSchema = defineTable("todos", {
  title: string(),
  n: integer().nullable(),
  at: timestamp().nullable(),
}).schema;
export const notes: TableSchema = defineTable("notes", { text: string() }).schema;
export const tables: readonly TableSchema[] = [todos, notes];

let made = 0;
/** Changes a row by a source of its own, and flushes. */
export async function put(
  gateway: Gateway,
  table: string,
  rowId: string,
  columns: { readonly [name: string]: JsonValue },
): Promise<void> {
  const source = recordSource({
    name: `source${++made}`,
    records: () => [columns],
    change: () => ({ op: "upsert", table, rowId, columns: new Map(Object.entries(columns)) }),
  });
  unwrapOrThrow(await gateway.ingest(source));
  await gateway.flush({ waitMs: 60_000 });
}

/** What an operator sees. */
export async function destinations(
  { url }: RunningServer,
): Promise<{ readonly [name: string]: DestinationState }> {
  const response = await fetch(`${url}/v1/admin/default/stats`);
  return (await response.json()).destinations;
}
