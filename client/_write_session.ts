import {
  type AppValue,
  type Clock,
  type Delta,
  type DeltaContent,
  emptyRow,
  extractChange,
  fromWire,
  HybridClock,
  isRowId,
  isVisible,
  type JsonValue,
  LakeSyncError,
  mergeDelta,
  type Random,
  type RowState,
  type SqlTransaction,
  type SqlValue,
} from "@lakesync/core";
import { readBase } from "./_base.ts";
import { insertRows } from "./_insert_rows.ts";
import { judgeRow } from "./_judge_row.ts";
import type { Changed } from "./_live_hub.ts";
import { insertedParams, type LocalTable, shownParams } from "./_local_table.ts";
import { type FlyingPush, isAllFlying, isOutboxEmpty } from "./_outbox.ts";
import { addOwn, mergeOwn, ownOnTop } from "./_own.ts";
import { MAX_PUSH_BYTES, PUSH_DELTAS, type PushSize } from "./_push_limits.ts";
import { readRow, shownAmong, TouchedRows } from "./_show.ts";
import { type ClientState, readState, writeHlc } from "./_state.ts";
import { writtenOut } from "./_written_out.ts";
import { insertedColumns, ownValue, wireValue } from "./_wire_values.ts";

/** A row as an app gives it or gets it. */
export type AppRow = { readonly [column: string]: unknown };

/** What a write session works with. */
export interface WriteContext {
  readonly tables: ReadonlyMap<string, LocalTable>;
  readonly clock: Clock;
  readonly random: Random;
}

/** What became of a session. */
export interface WriteOutcome {
  /** How many deltas were made. */
  readonly deltas: number;
  /** The rows that changed. */
  readonly changed: Changed;
  /** The deltas, where they are to be pushed as soon as they are committed. */
  readonly flying: FlyingPush | undefined;
}

/** How a session is finished. */
export interface FinishOptions {
  /** Whether its deltas travel as one transaction. */
  readonly grouped: boolean;
  /**
   * Asks whether a push of so much could begin now, where the outbox is empty; or `"next"`, where it
   * could follow on those under way, which have to be all that is in the outbox.
   */
  readonly canPush: (size: PushSize) => boolean | "next";
}

/**
 * The app's changes within one SQLite transaction: each becomes a delta on top of the base, the row
 * as it now shows, and, when the session is finished, an entry of the outbox. Its methods throw.
 */
export class WriteSession {
  readonly #tx: SqlTransaction;
  readonly #context: WriteContext;
  readonly #state: ClientState;
  readonly #hlc: HybridClock;
  // Rows that were read or written, so that later changes build on earlier ones.
  readonly #rows: Map<string, Map<string, RowState>> = new Map();
  // Rows that were made and not looked at since, by the one delta that they consist of.
  readonly #made: Map<string, Map<string, DeltaContent>> = new Map();
  readonly #deltas: DeltaContent[] = [];
  // Rows whose changes do not show yet.
  readonly #unshown: Map<LocalTable, Set<string>> = new Map();

  private constructor(tx: SqlTransaction, context: WriteContext, state: ClientState) {
    this.#tx = tx;
    this.#context = context;
    this.#state = state;
    this.#hlc = new HybridClock({
      clock: context.clock,
      ...(state.hlc !== undefined && { last: state.hlc }),
    });
    this.#hlc.offsetMs = state.offsetMs;
  }

  /** Begins a session in a transaction. */
  static async begin(tx: SqlTransaction, context: WriteContext): Promise<WriteSession> {
    return new WriteSession(tx, context, await readState(tx));
  }

  /** Adds a row. */
  async insert(table: LocalTable, row: AppRow): Promise<AppRow> {
    const { id = this.#context.random.uuid(), ...values } = row;
    if (!isRowId(id)) throw badRowId(table);
    const state = await this.#row(table, id);
    if (isVisible(state)) {
      throw new LakeSyncError(
        "CONFLICT",
        `Cannot insert into "${table.name}": its row "${id}" is there, update it or choose another id`,
      );
    }
    return await this.#insert(table, id, state, values);
  }

  /** Adds a row, or changes it so that it has these columns. */
  async put(table: LocalTable, row: AppRow): Promise<AppRow> {
    const { id = this.#context.random.uuid(), ...values } = row;
    if (!isRowId(id)) throw badRowId(table);
    const state = await this.#row(table, id);
    return isVisible(state)
      ? await this.update(table, id, values)
      : await this.#insert(table, id, state, values);
  }

  /** Changes a row. */
  async update(table: LocalTable, id: string, values: AppRow): Promise<AppRow> {
    const state = await this.#row(table, id);
    if (!isVisible(state)) {
      throw new LakeSyncError(
        "NOT_FOUND",
        `Cannot update "${table.name}": it has no row "${id}", insert it first`,
      );
    }
    const before = valuesOf(state);
    const after = new Map(before);
    for (const name of Object.keys(values)) {
      // Undefined is "unchanged", as an absent key is.
      if (values[name] !== undefined) after.set(name, wireValue(table, name, values[name]));
    }
    const change = extractChange(table.schema, { before, after });
    if (change !== undefined) {
      const changed = change.columns.map(({ column }) => column);
      if (table.validate) await judgeRow(table, appRowOf(table, id, after), changed);
      this.#change(table, id, state, change);
    }
    return appRow(table, id, state);
  }

  /** Removes a row; whether it was there. */
  async delete(table: LocalTable, id: string): Promise<boolean> {
    const state = await this.#row(table, id);
    if (!isVisible(state)) return false;
    this.#change(table, id, state, { op: "DELETE", columns: [] });
    return true;
  }

  /** Reads a row. */
  async get(table: LocalTable, id: string): Promise<AppRow | undefined> {
    const state = await this.#row(table, id);
    return isVisible(state) ? appRow(table, id, state) : undefined;
  }

  /** Adds rows, which may be many. With `quiet` they are not given back. */
  async insertMany(
    table: LocalTable,
    rows: readonly AppRow[],
    options: { quiet?: boolean } = {},
  ): Promise<AppRow[]> {
    return await this.#addMany(table, rows, { ...options, method: "insert" });
  }

  /** Adds or changes rows, which may be many. With `quiet` they are not given back. */
  async putMany(
    table: LocalTable,
    rows: readonly AppRow[],
    options: { quiet?: boolean } = {},
  ): Promise<AppRow[]> {
    return await this.#addMany(table, rows, { ...options, method: "put" });
  }

  async #addMany(
    table: LocalTable,
    rows: readonly AppRow[],
    { method, quiet }: { method: "insert" | "put"; quiet?: boolean },
  ): Promise<AppRow[]> {
    const there = await this.#there(table, rows);
    const added: AppRow[] = [];
    for (const row of rows) {
      const { id = this.#context.random.uuid() } = row;
      if (!isRowId(id)) throw badRowId(table);
      const isNew = !there.has(id);
      there.add(id);
      const columns = isNew ? insertedColumns(table, row) : [];
      if (isNew && table.validate === undefined) {
        this.#make(table, id, columns);
        if (quiet !== true) added.push(appRowOf(table, id, wireValues(columns)));
      } else {
        const written = await this[method](table, { ...row, id });
        if (quiet !== true) added.push(written);
      }
    }
    return added;
  }

  /** Which of the rows may be there: those that show, and what this session has looked at. */
  async #there(table: LocalTable, rows: readonly AppRow[]): Promise<Set<string>> {
    const ids = rows.map(({ id }) => id).filter((id) => typeof id === "string");
    const there = await shownAmong(this.#tx, table, ids);
    if (there.size > 0) await this.load(table, [...there]);
    for (const known of [this.#rows, this.#made]) {
      for (const id of known.get(table.name)?.keys() ?? []) there.add(id);
    }
    return there;
  }

  /** Reads rows ahead, where many will be changed. */
  async load(table: LocalTable, ids: readonly string[]): Promise<void> {
    const rows = this.#tableRows(table);
    if (ids.length < 2) {
      for (const id of ids) {
        if (!rows.has(id)) {
          rows.set(id, this.#taken(table, id) ?? await readRow(this.#tx, table, id));
        }
      }
      return;
    }
    const sorted = [...ids].sort();
    const base = await readBase(this.#tx, table, sorted);
    const own = await ownOnTop(this.#tx, table.name, sorted);
    for (const id of ids) {
      if (rows.has(id)) continue;
      const made = this.#taken(table, id);
      const state = made ?? base.get(id) ?? emptyRow();
      if (made === undefined) mergeOwn(state, own.get(id));
      rows.set(id, state);
    }
  }

  /** Makes the app's tables show what was changed so far. */
  async show(): Promise<void> {
    for (const [table, ids] of this.#unshown) {
      const rows = this.#tableRows(table);
      const put: SqlValue[][] = [];
      const remove: SqlValue[][] = [];
      // In order, because that is faster.
      for (const id of [...ids].sort()) {
        const made = this.#made.get(table.name)?.get(id);
        const state = rows.get(id);
        if (made !== undefined) put.push(insertedParams(table, made));
        else if (state !== undefined && isVisible(state)) put.push(shownParams(table, id, state));
        else remove.push([id]);
      }
      if (put.length > 0) await insertRows(this.#tx, table.shown.put, put);
      if (remove.length > 0) await this.#tx.runMany(table.shown.remove, remove);
    }
    this.#unshown.clear();
  }

  /**
   * Shows what was changed, and puts it into the outbox. Where it can be pushed at once it is marked as flying
   * already: that takes the same commit, and a push else begins with one of its own.
   */
  async finish(options: FinishOptions): Promise<WriteOutcome> {
    await this.show();
    const txId = options.grouped && this.#deltas.length > 1
      ? this.#context.random.uuid()
      : undefined;
    const { own, bytes } = writtenOut(this.#deltas, { ...options, txId });
    const touched = new TouchedRows();
    for (const { table, rowId } of this.#deltas) touched.add(table, rowId);
    const { changed } = touched;
    if (own.length === 0) return { deltas: 0, changed, flying: undefined };
    const canPush = own.length <= PUSH_DELTAS && bytes <= MAX_PUSH_BYTES &&
      options.canPush({ deltas: own.length, bytes });
    const flying = canPush !== false &&
      await (canPush === "next" ? isAllFlying : isOutboxEmpty)(this.#tx);
    const { offsetMs, seq, lastOrd } = this.#state;
    const ord = lastOrd + 1;
    await addOwn(this.#tx, own, { offsetMs, flying, ord });
    this.#state.hlc = this.#hlc.last;
    await writeHlc(this.#tx, this.#state);
    return {
      deltas: own.length,
      changed,
      flying: flying
        ? {
          deltas: own.map(({ delta, bytes }, i) => ({ ord: ord + i, delta, tries: 1, bytes })),
          base: seq,
        }
        : undefined,
    };
  }

  #tableRows(table: LocalTable): Map<string, RowState> {
    let rows = this.#rows.get(table.name);
    if (rows === undefined) this.#rows.set(table.name, rows = new Map());
    return rows;
  }

  async #row(table: LocalTable, id: string): Promise<RowState> {
    const rows = this.#tableRows(table);
    if (!rows.has(id)) await this.load(table, [id]);
    return rows.get(id)!;
  }

  async #insert(
    table: LocalTable,
    id: string,
    state: RowState,
    values: AppRow,
  ): Promise<AppRow> {
    const columns = insertedColumns(table, values);
    if (table.validate) await judgeRow(table, appRowOf(table, id, wireValues(columns)));
    this.#change(table, id, state, { op: "INSERT", columns });
    return appRow(table, id, state);
  }

  #change(
    table: LocalTable,
    rowId: string,
    state: RowState,
    change: Pick<Delta, "op" | "columns">,
  ): void {
    mergeDelta(state, this.#stamp(table, rowId, change));
  }

  /** Adds a row that is not there: its stamp is above all that was ever said of it, so that all it has is this. */
  #make(table: LocalTable, rowId: string, columns: Delta["columns"]): void {
    const content = this.#stamp(table, rowId, { op: "INSERT", columns });
    const made = this.#made.get(table.name);
    if (made === undefined) this.#made.set(table.name, new Map([[rowId, content]]));
    else made.set(rowId, content);
  }

  /** The state of a row that was made, which is then like any other. */
  #taken(table: LocalTable, rowId: string): RowState | undefined {
    const made = this.#made.get(table.name);
    const content = made?.get(rowId);
    if (content === undefined) return undefined;
    made!.delete(rowId);
    const state = emptyRow();
    mergeDelta(state, content);
    return state;
  }

  #stamp(table: LocalTable, rowId: string, change: Pick<Delta, "op" | "columns">): DeltaContent {
    const content: DeltaContent = {
      op: change.op,
      table: table.name,
      rowId,
      clientId: this.#state.clientId,
      columns: change.columns,
      hlc: this.#hlc.now(),
    };
    this.#deltas.push(content);
    const unshown = this.#unshown.get(table);
    if (unshown === undefined) this.#unshown.set(table, new Set([rowId]));
    else unshown.add(rowId);
    return content;
  }
}

/** A visible state as the app reads it. */
function appRow(table: LocalTable, id: string, state: RowState): AppRow {
  return appRowOf(table, id, valuesOf(state));
}

/** A row's wire values as the app reads them. */
export function appRowOf(
  table: LocalTable,
  id: string,
  values: ReadonlyMap<string, JsonValue>,
): AppRow {
  const entries: [string, AppValue][] = [["id", id]];
  for (const column of table.schema.columns) {
    const bigint = table.bigints.has(column.name);
    const value = ownValue(values.get(column.name) ?? null);
    entries.push([column.name, fromWire(column, value, { bigint })]);
  }
  // fromEntries defines own properties, so that a column named __proto__ is one too.
  return Object.fromEntries(entries);
}

function wireValues(columns: Delta["columns"]): Map<string, JsonValue> {
  return new Map(columns.map(({ column, value }) => [column, value]));
}

function valuesOf(state: RowState): Map<string, JsonValue> {
  const values = new Map<string, JsonValue>();
  for (const [name, register] of state.columns) values.set(name, register[0]);
  return values;
}

function badRowId(table: LocalTable): LakeSyncError {
  return new LakeSyncError(
    "VALIDATION_ERROR",
    `Cannot insert into "${table.name}": its id must be a well-formed string of 1 to 256 bytes`,
  );
}
