import { compareHlc, compareStamps, type Hlc, type JsonValue, type RowState } from "@lakesync/core";
import type { ChangedRows, Inspection, RowFacts } from "../inspect.ts";
import { Ring } from "./_ring.ts";

/** What came from other devices. */
export interface ReceivedDelta {
  /** When it was noticed, in ms since the Unix epoch by the device's clock. */
  readonly at: number;
  readonly table: string;
  /** The row; undefined for `many`. */
  readonly rowId: string | undefined;
  /** `set`: columns; `gone`: the row was deleted or hidden; `many`: any number of rows at once. */
  readonly kind: "set" | "gone" | "many";
  /** Whether the row's life began with it. */
  readonly began: boolean;
  /** Its stamp, for `set`. */
  readonly stamp: { readonly hlc: Hlc; readonly clientId: string } | undefined;
  /** Those of its columns that won. */
  readonly columns: readonly { readonly column: string; readonly value: JsonValue }[];
}

/** A row's part of one delta, as its registers tell. */
type Part = Omit<ReceivedDelta, "at" | "table" | "rowId" | "kind" | "stamp"> & {
  readonly stamp: { readonly hlc: Hlc; readonly clientId: string };
  readonly columns: { column: string; value: JsonValue }[];
};

interface Touched {
  readonly table: string;
  readonly id: string;
  readonly at: number;
}

/** Rows that wait to be looked at; those before are forgotten. */
const MAX_TOUCHED = 500;
/** Rows whose stamps are remembered. */
const MAX_KNOWN = 5_000;

/**
 * What other devices have changed, found by comparing rows with what was known of them: a client keeps the
 * merged rows that the gateway told, not the deltas. Of a row that is seen for the first time, what is
 * stamped after the beginning counts as new, else the newest of it.
 */
export class Received {
  readonly entries: Ring<ReceivedDelta> = new Ring(1_000);
  readonly #inspection: Inspection;
  readonly #clientId: string;
  readonly #touched: Map<string, Touched> = new Map();
  readonly #known: Map<string, { existed: boolean; stamps: Set<string> }> = new Map();
  readonly #undone: Set<string> = new Set();
  #since: { greatest: Hlc | undefined; lastOrd: number } | undefined;

  constructor(inspection: Inspection, clientId: string) {
    this.#inspection = inspection;
    this.#clientId = clientId;
  }

  /** Takes note of where things stand now. */
  async begin(): Promise<void> {
    const sync = await this.#inspection.sync();
    if (sync.ok) this.#since = sync.value;
  }

  /** Takes note of changes, which are looked at later. */
  note(changed: ChangedRows, at: number): void {
    // All that is there by now has come with it.
    if ([...changed.values()].includes(undefined)) void this.begin();
    for (const [table, ids] of changed) {
      if (ids === undefined) {
        const last = this.entries.items.at(-1);
        if (last?.kind === "many" && last.table === table && at - last.at < 1_000) continue;
        this.entries.push({ ...NOTHING, at, table, rowId: undefined, kind: "many" });
        continue;
      }
      for (const id of ids) {
        const key = keyOf(table, id);
        const first = this.#touched.get(key)?.at ?? at;
        this.#touched.delete(key);
        this.#touched.set(key, { table, id, at: first });
        if (this.#touched.size > MAX_TOUCHED) dropFirst(this.#touched);
      }
    }
  }

  /** Takes note of rows that a rejection has put back. */
  undone(table: string, id: string): void {
    this.#undone.add(keyOf(table, id));
    if (this.#undone.size > MAX_KNOWN) dropFirst(this.#undone);
  }

  /** Remembers how rows are now. */
  remember(table: string, facts: readonly RowFacts[]): void {
    for (const { id, base } of facts) {
      const key = keyOf(table, id);
      // What waits to be looked at is compared with what was known before.
      if (this.#touched.has(key)) continue;
      this.#keep(key, base);
    }
  }

  /** Looks at what has changed; whether there was anything. */
  async catchUp(): Promise<boolean> {
    if (this.#touched.size === 0 || this.#since === undefined) return false;
    const work = new Map<string, Touched[]>();
    for (const touched of this.#touched.values()) {
      const list = work.get(touched.table);
      if (list === undefined) work.set(touched.table, [touched]);
      else list.push(touched);
    }
    this.#touched.clear();
    const own = await this.#inspection.own();
    const { lastOrd } = this.#since;
    const mine = new Set(this.#undone);
    for (const { ord, delta } of own.ok ? own.value : []) {
      if (ord > lastOrd) mine.add(keyOf(delta.table, delta.rowId));
    }
    for (const [table, rows] of work) {
      const facts = await this.#inspection.rows(table, { ids: rows.map(({ id }) => id) });
      if (!facts.ok) continue;
      for (const [i, row] of rows.entries()) this.#compare(row, facts.value[i]!, mine);
    }
    return true;
  }

  #compare({ table, id, at }: Touched, { base, own }: RowFacts, mine: ReadonlySet<string>): void {
    const key = keyOf(table, id);
    const known = this.#known.get(key);
    const isMine = mine.has(key);
    if (base === undefined) {
      const gone = own.length === 0 && !isMine && known?.existed !== false;
      if (gone) this.entries.push({ ...NOTHING, at, table, rowId: id, kind: "gone" });
    } else {
      const parts = this.#parts(base);
      for (const part of known === undefined ? this.#recent(parts, isMine) : parts) {
        if (known?.stamps.has(stampKey(part.stamp)) === true) continue;
        this.entries.push({ ...part, at, table, rowId: id, kind: "set" });
      }
    }
    this.#keep(key, base);
  }

  /** What of a row that was not known must be new. */
  #recent(parts: readonly Part[], isMine: boolean): readonly Part[] {
    const greatest = this.#since?.greatest;
    const later = parts.filter(({ stamp }) =>
      greatest === undefined || compareHlc(stamp.hlc, greatest) > 0
    );
    // Made offline, and long ago.
    return later.length > 0 || isMine ? later : parts.slice(-1);
  }

  #keep(key: string, base: RowState | undefined): void {
    this.#known.delete(key);
    const stamps = new Set(
      base === undefined ? [] : this.#parts(base).map((p) => stampKey(p.stamp)),
    );
    this.#known.set(key, { existed: base !== undefined, stamps });
    if (this.#known.size > MAX_KNOWN) dropFirst(this.#known);
  }

  /** What others have said of a row, the latest last. */
  #parts({ life, columns }: RowState): Part[] {
    const parts = new Map<string, Part>();
    const partOf = (hlc: Hlc, clientId: string): Part => {
      const stamp = { hlc, clientId };
      const key = stampKey(stamp);
      const began = life?.hlc === hlc && life.clientId === clientId;
      const part = parts.get(key) ?? { stamp, columns: [], began };
      parts.set(key, part);
      return part;
    };
    if (life !== undefined) partOf(life.hlc, life.clientId);
    for (const [column, [value, hlc, clientId]] of columns) {
      partOf(hlc, clientId).columns.push({ column, value });
    }
    return [...parts.values()].filter(({ stamp }) => stamp.clientId !== this.#clientId)
      .sort((a, b) => compareStamps(a.stamp, b.stamp));
  }
}

const NOTHING = { began: false, stamp: undefined, columns: [] } as const;

function keyOf(table: string, id: string): string {
  return `${table} ${id}`;
}

function stampKey({ hlc, clientId }: { hlc: Hlc; clientId: string }): string {
  return `${hlc} ${clientId}`;
}

function dropFirst(of: Map<string, unknown> | Set<string>): void {
  for (const key of of.keys()) {
    of.delete(key);
    return;
  }
}
