import { isRuleJoin, type RuleBucket, type Rules } from "@lakesync/core";

/** A seq for each column, by table. */
export type SinceSeq = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Columns by table. */
type Columns = ReadonlyMap<string, ReadonlySet<string>>;

/** What rules look at. */
export interface RuledColumns {
  /** Columns that reading looks at: entries carry their values. Never `id`, which they have anyway. */
  readonly facts: Columns;
  /** Columns, also `id`, that reading compares for equality: entries are found by their values. */
  readonly keys: Columns;
  /** All tables that are named, with the columns that are. */
  readonly all: Columns;
}

/**
 * Collects what rules look at.
 *
 * @param rules The rules.
 * @returns The columns.
 */
export function columnsOf(rules: Rules): RuledColumns {
  const facts = new ColumnSet();
  const keys = new ColumnSet();
  const all = new ColumnSet();
  const look = (table: string, column: string, use: { reads: boolean; equality: boolean }) => {
    all.add(table, column);
    if (!use.reads) return;
    if (column !== "id") facts.add(table, column);
    if (use.equality) keys.add(table, column);
  };
  const walk = (buckets: readonly RuleBucket[], reads: boolean) => {
    for (const { tables, filters } of buckets) {
      for (const table of tables) {
        all.table(table);
        for (const filter of filters) {
          const equality = filter.op === "eq" || filter.op === "in";
          look(table, filter.column, { reads, equality });
        }
      }
      for (const join of filters.filter(isRuleJoin)) {
        all.table(join.table);
        // A membership is looked up, also for writing, by what its entries say.
        look(join.table, join.select, { reads: true, equality: false });
        for (const { column, op } of join.where) {
          look(join.table, column, { reads: true, equality: op === "eq" || op === "in" });
        }
      }
    }
  };
  walk(rules.buckets, true);
  walk(rules.write ?? [], false);
  return { facts: facts.columns, keys: keys.columns, all: all.columns };
}

class ColumnSet {
  readonly columns = new Map<string, Set<string>>();

  table(name: string): Set<string> {
    const held = this.columns.get(name) ?? new Set<string>();
    this.columns.set(name, held);
    return held;
  }

  add(table: string, column: string): void {
    this.table(table).add(column);
  }
}
