/** A page with an app and its devtools, over a gateway in memory: what the tests of the element work with. */
import {
  boolean,
  type Clock,
  type Column,
  defineTable,
  type Delta,
  deltaId,
  integer,
  json,
  type JsonValue,
  packHlc,
  type SqlDatabase,
  string,
  systemClock,
  systemScheduler,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";
import { FakeGateway } from "@lakesync/testing";
import { type Client, createClient } from "../../mod.ts";
import { openWasmSqlite } from "../../_wasm_open.ts";
import { LakeSyncDevtools } from "../mod.ts";

/** {@linkcode todos}. */
export type Todos = Table<"todos", {
  title: Column<string, string>;
  done: Column<boolean, boolean>;
  rank: Column<number, number | bigint, true>;
}>;
type Notes = Table<"notes", { body: Column<JsonValue, JsonValue> }>;

/** The table that most of these tests look at. */
export const todos: Todos = defineTable("todos", {
  title: string(),
  done: boolean(),
  rank: integer().nullable(),
});
const notes: Notes = defineTable("notes", { body: json<JsonValue>() });

/** What a page of these tests has. */
export interface DevtoolsPage {
  readonly gateway: FakeGateway;
  readonly client: Client<readonly [Todos, Notes]>;
  readonly database: SqlDatabase;
  readonly devtools: LakeSyncDevtools;
  /** Closes all of it. */
  close(): Promise<void>;
}

/** Opens an app with its devtools. */
export async function openPage(
  options: { live?: boolean; open?: boolean; clock?: Clock } = {},
): Promise<DevtoolsPage> {
  const { live = false, open = true, clock = systemClock } = options;
  const gateway = new FakeGateway({
    tables: [todos.schema, notes.schema],
    clock,
    ...(live && { scheduler: systemScheduler }),
  });
  const { database } = unwrapOrThrow(await openWasmSqlite({ name: "page", storage: "memory" }));
  const client = unwrapOrThrow(
    await createClient({
      tables: [todos, notes],
      database,
      transport: gateway,
      sync: { auto: live },
      clock,
    }),
  );
  const devtools = new LakeSyncDevtools();
  devtools.client = client;
  devtools.open = open;
  document.body.append(devtools);
  return {
    gateway,
    client,
    database,
    devtools,
    async close() {
      devtools.remove();
      await client.close();
      await database.close();
    },
  };
}

/** A delta of another device, made now or so many ms later. */
export function foreign(
  rowId: string,
  columns: { readonly [column: string]: JsonValue },
  options: { op?: Delta["op"]; table?: string; clientId?: string; afterMs?: number } = {},
): Delta {
  const { op = "INSERT", table = "todos", clientId = "sub:phone", afterMs = 0 } = options;
  const content = {
    op,
    table,
    rowId,
    clientId,
    hlc: packHlc({ wallMs: Date.now() + afterMs, counter: counter++ % 60_000 }),
    columns: Object.entries(columns).map(([column, value]) => ({ column, value })),
  };
  return { ...content, deltaId: deltaId(content) };
}

let counter = 1;
