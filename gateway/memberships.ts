import {
  comparable,
  type JsonValue,
  type LogEntry,
  type LogStore,
  matchesAll,
  ok,
  type ResolvedJoin,
  type Result,
  type RowFacts,
} from "@lakesync/core";
import { entriesFoundBy, factsOf } from "./rules_facts.ts";
import type { RulesInForce } from "./rules_registry.ts";

/** The values that a join selects, each with the number of rows that have it. */
export type MemberCounts = ReadonlyMap<
  JsonValue,
  { readonly value: JsonValue; readonly count: number }
>;

/** A stretch of the log. */
export interface Stretch {
  /** Behind this seq … */
  readonly from: number;
  /** … up to and with this one. */
  readonly to: number;
}

/** What a join selects at both ends of a stretch of the log. */
export interface MembersBetween {
  readonly was: MemberCounts;
  readonly is: MemberCounts;
  /** Whether anything of it changed on the way, also where it is the same in the end. */
  readonly changed: boolean;
}

/** What a join selects at one seq. */
interface Known {
  readonly seq: number;
  readonly counts: MemberCounts;
}

/** A value that a row brought in or took away. */
type Step = readonly [value: JsonValue, by: 1 | -1];

/** So many joins of callers are kept. */
const MAX_KNOWN = 10_000;
const READ_LIMIT = 1_000;

/**
 * What callers' joins select (a user's projects, say). A join is looked up in its table's rows once,
 * then followed by the log, where its entries are found by their keys.
 */
export class Memberships {
  readonly #store: LogStore;
  /** Those first that were not asked for for longest. */
  readonly #known: Map<string, Known> = new Map();

  constructor(store: LogStore) {
    this.#store = store;
  }

  /**
   * What a join selects at both ends of a stretch of the log.
   *
   * @param join The join, with the caller's claims put in.
   * @param stretch The stretch; not behind the head.
   * @param inForce The rules.
   * @returns The values, or the store's error.
   */
  async between(
    join: ResolvedJoin,
    stretch: Stretch,
    inForce: RulesInForce,
  ): Promise<Result<MembersBetween>> {
    const key = keyOf(join, inForce);
    let known = this.#known.get(key);
    if (known !== undefined && await this.#isTrimmed(known.seq)) known = undefined;
    const start = known === undefined ? await this.#look(join, inForce) : ok(known);
    if (!start.ok) return start;
    const { seq, counts } = start.value;
    const { from, to } = stretch;
    const there = await this.#steps(
      join,
      { from: Math.min(seq, to), to: Math.max(seq, to) },
      inForce,
    );
    if (!there.ok) return there;
    const is = shift(counts, there.value, seq <= to ? 1 : -1);
    this.#keep(key, seq <= to ? { seq: to, counts: is } : start.value);
    const back = await this.#steps(join, stretch, inForce);
    if (!back.ok) return back;
    return ok({ was: shift(is, back.value, -1), is, changed: from < to && back.value.length > 0 });
  }

  #keep(key: string, known: Known): void {
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size <= MAX_KNOWN) return;
    this.#known.delete(this.#known.keys().next().value!);
  }

  async #isTrimmed(seq: number): Promise<boolean> {
    const hash = await this.#store.hashAt(seq);
    return !hash.ok || hash.value === undefined;
  }

  /** A place to start from: the beginning of the log, where that is there, or else the rows of now. */
  async #look(join: ResolvedJoin, inForce: RulesInForce): Promise<Result<Known>> {
    if (sinceOf(join, inForce) === 0 && !await this.#isTrimmed(0)) {
      return ok({ seq: 0, counts: new Map() });
    }
    const snapshot = await this.#store.snapshot();
    if (!snapshot.ok) return snapshot;
    try {
      const steps: Step[] = [];
      for await (const chunk of snapshot.value.rows([join.table])) {
        for (const { rowId, state } of chunk) {
          if (state.life?.alive !== true) continue;
          const value = selected(join, rowId, factsOf(state, state.columns.keys()));
          if (value !== undefined) steps.push([value, 1]);
        }
      }
      return ok({ seq: snapshot.value.position.seq, counts: shift(new Map(), steps, 1) });
    } finally {
      await snapshot.value.close();
    }
  }

  async #steps(
    join: ResolvedJoin,
    { from, to }: Stretch,
    inForce: RulesInForce,
  ): Promise<Result<readonly Step[]>> {
    const keys = entriesFoundBy({ table: join.table, filters: join.where, after: from }, inForce);
    const steps: Step[] = [];
    for (let readTo = from; readTo < to;) {
      const read = await this.#store.read(readTo, { limit: READ_LIMIT, through: to, keys });
      if (!read.ok) return read;
      for (const entry of read.value) steps.push(...stepsOf(join, entry));
      const last = read.value.at(-1);
      if (last === undefined) break;
      readTo = last.seq;
    }
    return ok(steps);
  }
}

/**
 * The value that a row of a join's table contributes.
 *
 * @param join The join.
 * @param rowId The row, which is alive.
 * @param facts What it says.
 * @returns The value; undefined where the join does not let the row through.
 */
export function selected(
  join: ResolvedJoin,
  rowId: string,
  facts: RowFacts = [],
): JsonValue | undefined {
  if (!matchesAll(join.where, { table: join.table, rowId, facts })) return undefined;
  if (join.select === "id") return rowId;
  return facts.find(([column]) => column === join.select)?.[1];
}

/**
 * What a join selects once a row of its table has changed.
 *
 * @param counts What it selects before.
 * @param was The value that the row contributed; undefined for none.
 * @param is The value that it contributes now.
 * @returns What it selects then.
 */
export function moveMember(
  counts: MemberCounts,
  was: JsonValue | undefined,
  is: JsonValue | undefined,
): MemberCounts {
  return shift(counts, stepsBetween(was, is), 1);
}

/** What an entry does to a join, where it is its transaction's last one on the row. */
function stepsOf(join: ResolvedJoin, { table, rowId, effect }: LogEntry): Step[] {
  const { before, after, last, judged } = effect;
  if (!last || table !== join.table) return [];
  const was = before === "alive" ? selected(join, rowId, judged?.before) : undefined;
  const is = after === "alive" ? selected(join, rowId, judged?.after) : undefined;
  return stepsBetween(was, is);
}

function stepsBetween(was: JsonValue | undefined, is: JsonValue | undefined): Step[] {
  // A row that stays as it is says nothing.
  if (was !== undefined && was === is) return [];
  const steps: Step[] = [];
  if (was !== undefined) steps.push([was, -1]);
  if (is !== undefined) steps.push([is, 1]);
  return steps;
}

function shift(counts: MemberCounts, steps: readonly Step[], by: 1 | -1): MemberCounts {
  if (steps.length === 0) return counts;
  const shifted = new Map(counts);
  for (const [value, step] of steps) {
    const key = comparable("json", value);
    const count = (shifted.get(key)?.count ?? 0) + step * by;
    if (count === 0) shifted.delete(key);
    else shifted.set(key, { value, count });
  }
  return shifted;
}

/** Behind which seq the log says all that a join looks at. */
export function sinceOf(join: ResolvedJoin, inForce: RulesInForce): number {
  const facts = inForce.facts.get(join.table);
  const columns = [join.select, ...join.where.map(({ column }) => column)];
  return Math.max(
    0,
    ...columns.map((column) => column === "id" ? 0 : facts?.get(column) ?? Infinity),
  );
}

function keyOf(join: ResolvedJoin, inForce: RulesInForce): string {
  return `${sinceOf(join, inForce)} ${joinText(join)}`;
}

/** One text for joins that select the same. */
export function joinText({ table, select, where }: ResolvedJoin): string {
  return JSON.stringify([
    table,
    select,
    where.map(({ column, op, values }) => [column, op, values]),
  ]);
}
