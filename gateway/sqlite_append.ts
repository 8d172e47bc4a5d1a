import {
  type AppendOutcome,
  type AppendPlan,
  type AppendRequest,
  type AppendView,
  compareHlc,
  type EntryEffect,
  err,
  type NewEntry,
  ok,
  type Result,
  toLakeSyncError,
} from "@lakesync/core";
import { extendHash, hashText } from "./log_hash.ts";
import { RowMap } from "./row_map.ts";
import type { KnownClient, SqliteClients, StagedClients } from "./sqlite_clients.ts";
import { packEffect, sharedEffect } from "./sqlite_effect.ts";
import { storedHlc } from "./sqlite_entry.ts";
import type { SqliteInserts } from "./sqlite_inserts.ts";
import type { KeyedSeq, SqliteKeys } from "./sqlite_keys.ts";
import { EntryRun, type RecentEntries } from "./sqlite_recent.ts";
import type { DirtyRow, SqliteRows } from "./sqlite_rows.ts";
import type { SqliteState } from "./sqlite_state.ts";
import type { Statements } from "./sqlite_statements.ts";
import { storedText } from "./sqlite_text.ts";
import type { SqliteValues } from "./sqlite_values.ts";
import { tableOfKey } from "./table_key.ts";
import { txLasts } from "./tx_last.ts";

/** What appends write to. */
export interface AppendContext {
  /** The state as of the last commit. */
  readonly state: SqliteState;
  /** The statements. */
  readonly statements: Statements;
  /** What adds to the log. */
  readonly inserts: SqliteInserts;
  /** The rows. */
  readonly rows: SqliteRows;
  /** The clients. */
  readonly clients: SqliteClients;
  /** The index of keys. */
  readonly keys: SqliteKeys;
  /** The values. */
  readonly values: SqliteValues;
  /** The end of the log. */
  readonly recent: RecentEntries;
}

/** Appends of one commit. Nothing of them is in memory before {@linkcode GroupAppend.publish}. */
export class GroupAppend {
  readonly #context: AppendContext;
  /** The store's clock, read once for the whole commit. */
  readonly #now: number;
  #seq: number;
  #hash: number;
  #at: number;
  #setsValues = false;
  readonly #rows = new RowMap<number, DirtyRow>();
  readonly #visible = new Map<number, number>();
  readonly #clients: StagedClients = new Map();
  readonly #tables = new Map<string, number>();
  readonly #run = new EntryRun();

  constructor(context: AppendContext, now: number) {
    this.#context = context;
    this.#now = now;
    ({ seq: this.#seq, hash: this.#hash, at: this.#at } = context.state);
  }

  /** How many entries it has. */
  get entries(): number {
    return this.#seq - this.#context.state.seq;
  }

  /** Whether there is anything that others would want to hear of. */
  get changes(): boolean {
    return this.entries > 0 || this.#setsValues;
  }

  /** Plans and writes an append, within the caller's transaction. */
  append(request: AppendRequest): Result<AppendOutcome> {
    const { state, rows, clients, statements, values } = this.#context;
    let from = Infinity;
    const view: AppendView = {
      head: { seq: this.#seq, hash: hashText(this.#hash) },
      now: this.#now,
      purged: state.purged,
      duplicate: (delta) => {
        const seq = clients.duplicate(delta, this.#clients);
        if (seq !== undefined) from = Math.min(from, seq);
        return seq;
      },
      row: (table, rowId) => {
        const tbl = this.#tables.get(table) ?? state.tables.get(table);
        if (tbl === undefined) return undefined;
        return this.#rows.get(tbl, rowId)?.state ?? rows.get(tbl, rowId);
      },
      value: (key) => values.get(key),
    };
    let plan: AppendPlan;
    try {
      plan = request.plan(view);
    } catch (thrown) {
      // Nothing of this request is written yet: the others of its group go on.
      return err(toLakeSyncError(thrown, "INTERNAL"));
    }
    for (const [key, value] of plan.values ?? []) {
      values.set(key, value);
      this.#setsValues = true;
    }
    const first = plan.entries.length > 0 ? this.#seq + 1 : undefined;
    const lastPushFrom = Math.min(from, first ?? Infinity);
    if (lastPushFrom !== Infinity) {
      const pusher = clients.get(request.clientId, this.#clients);
      statements.setPusher.run(lastPushFrom, pusher.no);
      if (first !== undefined) this.#write(plan, { clientId: request.clientId, pusher });
    }
    return ok({ head: { seq: this.#seq, hash: hashText(this.#hash) }, first });
  }

  #write(plan: AppendPlan, by: { clientId: string; pusher: KnownClient }): void {
    const { statements, inserts, clients, keys: index } = this.#context;
    this.#at = Math.max(this.#at, this.#now);
    const lasts = txLasts(plan.entries, this.#seq + 1);
    const keyed: KeyedSeq[] = [];
    const changed = new Set<number>();
    inserts.begin();
    plan.entries.forEach((entry, i) => {
      const { delta, effect } = entry;
      const client = delta.clientId === by.clientId
        ? by.pusher
        : clients.get(delta.clientId, this.#clients);
      if (client.greatest === undefined || compareHlc(delta.hlc, client.greatest) > 0) {
        client.greatest = delta.hlc;
      }
      const tbl = this.#table(delta.table);
      const packed = packEffect(effect);
      this.#seq++;
      this.#hash = extendHash(this.#hash, delta.deltaId);
      const json = JSON.stringify(delta);
      const { clientId, table, rowId } = delta;
      this.#run.push({
        seq: this.#seq,
        hash: hashText(this.#hash),
        at: this.#at,
        txLast: lasts[i]!,
        clientId,
        table,
        rowId,
        json,
        effect: sharedEffect(effect, packed),
      }, { keys: entry.keys, chars: json.length + (packed.state?.length ?? 0) });
      const keys = keysBesideTable(entry);
      for (const key of keys) keyed.push([key, this.#seq]);
      inserts.add(this.#seq);
      inserts.add(this.#hash);
      inserts.add(this.#at);
      inserts.add(lasts[i]!);
      inserts.add(by.pusher.no);
      inserts.add(client.no);
      inserts.add(storedHlc(delta.hlc));
      inserts.add(tbl);
      inserts.add(storedText(rowId));
      inserts.add(json);
      inserts.add(packed.effect);
      inserts.add(packed.won);
      inserts.add(packed.state);
      inserts.add(packed.judged);
      inserts.add(keys.length === 0 ? null : JSON.stringify(keys.map(storedText)));
      if (this.#count(tbl, effect)) changed.add(tbl);
    });
    inserts.end();
    if (keyed.length > 0) index.add(keyed);
    for (const tbl of changed) statements.setVisible.run(this.#visible.get(tbl)!, tbl);
    for (const { table, rowId, state } of plan.rows) {
      const tbl = this.#table(table);
      this.#rows.set(tbl, rowId, { tbl, rowId, state, seq: this.#seq });
    }
  }

  /** Counts a table's visible rows; tells whether they have become more or fewer. */
  #count(tbl: number, { last, before, after }: EntryEffect): boolean {
    if (!last || before === after) return false;
    const change = Number(after === "alive") - Number(before === "alive");
    if (change === 0) return false;
    const count = this.#visible.get(tbl) ?? this.#context.state.visible.get(tbl) ?? 0;
    this.#visible.set(tbl, count + change);
    return true;
  }

  #table(name: string): number {
    const known = this.#tables.get(name) ?? this.#context.state.tables.get(name);
    if (known !== undefined) return known;
    const { no } = this.#context.statements.addTable.get(name) as { no: number };
    this.#tables.set(name, no);
    return no;
  }

  /** Takes all of it over into memory, once it is committed. */
  publish(): void {
    const { state, clients, rows, recent } = this.#context;
    state.seq = this.#seq;
    state.hash = this.#hash;
    state.at = this.#at;
    for (const [name, no] of this.#tables) state.tables.set(name, no);
    for (const [no, visible] of this.#visible) state.visible.set(no, visible);
    clients.publish(this.#clients);
    rows.put(this.#rows.values(), this.#seq);
    recent.add(this.#run);
  }
}

const NONE: readonly string[] = [];

/** An entry's keys without its table's: that one is an index of the log itself. */
function keysBesideTable({ keys, delta }: NewEntry): readonly string[] {
  if (keys.length === 1 && tableOfKey(keys[0]!) === delta.table) return NONE;
  return keys.filter((key) => tableOfKey(key) !== delta.table);
}
