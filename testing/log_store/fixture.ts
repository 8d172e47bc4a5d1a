/** What the cases of the `LogStore` suite are written with. */
import { assert } from "@std/assert";
import {
  type AppendOutcome,
  type AppendRequest,
  type Clock,
  cloneRow,
  type Delta,
  deltaId,
  emptyRow,
  type EntryEffect,
  type JudgedFacts,
  type LogEntry,
  type LogStore,
  mergeDelta,
  type NewEntry,
  type ReadLogOptions,
  type RowState,
  type RowStatus,
  type RowWrite,
  unwrapOrThrow,
} from "@lakesync/core";

/** What the suite needs to know of an implementation. */
export interface LogStoreSubject {
  /** Names it in the tests' titles. */
  readonly name: string;
  /** Whether its contents survive closing and opening again. */
  readonly durable: boolean;
  /** Whether the store of one directory can be open several times at once, each an instance of it. */
  readonly shared: boolean;
  /**
   * Opens the store of a directory; the same directory is the same store. The clock is the store's
   * one physical clock: all its instances get the same.
   */
  open(options: { directory: string; clock: Clock }): Promise<LogStore>;
}

/** What a case works on. */
export interface LogStoreContext {
  /** A new store. */
  readonly store: LogStore;
  /** Its clock. */
  readonly time: { now: number };
  /** Closes the store and opens it again. */
  reopen(): Promise<LogStore>;
  /** Opens one more instance, which is closed at the end of the case. */
  another(): Promise<LogStore>;
}

/** Registers a case. */
export type Check = (title: string, body: (context: LogStoreContext) => Promise<void>) => void;

/** Makes a delta with a right id. */
export function makeDelta(content: Omit<Delta, "deltaId">): Delta {
  const { txId: _, ...hashed } = content;
  return { ...content, deltaId: deltaId(hashed) };
}

/** An INSERT into `todos` at a stamp. */
export function insertTodo(rowId: string, hlc: number, clientId = "alice:phone"): Delta {
  const columns = [{ column: "title", value: `Todo ${rowId}` }, { column: "done", value: false }];
  return makeDelta({ op: "INSERT", table: "todos", rowId, clientId, columns, hlc: String(hlc) });
}

/** INSERTs of so many todos, their keys numbered from 0. */
export function insertTodos(count: number, clientId = "alice:phone"): Delta[] {
  return Array.from({ length: count }, (_, i) => insertTodo(`r${i}`, i + 1, clientId));
}

/** A DELETE of a todo. */
export function deleteTodo(rowId: string, hlc: number, clientId = "bob"): Delta {
  return makeDelta({
    op: "DELETE",
    table: "todos",
    rowId,
    clientId,
    columns: [],
    hlc: String(hlc),
  });
}

/** Options of {@linkcode appendRequest}. */
export interface AppendRequestOptions {
  /** Who pushes. @default {the first delta's maker} */
  clientId?: string;
  /** Whether all deltas are one transaction, or which of them end one. @default {false} each ends one */
  oneTransaction?: boolean;
  /** Which delta, by its place, ends a transaction. @default {() => true} */
  endsTx?: (index: number) => boolean;
  /** Values to set. @default {undefined} none */
  values?: ReadonlyMap<string, string | null>;
  /** What an entry is found by. @default {() => []} */
  keys?: (delta: Delta, index: number) => readonly string[];
  /** What rules look at in the delta's row. @default {() => undefined} */
  judged?: (delta: Delta) => JudgedFacts | undefined;
}

/** An append of those deltas that the store does not know yet. */
export function appendRequest(
  deltas: readonly Delta[],
  options: AppendRequestOptions = {},
): AppendRequest {
  const {
    clientId = deltas[0]?.clientId ?? "alice:phone",
    oneTransaction = false,
    endsTx = () => !oneTransaction,
    values,
    keys = () => [],
    judged = () => undefined,
  } = options;
  return {
    clientId,
    deltas,
    rows: deltas,
    plan(view) {
      const entries: NewEntry[] = [];
      const rows = new Map<string, RowWrite>();
      const fresh = deltas.filter((delta) => view.duplicate(delta) === undefined);
      fresh.forEach((delta, i) => {
        const { table, rowId } = delta;
        const key = `${table}\0${rowId}`;
        const held = rows.get(key)?.state ?? view.row(table, rowId);
        const state = held === undefined ? emptyRow() : cloneRow(held);
        const before = status(held);
        const { life, columns } = mergeDelta(state, delta);
        rows.set(key, { table, rowId, state });
        const all = columns.length > 0 && columns.length === delta.columns.length;
        const effect: EntryEffect = {
          before,
          after: status(state),
          last: true,
          life,
          columns: all ? undefined : columns,
          state: before === "dead" && status(state) === "alive" ? cloneRow(state) : undefined,
          judged: judged(delta),
        };
        const txEnd = endsTx(i) || i === fresh.length - 1;
        entries.push({ delta, effect, txEnd, keys: keys(delta, i) });
      });
      return { entries, rows: [...rows.values()], ...(values !== undefined && { values }) };
    },
  };
}

function status(state: RowState | undefined): RowStatus {
  if (state === undefined) return "none";
  return state.life === undefined ? "lifeless" : state.life.alive ? "alive" : "dead";
}

/** Appends; fails the case where the store does. */
export async function append(store: LogStore, request: AppendRequest): Promise<AppendOutcome> {
  return unwrapOrThrow(await store.append(request));
}

/** Plans nothing and shows what a plan sees. */
export async function look<T>(
  store: LogStore,
  request: Pick<AppendRequest, "deltas" | "rows" | "values">,
  see: (view: Parameters<AppendRequest["plan"]>[0]) => T,
): Promise<T> {
  const seen: T[] = [];
  await append(store, {
    ...request,
    clientId: "onlooker",
    plan(view) {
      seen.push(see(view));
      return { entries: [], rows: [] };
    },
  });
  return seen.at(-1)!;
}

/** All entries after a seq. */
export async function readAll(store: LogStore, after = 0): Promise<readonly LogEntry[]> {
  return unwrapOrThrow(await store.read(after, { limit: 1_000_000 }));
}

/** The seqs that a read gives. */
export async function readSeqs(
  store: LogStore,
  after: number,
  options: ReadLogOptions,
): Promise<number[]> {
  return unwrapOrThrow(await store.read(after, options)).map(({ seq }) => seq);
}

/** All rows of a snapshot, by `table/rowId`. */
export async function snapshotRows(
  store: LogStore,
  tables?: readonly string[],
): Promise<Map<string, RowState>> {
  const snapshot = unwrapOrThrow(await store.snapshot());
  const rows = new Map<string, RowState>();
  for await (const chunk of snapshot.rows(tables)) {
    for (const { table, rowId, state } of chunk) {
      const key = `${table}/${rowId}`;
      assert(!rows.has(key), `row ${key} comes once`);
      rows.set(key, state);
    }
  }
  await snapshot.close();
  return rows;
}

/** Waits until something holds of a store, looking again whenever it says that it has changed. */
export async function until(store: LogStore, holds: () => Promise<boolean>): Promise<void> {
  let changed = Promise.withResolvers<void>();
  const unsubscribe = store.subscribe(() => changed.resolve());
  try {
    while (!await holds()) {
      await changed.promise;
      changed = Promise.withResolvers<void>();
    }
  } finally {
    unsubscribe();
  }
}
