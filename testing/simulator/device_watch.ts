import {
  type Delta,
  type JsonValue,
  type SqlDatabase,
  type SqlRow,
  unwrapOrThrow,
} from "@lakesync/core";
import { describe, type Line } from "./line.ts";
import { addDelta, addRows, type Bags, type OracleRows, visibleRows } from "./oracle.ts";
import { rowsFor, type View } from "./rules_oracle.ts";
import type { Given } from "./rules_watch.ts";
import { type AppVersion, schemasOf, shownValue } from "./tables.ts";

/** A change that the app is about to commit. */
export type PlannedChange = Pick<Delta, "op" | "table" | "rowId"> & {
  readonly columns: ReadonlyMap<string, JsonValue>;
};

/** What a {@linkcode DeviceWatch} asks the world. */
export interface WatchContext {
  readonly name: string;
  /** What a cursor stands for. */
  readonly given: (cursor: string) => Given | undefined;
  /** Whether a delta is a DELETE of a row that was gone already, which counts as done. */
  readonly isDone: (deltaId: string) => boolean;
  /** Whether a delta may be lost: a restore took it, and its device could not know. */
  readonly excused: (delta: Delta) => boolean;
  /** The log's head when a gateway refused a delta so that it is stamped anew; undefined if none did. */
  readonly refusedAt: (deltaId: string) => number | undefined;
  /** Called with each check. */
  readonly checked: (what: string) => void;
  readonly violate: (promise: string, details: string) => void;
}

interface Own {
  readonly ord: number;
  readonly state: number;
  readonly json: string;
  readonly delta: Delta;
}

const EVERYTHING: View = { rules: undefined, claims: {} };

/** States of an own delta, as docs/client.md's tables have them. */
const UNSENT = 0;
const ACCEPTED = 3;
const SETTLED = 4;

/**
 * Looks at a device's database after each commit, before anybody else does: what it shows is what
 * the log had at its position with its own changes on top, whole transactions only, and nothing of
 * its own ever goes away without a word.
 */
export class DeviceWatch {
  readonly #context: WatchContext;
  readonly #query: (sql: string) => Promise<SqlRow[]>;
  #own = new Map<number, Own>();
  #line: Line | undefined;
  #seq = 0;
  #views: readonly View[] = [EVERYTHING];
  /** The app's version. */
  version: AppVersion = 1;
  /** Whether the base lacks columns that the app has since it was upgraded. */
  evolved = false;
  /** What the transaction under way is about to write. */
  planned: PlannedChange[] = [];
  /**
   * Whether it may go back once: the store was restored, and a log that got the same entries again
   * gives the same cursors.
   */
  mayGoBack = false;

  constructor(database: SqlDatabase, context: WatchContext) {
    this.#context = context;
    this.#query = async (sql) => unwrapOrThrow(await database.query(sql));
  }

  /** The log that its base is of, and how far. */
  get base(): { line: Line | undefined; seq: number; views: readonly View[] } {
    return { line: this.#line, seq: this.#seq, views: this.#views };
  }

  /** Its own changes as they are now stamped, in the order of making. */
  get own(): readonly Delta[] {
    return [...this.#own.values()].map(({ delta }) => delta);
  }

  /** How many of its changes no gateway has answered for. */
  get pending(): number {
    let pending = 0;
    for (const { state } of this.#own.values()) if (state < ACCEPTED) pending++;
    return pending;
  }

  /** Called after each commit. */
  async committed(): Promise<void> {
    const known = await this.#query("SELECT 1 FROM sqlite_master WHERE name = 'lakesync_own'");
    if (known.length === 0) return;
    const [state] = await this.#query("SELECT cursor, seq, due FROM lakesync_state");
    if (state === undefined) return;
    this.#context.checked("check device");
    await this.#checkOwn();
    this.#checkBase(state.cursor as string, state.seq as number);
    if (state.due === 0 && state.cursor !== "") this.evolved = false;
    this.#checkSettled();
    if (this.evolved) return;
    const expected = this.#views.map((view) => this.#expected(view));
    await this.checkShown(expected, `at seq ${this.#seq}`);
  }

  async #checkOwn(): Promise<void> {
    const rows = await this.#query("SELECT ord, state, json FROM lakesync_own ORDER BY ord");
    const own = new Map<number, Own>();
    const made: Delta[] = [];
    for (const row of rows) {
      const ord = row.ord as number;
      const json = row.json as string;
      const before = this.#own.get(ord);
      const delta = before?.json === json ? before.delta : JSON.parse(json) as Delta;
      own.set(ord, { ord, state: row.state as number, json, delta });
      if (before === undefined) made.push(delta);
      else if (before.delta.deltaId !== delta.deltaId) this.#checkRestamped(before.delta, delta);
    }
    const gone = [...this.#own.values()].filter(({ ord }) => !own.has(ord));
    if (gone.length > 0) await this.#checkGone(gone);
    this.#own = own;
    this.#checkMade(made);
    this.#checkStamps();
  }

  /** A delta that is stamped anew must not be in the log already. */
  #checkRestamped(before: Delta, after: Delta): void {
    const { violate, refusedAt } = this.#context;
    const what = `${describe(before)} became ${describe(after)}`;
    if (before.op !== after.op || before.table !== after.table || before.rowId !== after.rowId) {
      violate("a change stays what it was", what);
    }
    const seq = this.#line?.seqOf(before.deltaId);
    // A late copy of an earlier push may have come after the refusal.
    if (seq !== undefined && seq <= (refusedAt(before.deltaId) ?? Infinity)) {
      violate("what is in the log is not stamped anew", `${what}, though it is at seq ${seq}`);
    }
  }

  async #checkGone(gone: readonly Own[]): Promise<void> {
    const rows = await this.#query("SELECT json FROM lakesync_rejected");
    const letters = new Set(rows.map(({ json }) => (JSON.parse(json as string) as Delta).deltaId));
    const { checked, refusedAt, violate } = this.#context;
    for (const { delta } of gone) {
      if (letters.has(delta.deltaId)) {
        checked("check dead letter");
        if (refusedAt(delta.deltaId) !== undefined) continue;
        violate("nothing becomes a dead letter unless it was rejected", describe(delta));
      }
      this.#context.violate("nothing is dropped in silence", `${describe(delta)} is gone`);
    }
  }

  #checkMade(made: readonly Delta[]): void {
    const { violate } = this.#context;
    const planned = this.planned;
    this.planned = [];
    const same = planned.length === made.length && made.every((delta, i) => {
      const { op, table, rowId, columns } = planned[i]!;
      return op === delta.op && table === delta.table && rowId === delta.rowId &&
        columns.size === delta.columns.length &&
        delta.columns.every(({ column, value }) =>
          JSON.stringify(columns.get(column)) === JSON.stringify(value)
        );
    });
    if (!same) {
      violate(
        "a local write and its outbox entries are one",
        `${planned.length} changes were written, the outbox got [${made.map(describe).join("; ")}]`,
      );
    }
  }

  #checkStamps(): void {
    const { violate } = this.#context;
    const stamps = new Map<string, Delta>();
    let before: Own | undefined;
    for (const one of this.#own.values()) {
      const { delta, state } = one;
      const twin = stamps.get(delta.hlc);
      if (twin !== undefined) {
        violate("no stamp is used twice", `${describe(twin)} and ${describe(delta)}`);
      }
      stamps.set(delta.hlc, delta);
      const rises = before === undefined || BigInt(delta.hlc) > BigInt(before.delta.hlc);
      const together = before !== undefined &&
        (delta.txId !== undefined && delta.txId === before.delta.txId ||
          state === UNSENT && before.state === UNSENT);
      if (together && !rises) {
        violate(
          "stamps rise in the order of making",
          `${describe(before!.delta)} came before ${describe(delta)}`,
        );
      }
      before = one;
    }
  }

  #checkBase(cursor: string, seq: number): void {
    const { violate, given } = this.#context;
    if (cursor === "") return;
    const stands = given(cursor);
    if (stands === undefined) return violate("a cursor is one that a gateway gave", cursor);
    const { line, views } = stands;
    if (line === this.#line && seq < this.#seq) {
      if (!this.mayGoBack) {
        violate("no client goes back in time", `from seq ${this.#seq} to ${seq}`);
      }
      this.mayGoBack = false;
    }
    if (seq > line.head) {
      violate(
        "a client sees only what is durable",
        `seq ${seq} of a log that ends at ${line.head}`,
      );
    }
    if (!line.isBoundary(seq)) {
      violate("no transaction is seen in part", `a page ended within one, at seq ${seq}`);
    }
    this.#line = line;
    this.#seq = seq;
    this.#views = views;
  }

  /** What a client takes for settled is in its base. */
  #checkSettled(): void {
    for (const { state, delta } of this.#own.values()) {
      if (state !== SETTLED) continue;
      const seq = this.#line?.seqOf(delta.deltaId);
      if (seq !== undefined && seq <= this.#seq) continue;
      if (this.#context.excused(delta) || this.#context.isDone(delta.deltaId)) continue;
      this.#context.violate(
        "an accepted delta stays on top until the base has it",
        `${describe(delta)} is ${
          seq === undefined ? "in no log" : `at seq ${seq}`
        }, the base at ${this.#seq}`,
      );
    }
  }

  /** What it may see of what the log had at its position, with its own changes on top. */
  #expected(view: View): OracleRows {
    const bags: Bags = new Map();
    if (this.#line !== undefined) addRows(bags, rowsFor(view, this.#line.rowsAt(this.#seq)));
    for (const { state, delta } of this.#own.values()) if (state < SETTLED) addDelta(bags, delta);
    return visibleRows(bags);
  }

  #onTop(): string {
    const own = [...this.#own.values()].filter(({ state }) => state < SETTLED);
    return own.map(({ delta, state }) => `${describe(delta)} in state ${state}`).join("; ");
  }

  /** Holds what the app's tables show to rows: one of these sets. */
  async checkShown(expected: readonly OracleRows[], when: string): Promise<void> {
    let fitting = expected;
    for (const { table, columns } of schemasOf(this.version)) {
      const names = ["id", ...columns.map(({ name }) => name)].join(", ");
      const rows = await this.#query(`SELECT ${names} FROM ${table} ORDER BY id`);
      const shown = rows.map((row) =>
        JSON.stringify([row.id, ...columns.map(({ name }) => shownValue(row[name]))])
      );
      const texts = fitting.map((rows) =>
        [...rows.get(table) ?? []].sort(([a], [b]) => a < b ? -1 : 1).map(([id, { values }]) =>
          JSON.stringify([id, ...columns.map(({ name }) => shownValue(values.get(name)))])
        )
      );
      fitting = fitting.filter((_, i) => texts[i]!.join() === shown.join());
      if (fitting.length > 0) continue;
      this.#context.violate(
        "a client shows what the log had, with its own changes on top",
        `${this.#context.name} ${when} shows ${table} ${shown.join(" ")} and not ${
          texts.map((text) => text.join(" ")).join(" or ")
        }; on top: ${this.#onTop()}`,
      );
    }
  }
}
