import {
  bindJoins,
  type Claims,
  cloneRow,
  type Delta,
  emptyRow,
  explainRefusal,
  isVisible,
  matchesRow,
  mergeDelta,
  NO_SUCH_ROW,
  type ResolvedJoin,
  type ResolvedRules,
  type RowState,
} from "@lakesync/core";
import { joinText, type MemberCounts, moveMember, selected } from "./memberships.ts";
import { factsOf } from "./rules_facts.ts";
import { resolveBuckets, type RulesInForce } from "./rules_registry.ts";
import { rowKey } from "./working_rows.ts";

/** Why a delta may not be written; never with values. */
export interface WriteFault {
  /** The delta's place in its transaction. */
  readonly index: number;
  /** The rule and the column, or that there is no such row. */
  readonly message: string;
}

/** What joins select, by {@linkcode joinText}. */
export type Members = ReadonlyMap<string, MemberCounts>;

/** A row of a transaction that is being judged. */
interface Touched {
  readonly table: string;
  readonly rowId: string;
  readonly before: RowState;
  readonly state: RowState;
  last: number;
}

/** Rules with what joins select put in. */
interface Bound {
  readonly read: ResolvedRules;
  readonly write: ResolvedRules;
}

/** What the author of an INSERT over a hidden row is told. */
const ID_TAKEN = "Another row has this id: insert it with an id of its own";

/** Judges what one caller wants to write. */
export class WriteRules {
  /** The joins whose members it needs to know. */
  readonly joins: readonly ResolvedJoin[];
  readonly #rules: Bound;
  #members: Members;
  #bound: Bound;

  /** @param members What the joins select just now; without it they select nothing. */
  constructor(inForce: RulesInForce, claims: Claims, members: Members = new Map()) {
    const { buckets, write = buckets } = inForce.rules;
    const read = resolveBuckets(inForce, buckets, claims);
    this.#rules = {
      read,
      write: write === buckets ? read : resolveBuckets(inForce, write, claims),
    };
    this.joins = [...joinsOf(this.#rules.read), ...joinsOf(this.#rules.write)];
    this.#members = members;
    this.#bound = this.#bind(members);
  }

  /**
   * Judges a transaction. A row must be the caller's to change as the transaction finds it, as it
   * leaves it, and as it deletes it; what it is in between is nobody's business. And only what is
   * alive can be updated or deleted. Where there is no fault, the transaction counts as written.
   *
   * @param deltas The transaction's deltas, in order.
   * @param row The rows as they are before it.
   * @returns The first fault, or undefined.
   */
  judge(
    deltas: readonly Delta[],
    row: (table: string, rowId: string) => RowState | undefined,
  ): WriteFault | undefined {
    const found = this.#bound;
    const touched = new Map<string, Touched>();
    for (const [index, delta] of deltas.entries()) {
      const { table, rowId } = delta;
      const key = rowKey(table, rowId);
      let touch = touched.get(key);
      if (touch === undefined) {
        const before = row(table, rowId) ?? emptyRow();
        touch = { table, rowId, before, state: cloneRow(before), last: index };
        touched.set(key, touch);
        const refusal = refusalOf(delta, touch.state, { ...found, seen: false });
        if (refusal !== undefined) return { index, message: refusal };
      }
      touch.last = index;
      if (delta.op !== "INSERT") {
        if (!isVisible(touch.state)) return { index, message: NO_SUCH_ROW };
        const refusal = delta.op === "DELETE"
          ? refusalOf(delta, touch.state, { ...found, seen: true })
          : undefined;
        if (refusal !== undefined) return { index, message: refusal };
      }
      mergeDelta(touch.state, delta);
    }
    const members = this.#membersAfter(touched.values());
    const left = members === this.#members ? found : this.#bind(members);
    for (const { state, last } of touched.values()) {
      const refusal = refusalOf(deltas[last]!, state, { ...left, seen: true });
      if (refusal !== undefined) return { index: last, message: refusal };
    }
    this.#members = members;
    this.#bound = left;
    return undefined;
  }

  #bind(members: Members): Bound {
    if (this.joins.length === 0) return this.#rules;
    const select = (join: ResolvedJoin) =>
      [...members.get(joinText(join))?.values() ?? []].map(({ value }) => value);
    const { read, write } = this.#rules;
    const bound = bindJoins(read, select);
    return { read: bound, write: write === read ? bound : bindJoins(write, select) };
  }

  /** What the joins select once rows of their tables are as a transaction leaves them. */
  #membersAfter(touched: Iterable<Touched>): Members {
    if (this.joins.length === 0) return this.#members;
    const joins = new Map(this.joins.map((join) => [joinText(join), join]));
    const members = new Map(this.#members);
    let moved = false;
    for (const { table, rowId, before, state } of touched) {
      for (const [text, join] of joins) {
        if (join.table !== table) continue;
        const counts = members.get(text) ?? new Map();
        const now = moveMember(counts, member(join, rowId, before), member(join, rowId, state));
        moved ||= now !== counts;
        members.set(text, now);
      }
    }
    return moved ? members : this.#members;
  }
}

function member(join: ResolvedJoin, rowId: string, state: RowState): ReturnType<typeof selected> {
  return isVisible(state) ? selected(join, rowId, factsOf(state, state.columns.keys())) : undefined;
}

function joinsOf(rules: ResolvedRules): readonly ResolvedJoin[] {
  return [...rules.tables.values()].flatMap((buckets) => buckets.flatMap(({ joins }) => joins));
}

/** Why a row, where it is alive, is not the caller's to change. */
function refusalOf(
  delta: Delta,
  state: RowState,
  { read, write, seen }: Bound & { seen: boolean },
): string | undefined {
  if (!isVisible(state)) return undefined;
  const { table, rowId } = delta;
  const row = { table, rowId, facts: factsOf(state, state.columns.keys()) };
  const refusal = explainRefusal(write, row);
  if (refusal === undefined) return undefined;
  // Of a row that the caller may not see it is told no more than it could not fail to notice: which
  // rule and column stand in the way would say what values it has.
  if (!seen && !matchesRow(read, row)) return delta.op === "INSERT" ? ID_TAKEN : NO_SUCH_ROW;
  const { bucket, column } = refusal;
  if (bucket === undefined) return `No rule lets you change table "${table}": ask its operator`;
  return `Rule ${
    JSON.stringify(bucket)
  } does not let you change this row: see its column "${column}"`;
}
