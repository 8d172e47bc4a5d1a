import {
  type Claims,
  err,
  indexTables,
  isRuleJoin,
  LakeSyncError,
  type LogStore,
  type NewEntry,
  ok,
  parseRules,
  type ResolvedRules,
  resolveRules,
  type Result,
  type RuleBucket,
  type Rules,
  type TableIndex,
  type TableSchema,
} from "@lakesync/core";
import { columnsOf, type RuledColumns, type SinceSeq } from "./rules_columns.ts";

/** Where the rules are kept in the store. Whoever appends reads them in the same commit. */
export const RULES_KEY = "rules";

/** A value that changes with every entry of a table that some rule looks into from another one. */
export const JOINED_KEY = "rules-joined";

/** The rules of a gateway at one time, with all that is needed to judge by them. */
export interface RulesInForce {
  /** As they were put. */
  readonly rules: Rules;
  /** What is stored of them: another text, other rules. */
  readonly text: string;
  /** The tables and columns that they name. A column keeps its type, so these never grow old. */
  readonly tables: ReadonlyMap<string, TableIndex>;
  /** The columns whose values entries carry, and behind which seq all of them do. */
  readonly facts: SinceSeq;
  /** The columns by whose values entries are found, and behind which seq all of them are. */
  readonly keys: SinceSeq;
  /** The tables that rules look into from others. */
  readonly joined: ReadonlySet<string>;
}

/** The form in which they are kept. */
interface StoredRules {
  readonly rules: Rules;
  readonly tables: readonly TableSchema[];
  readonly facts: readonly SinceRow[];
  readonly keys: readonly SinceRow[];
}

type SinceRow = readonly [table: string, column: string, seq: number];

/**
 * The rules of a gateway, kept in its store. Any instance may put new ones at any time, so whoever
 * judges asks for the stored ones.
 */
export class RulesRegistry {
  readonly #store: LogStore;
  #text: string | undefined;
  #known: RulesInForce | undefined;
  /** A look for the stored ones that begins in a moment. */
  #look: Promise<Result<RulesInForce | undefined>> | undefined;

  constructor(store: LogStore) {
    this.#store = store;
  }

  /** The newest rules that this instance has seen. */
  get known(): RulesInForce | undefined {
    return this.#known;
  }

  /** The rules in force; undefined where there are none, so that everybody sees everything. */
  current(): Promise<Result<RulesInForce | undefined>> {
    // A change wakes a thousand streams in one turn, and all of them ask. Who joins a look that has not
    // begun misses no rules that were put before.
    return this.#look ??= Promise.resolve().then(() => {
      this.#look = undefined;
      return this.#current();
    });
  }

  async #current(): Promise<Result<RulesInForce | undefined>> {
    const stored = await this.#store.getValue(RULES_KEY);
    if (!stored.ok) return stored;
    try {
      return ok(this.parse(stored.value));
    } catch (cause) {
      return err(
        new LakeSyncError("CORRUPT", "The stored rules are damaged: put them again", { cause }),
      );
    }
  }

  /**
   * The rules that a stored text stands for; the very same object for the same text.
   *
   * @throws Where the text is damaged.
   */
  parse(text: string | undefined): RulesInForce | undefined {
    if (text === this.#text) return this.#known;
    const known = text === undefined ? undefined : fromStored(text);
    this.#text = text;
    this.#known = known;
    return known;
  }

  /**
   * Replaces the rules.
   *
   * @param value The rules from outside.
   * @param tables The gateway's tables.
   * @returns The rules; `VALIDATION_ERROR` that names the path of a fault.
   */
  async put(
    value: unknown,
    tables: ReadonlyMap<string, TableIndex>,
  ): Promise<Result<Rules>> {
    const rules = parseRules(value, { tables });
    if (!rules.ok) return rules;
    const columns = columnsOf(rules.value);
    const appended = await this.#store.append({
      clientId: "@rules",
      deltas: [],
      rows: [],
      values: [RULES_KEY],
      plan: (view) => {
        // Damaged ones are replaced: what they had judged is not known any more.
        const held = quietly(() => this.parse(view.value(RULES_KEY)));
        const stored: StoredRules = {
          rules: rules.value,
          tables: namedTables(columns, tables),
          facts: sinceRows(columns.facts, held?.facts, view.head.seq),
          keys: sinceRows(columns.keys, held?.keys, view.head.seq),
        };
        const text = JSON.stringify(stored);
        return { entries: [], rows: [], values: new Map([[RULES_KEY, text]]) };
      },
    });
    return appended.ok ? rules : appended;
  }
}

/**
 * Puts a caller's claims into buckets of the rules in force.
 *
 * @param inForce The rules.
 * @param buckets Those for reading or those for writing.
 * @param claims The caller's claims.
 * @returns What they come to.
 */
export function resolveBuckets(
  inForce: RulesInForce,
  buckets: readonly RuleBucket[],
  claims: Claims,
): ResolvedRules {
  return resolveRules(buckets, { claims, tables: inForce.tables });
}

/**
 * The values that go with entries, so that others notice where what rules look into has changed.
 *
 * @param entries The entries that are appended.
 * @param inForce The rules; undefined where there are none.
 * @param head The head before them.
 * @returns The values.
 */
export function joinedValues(
  entries: readonly NewEntry[],
  inForce: RulesInForce | undefined,
  head: number,
): ReadonlyMap<string, string> {
  const touches = inForce !== undefined && inForce.joined.size > 0 &&
    entries.some(({ delta }) => inForce.joined.has(delta.table));
  return new Map(touches ? [[JOINED_KEY, String(head)]] : []);
}

function fromStored(text: string): RulesInForce {
  const { rules, tables, facts, keys } = JSON.parse(text) as StoredRules;
  const filters = [...rules.buckets, ...rules.write ?? []].flatMap((bucket) => bucket.filters);
  return {
    rules,
    text,
    tables: indexTables(tables),
    facts: sinceMap(facts),
    keys: sinceMap(keys),
    joined: new Set(filters.filter(isRuleJoin).map(({ table }) => table)),
  };
}

function sinceMap(rows: readonly SinceRow[]): SinceSeq {
  const map = new Map<string, Map<string, number>>();
  for (const [table, column, seq] of rows) {
    const columns = map.get(table) ?? new Map<string, number>();
    map.set(table, columns.set(column, seq));
  }
  return map;
}

/** A column that was judged before goes on to be, so that its callers notice nothing. */
function sinceRows(
  columns: ReadonlyMap<string, ReadonlySet<string>>,
  held: SinceSeq | undefined,
  seq: number,
): SinceRow[] {
  return [...columns].flatMap(([table, names]) =>
    [...names].map((name): SinceRow => [table, name, held?.get(table)?.get(name) ?? seq])
  );
}

function namedTables(
  { all }: RuledColumns,
  tables: ReadonlyMap<string, TableIndex>,
): TableSchema[] {
  return [...all].map(([table, names]) => {
    const { schema } = tables.get(table)!;
    return { ...schema, columns: schema.columns.filter(({ name }) => names.has(name)) };
  });
}

function quietly<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch {
    return undefined;
  }
}
