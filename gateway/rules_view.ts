import {
  bindJoins,
  type Claims,
  type JsonValue,
  matchesRow,
  type ResolvedBucket,
  type ResolvedJoin,
  type ResolvedRules,
  type RowFacts,
  type RowKey,
  type RowWrite,
} from "@lakesync/core";
import { sinceOf } from "./memberships.ts";
import { entriesFoundBy, factsOf } from "./rules_facts.ts";
import { resolveBuckets, type RulesInForce } from "./rules_registry.ts";
import { tableKey } from "./table_key.ts";

/** With more keys than this, whole tables are read: each key costs a look into the index. */
const MAX_KEYS = 1_000;

/** What one caller may see by the rules at one time. */
export class RulesView {
  /** The rules. */
  readonly inForce: RulesInForce;
  /** What the caller's claims make of them. */
  readonly resolved: ResolvedRules;

  constructor(inForce: RulesInForce, resolved: ResolvedRules) {
    this.inForce = inForce;
    this.resolved = resolved;
  }

  /** Puts a caller's claims into the rules. */
  static of(inForce: RulesInForce, claims: Claims): RulesView {
    return new RulesView(inForce, resolveBuckets(inForce, inForce.rules.buckets, claims));
  }

  /** One text for all rules and claims that come to the same. */
  get canonical(): string {
    return this.resolved.canonical;
  }

  /** Whether rows of a table may be visible. */
  covers(table: string): boolean {
    return this.resolved.tables.has(table);
  }

  /** Its joins, in these tables; until they are bound, their buckets let nothing through. */
  joins(tables?: ReadonlySet<string>): readonly ResolvedJoin[] {
    return [...this.resolved.tables].flatMap(([table, buckets]) =>
      tables?.has(table) === false ? [] : buckets.flatMap(({ joins }) => joins)
    );
  }

  /** The same with what the joins select put in. */
  bind(select: (join: ResolvedJoin) => readonly JsonValue[]): RulesView {
    return new RulesView(this.inForce, bindJoins(this.resolved, select));
  }

  /** Whether a row is visible, by what an entry says of it. The one judgement on every way out. */
  sees(row: RowKey, facts: RowFacts = []): boolean {
    return matchesRow(this.resolved, { table: row.table, rowId: row.rowId, facts });
  }

  /** Whether a row that is alive is visible. */
  seesState(row: RowWrite): boolean {
    const buckets = this.resolved.tables.get(row.table);
    return buckets !== undefined && this.sees(row, factsOf(row.state, columnsIn(buckets)));
  }

  /**
   * Behind which seq the log says all that this view looks at. A caller that stands before it, when
   * other rules were in force, cannot be told what has changed for it.
   */
  get since(): number {
    let since = 0;
    for (const [table, buckets] of this.resolved.tables) {
      for (const column of columnsIn(buckets)) {
        if (column === "id") continue;
        since = Math.max(since, this.inForce.facts.get(table)?.get(column) ?? Infinity);
      }
    }
    return Math.max(since, ...this.joins().map((join) => sinceOf(join, this.inForce)));
  }

  /**
   * What all entries that may reach the caller are found by.
   *
   * @param options The tables that it asked for, undefined for all; and where it stands.
   * @returns The keys.
   */
  keys(options: { tables: ReadonlySet<string> | undefined; after: number }): readonly string[] {
    const keys = new Set<string>();
    const asked = [...this.resolved.tables].filter(([table]) =>
      options.tables?.has(table) !== false
    );
    for (const [table, buckets] of asked) {
      for (const { filters } of buckets) {
        const wanted = { table, filters, after: options.after };
        for (const key of entriesFoundBy(wanted, this.inForce)) keys.add(key);
      }
    }
    return keys.size <= MAX_KEYS ? [...keys] : asked.map(([table]) => tableKey(table));
  }
}

function columnsIn(buckets: readonly ResolvedBucket[]): ReadonlySet<string> {
  return new Set(
    buckets.flatMap(({ filters, joins }) => [...filters, ...joins].map(({ column }) => column)),
  );
}
