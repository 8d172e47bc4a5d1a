// What the gateway's tests share.
import {
  type Clock,
  type Delta,
  type LogStore,
  type PageItem,
  type PullAnswer,
  type PushAnswer,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { makeDelta } from "@lakesync/testing";
import type { Caller } from "../caller.ts";
import { createGateway, type Gateway } from "../gateway.ts";
import type { GatewayOptions } from "../gateway_options.ts";
import { SchemaRegistry } from "../schema_registry.ts";
import { pageToAnswer } from "../page_form.ts";
import { memoryLogStore } from "../store_memory.ts";

/** The table of most tests. */
export const TODOS: TableSchema = {
  table: "todos",
  version: 1,
  columns: [
    { name: "title", type: "string" },
    { name: "done", type: "boolean" },
    { name: "note", type: "json", nullable: true },
  ],
};

/** A second table, with names that are no harmless keys of an object. */
export const PROTO: TableSchema = {
  table: "__proto__",
  version: 1,
  columns: [{ name: "constructor", type: "string", nullable: true }],
};

/** A caller without authentication. */
export const ANYONE: Caller = { sub: undefined };

/** How a test's gateway differs from the usual one. */
export interface GatewaySetup extends Partial<GatewayOptions> {
  /** The clock of its store in memory. */
  clock?: Clock;
}

/** A gateway named `default` with the two tables, in memory unless the setup says otherwise. */
export async function openGateway({ clock, ...options }: GatewaySetup = {}): Promise<Gateway> {
  return unwrapOrThrow(
    await createGateway({
      id: "default",
      store: memoryLogStore(clock === undefined ? {} : { clock }),
      tables: [TODOS, PROTO],
      ...options,
    }),
  );
}

/** A store that has the two tables already: a gateway over it appends nothing when it starts. */
export async function withTables(store: LogStore): Promise<LogStore> {
  unwrapOrThrow(
    await unwrapOrThrow(await SchemaRegistry.open(store)).put({ tables: [TODOS, PROTO] }),
  );
  return store;
}

/** Pushes; the whole push must be answered. */
export async function push(
  gateway: Gateway,
  deltas: readonly unknown[],
  clientId = "alice:phone",
): Promise<PushAnswer> {
  return unwrapOrThrow(await gateway.push({ clientId, deltas }, ANYONE));
}

/** Pulls a page. */
export async function pull(
  gateway: Gateway,
  params: { readonly [name: string]: string } = {},
): Promise<PullAnswer> {
  const query = new URLSearchParams({ clientId: "bob:laptop", ...params });
  return pageToAnswer(unwrapOrThrow(await gateway.pull(query, { caller: ANYONE })));
}

/** Pulls from a cursor until nothing is left. */
export async function pullAll(
  gateway: Gateway,
  params: { readonly [name: string]: string } = {},
): Promise<{ items: PageItem[]; cursor: string; seq: number }> {
  const items: PageItem[] = [];
  for (let cursor = params.cursor ?? "";;) {
    const page = await pull(gateway, { ...params, cursor });
    items.push(...page.deltas);
    cursor = page.cursor;
    if (!page.hasMore) return { items, cursor, seq: page.seq as number };
  }
}

/** A checkpoint's lines, parsed. */
export async function checkpoint(
  gateway: Gateway,
  params: { readonly [name: string]: string } = {},
): Promise<unknown[]> {
  const query = new URLSearchParams({ clientId: "bob:laptop", ...params });
  const { lines } = unwrapOrThrow(await gateway.checkpoint(query, { caller: ANYONE }));
  let text = "";
  for await (const part of lines) text += part;
  return text.trimEnd().split("\n").map((line) => JSON.parse(line) as unknown);
}

/** An UPDATE of a todo. */
export function updateTodo(
  rowId: string,
  hlc: number | string,
  columns: { readonly [column: string]: string | boolean | null },
  options: { clientId?: string; txId?: string } = {},
): Delta {
  const { clientId = "alice:phone", txId } = options;
  return makeDelta({
    op: "UPDATE",
    table: "todos",
    rowId,
    clientId,
    hlc: String(hlc),
    columns: Object.entries(columns).map(([column, value]) => ({ column, value })),
    ...(txId !== undefined && { txId }),
  });
}

/** A DELETE of a todo. */
export function deleteTodo(rowId: string, hlc: number | string, clientId = "alice:phone"): Delta {
  return makeDelta({
    op: "DELETE",
    table: "todos",
    rowId,
    clientId,
    hlc: String(hlc),
    columns: [],
  });
}

/** The same delta within a transaction. */
export function inTx(delta: Delta, txId: string): Delta {
  return { ...delta, txId };
}

/** A store on which chosen operations answer something else. */
export function storeWith(store: LogStore, changes: Partial<LogStore>): LogStore {
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = Reflect.get(changes, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) as unknown : value;
    },
  });
}
