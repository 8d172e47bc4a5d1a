import {
  type AppendOutcome,
  type AppendPlan,
  type AppendRequest,
  type AppendView,
  compareHlc,
  type Delta,
  err,
  type Hlc,
  ok,
  type Result,
  type RowState,
  type Stamp,
  toLakeSyncError,
} from "@lakesync/core";
import { extendHash, hashText } from "./log_hash.ts";
import { storedEffect, storedHlc } from "./postgres_entry.ts";
import { storedKey } from "./postgres_keys.ts";
import { rowFromJson, rowToJson } from "./row_json.ts";
import { storedText } from "./sqlite_text.ts";
import { tableKey } from "./table_key.ts";
import { txLasts } from "./tx_last.ts";
import { rowKey } from "./working_rows.ts";

/** What a group of appends starts from: read under the head's lock. */
export interface GroupBase {
  readonly seq: number;
  readonly hash: number;
  /** The store's clock, in ms: not lower than when the last entry was appended. */
  readonly now: number;
  readonly purged: Stamp | undefined;
  /** The seqs of deltas that the log knows, by {@linkcode deltaKey}. */
  readonly duplicates: ReadonlyMap<string, number>;
  /** The rows that there are, as texts, by `rowKey`. */
  readonly rows: ReadonlyMap<string, string>;
  readonly values: ReadonlyMap<string, string>;
}

/** So many characters of deltas go to the server in one statement. */
const CHUNK_CHARS = 4 * 2 ** 20;

/** Columns of entries, for one statement. */
export interface LogColumns {
  /** The seq before the first. */
  readonly after: number;
  chars: number;
  readonly hash: number[];
  readonly txLast: number[];
  readonly pusher: string[];
  readonly clientId: string[];
  readonly hlc: string[];
  readonly deltaId: string[];
  readonly table: string[];
  readonly rowId: string[];
  readonly json: string[];
  readonly effect: string[];
}

/** A row that is to be written. */
export interface GroupRow {
  readonly table: string;
  readonly rowId: string;
  readonly alive: boolean | null;
  readonly seq: number;
  readonly state: string;
}

/** Appends that share one commit: each sees what those before it do. Nothing here touches the database. */
export class AppendGroup {
  readonly #base: GroupBase;
  #seq: number;
  #hash: number;
  readonly log: LogColumns[] = [];
  readonly keys: { readonly key: string[]; readonly seq: number[] } = { key: [], seq: [] };
  readonly rows: Map<string, GroupRow> = new Map();
  readonly clients: Map<string, { greatest: Hlc | null; from: number | null }> = new Map();
  /** By how many the visible rows of each table change. */
  readonly tables: Map<string, number> = new Map();
  readonly values: Map<string, string | null> = new Map();
  readonly #seen = new Map<string, number>();

  constructor(base: GroupBase) {
    this.#base = base;
    this.#seq = base.seq;
    this.#hash = base.hash;
  }

  /** The last seq after the group. */
  get seq(): number {
    return this.#seq;
  }

  /** When its entries are appended. */
  get at(): number {
    return this.#base.now;
  }

  /** The running hash after the group. */
  get hash(): number {
    return this.#hash;
  }

  /** Plans one append and takes over what it writes. */
  append(request: AppendRequest): Result<AppendOutcome> {
    let from = Infinity;
    const view: AppendView = {
      head: { seq: this.#seq, hash: hashText(this.#hash) },
      now: this.#base.now,
      purged: this.#base.purged,
      duplicate: (delta) => {
        const key = deltaKey(delta);
        const seq = this.#seen.get(key) ?? this.#base.duplicates.get(key);
        if (seq !== undefined) from = Math.min(from, seq);
        return seq;
      },
      row: (table, rowId) => this.#row(rowKey(table, rowId)),
      value: (key) => {
        const set = this.values.get(key);
        return set === undefined ? this.#base.values.get(key) : set ?? undefined;
      },
    };
    let plan: AppendPlan;
    try {
      plan = request.plan(view);
    } catch (thrown) {
      // Nothing of this request is taken over yet: the others of its group go on.
      return err(toLakeSyncError(thrown, "INTERNAL"));
    }
    const first = plan.entries.length > 0 ? this.#seq + 1 : undefined;
    this.#take(request, plan, Math.min(from, first ?? Infinity));
    return ok({ head: { seq: this.#seq, hash: hashText(this.#hash) }, first });
  }

  #row(key: string): RowState | undefined {
    const text = this.rows.get(key)?.state ?? this.#base.rows.get(key);
    return text === undefined ? undefined : rowFromJson(text);
  }

  #take(request: AppendRequest, plan: AppendPlan, from: number): void {
    for (const [key, value] of plan.values ?? []) this.values.set(key, value);
    if (from === Infinity) return;
    this.#client(request.clientId).from = from;
    const pusher = storedText(request.clientId);
    const lasts = txLasts(plan.entries, this.#seq + 1);
    /** Where each row's last entry is: what a trim goes by. */
    const lastEntry = new Map<string, number>();
    plan.entries.forEach(({ delta, effect, keys }, i) => {
      const { table, rowId, clientId } = delta;
      const json = JSON.stringify(delta);
      const columns = this.#columns(json.length);
      this.#seq++;
      this.#hash = extendHash(this.#hash, delta.deltaId);
      columns.hash.push(this.#hash);
      columns.txLast.push(lasts[i]!);
      columns.pusher.push(pusher);
      columns.clientId.push(clientId === request.clientId ? pusher : storedText(clientId));
      columns.hlc.push(storedHlc(delta.hlc));
      columns.deltaId.push(delta.deltaId);
      columns.table.push(table);
      columns.rowId.push(storedText(rowId));
      columns.json.push(json);
      columns.effect.push(storedEffect(effect));
      for (const key of keys) {
        if (key === tableKey(table)) continue; // the log has an index of its own for that
        this.keys.key.push(storedKey(key));
        this.keys.seq.push(this.#seq);
      }
      const client = this.#client(clientId);
      if (client.greatest === null || compareHlc(delta.hlc, client.greatest) > 0) {
        client.greatest = delta.hlc;
      }
      this.#seen.set(deltaKey(delta), this.#seq);
      lastEntry.set(rowKey(table, rowId), this.#seq);
      const change = effect.last
        ? Number(effect.after === "alive") - Number(effect.before === "alive")
        : 0;
      this.tables.set(table, (this.tables.get(table) ?? 0) + change);
    });
    for (const { table, rowId, state } of plan.rows) {
      const key = rowKey(table, rowId);
      this.rows.set(key, {
        table,
        rowId,
        alive: state.life?.alive ?? null,
        seq: lastEntry.get(key) ?? this.#seq,
        state: rowToJson(state),
      });
    }
  }

  #client(clientId: string): { greatest: Hlc | null; from: number | null } {
    let client = this.clients.get(clientId);
    if (client === undefined) {
      client = { greatest: null, from: null };
      this.clients.set(clientId, client);
    }
    return client;
  }

  #columns(chars: number): LogColumns {
    let columns = this.log.at(-1);
    if (columns === undefined || columns.chars >= CHUNK_CHARS) {
      columns = {
        after: this.#seq,
        chars: 0,
        hash: [],
        txLast: [],
        pusher: [],
        clientId: [],
        hlc: [],
        deltaId: [],
        table: [],
        rowId: [],
        json: [],
        effect: [],
      };
      this.log.push(columns);
    }
    columns.chars += chars;
    return columns;
  }
}

/** A text that names a delta within one store. */
export function deltaKey({ hlc, clientId, deltaId }: Delta): string {
  return `${hlc}\0${clientId}\0${deltaId}`;
}
