import { checkEvolution, type Rules, type TableSchema } from "@lakesync/core";
import type { LoadedFlows } from "./config_flows.ts";
import type { Destinations } from "./databases.ts";
import type { ShardConfig } from "./shards.ts";

/** What a server was started with, as far as a change of it does something to data. */
export interface Declared {
  readonly tables: readonly TableSchema[];
  readonly rules: Rules | null;
  readonly shards: readonly ShardConfig[];
  /** By destination, the tables that flow there: null for all. */
  readonly routes: readonly (readonly [destination: string, tables: readonly string[] | null])[];
  readonly flows: readonly DeclaredFlow[];
}

/** A flow from a source. */
export interface DeclaredFlow {
  readonly from: string;
  readonly to: readonly string[];
  readonly every: number;
  /** Whether it is copied, without a log between. */
  readonly copy?: true;
}

/** What a changed configuration does. */
export interface PlannedChange {
  /** `refused`: the server would not start. `note`: nothing that is there is lost by it. */
  readonly kind: "refused" | "warning" | "note";
  /** In words. */
  readonly text: string;
}

/** What of a configuration is kept to be compared. */
export function declaredOf(config: {
  readonly tables: readonly TableSchema[];
  readonly rules: Rules | undefined;
  readonly shards: readonly ShardConfig[];
  readonly destinations: Destinations;
  readonly flows: LoadedFlows | undefined;
}): Declared {
  const { tables, rules = null, shards, destinations, flows } = config;
  const routes: [string, readonly string[] | null][] = flows === undefined
    ? ["lake", ...Object.keys(destinations)].map((name) => [name, null])
    : Array.from(flows.routes, ([name, of]) => [name, of === undefined ? null : [...of].sort()]);
  return {
    tables,
    rules,
    shards,
    routes,
    flows: (flows?.flows ?? []).map(({ from, toGateway, direct, every, copy }) => ({
      from,
      to: [...toGateway ? ["gateway"] : [], ...direct],
      every,
      ...(copy !== undefined && { copy: true }),
    })),
  };
}

/**
 * Tells what a changed configuration does.
 *
 * @param before What the server was last started with.
 * @param after What it would be started with.
 * @returns What happens, in words; nothing where they are the same.
 */
export function planChanges(before: Declared, after: Declared): PlannedChange[] {
  return [
    ...tableChanges(before, after),
    ...shardChanges(before, after),
    ...(isSame(before.rules, after.rules) ? [] : [ruleChange(after)]),
    ...routeChanges(before, after),
    ...flowChanges(before, after),
  ];
}

function* tableChanges(before: Declared, after: Declared): Generator<PlannedChange> {
  const grown = checkEvolution(before.tables, after.tables);
  if (!grown.ok) yield refused(grown.error.message);
  const old = new Map(before.tables.map((table) => [table.table, table]));
  for (const { table, columns, version } of after.tables) {
    const there = old.get(table);
    if (there === undefined) {
      yield note(`table "${table}" is new`);
      continue;
    }
    const known = new Map(there.columns.map((column) => [column.name, column]));
    for (const { name, nullable } of columns) {
      const column = known.get(name);
      if (column === undefined) yield note(`column "${name}" of table "${table}" is new`);
      else if (nullable === true && column.nullable !== true) {
        yield note(`column "${name}" of table "${table}" may be null`);
      }
    }
    if (version !== there.version) {
      yield note(`table "${table}" goes from version ${there.version} to ${version}`);
    }
  }
}

function* shardChanges(before: Declared, after: Declared): Generator<PlannedChange> {
  const placesOf = ({ shards, tables }: Declared) => {
    const places = new Map(tables.map(({ table }) => [table, "no shard"]));
    for (const { name, tables } of shards) {
      for (const table of tables) places.set(table, `shard "${name}"`);
    }
    return places;
  };
  const places = placesOf(after);
  for (const [table, place] of placesOf(before)) {
    const now = places.get(table);
    if (now === undefined || now === place) continue;
    yield refused(`table "${table}" would move from ${place} to ${now}: leave it where its log is`);
  }
}

function ruleChange({ rules }: Declared): PlannedChange {
  return rules === null
    ? note("the rules are no longer declared: those that were put stay")
    : note("the rules change: clients whose rows change take a checkpoint");
}

function* routeChanges(before: Declared, after: Declared): Generator<PlannedChange> {
  const old = new Map(before.routes);
  const now = new Map(after.routes);
  for (const [name, tables] of now) {
    if (!old.has(name)) {
      yield note(`destination "${name}" is new: the next flush writes ${listed(tables)} there`);
      continue;
    }
    const had = old.get(name)!;
    const added = after.tables.map(({ table }) => table).filter((table) =>
      takes(tables, table) && !takes(had, table)
    );
    const gone = before.tables.map(({ table }) => table).filter((table) =>
      takes(had, table) && !takes(tables, table)
    );
    if (added.length > 0) yield note(`destination "${name}" gets ${listed(added)} too`);
    if (gone.length > 0) {
      yield warning(
        `destination "${name}" gets nothing more of ${listed(gone)}; what it has stays`,
      );
    }
  }
  for (const name of old.keys()) {
    if (now.has(name)) continue;
    yield warning(`destination "${name}" gets nothing more; what it has stays`);
  }
}

function* flowChanges(before: Declared, after: Declared): Generator<PlannedChange> {
  const old = new Map(before.flows.map((flow) => [flow.from, flow]));
  for (const { from, to, every, copy } of after.flows) {
    const there = old.get(from);
    old.delete(from);
    if (there === undefined) {
      yield note(`flow "${from}" is new: it is read from where it was left, or from the beginning`);
      continue;
    }
    const added = to.filter((name) => !there.to.includes(name));
    const gone = there.to.filter((name) => !to.includes(name));
    for (const name of added) {
      yield note(`flow "${from}" goes to "${name}" too: all that it had so far and what comes`);
    }
    for (const name of gone) {
      yield warning(`flow "${from}" goes to "${name}" no longer; what is there stays`);
    }
    if (every !== there.every) yield note(`flow "${from}" is read every ${every} s`);
    if (copy === true && there.copy !== true) {
      yield warning(
        `flow "${from}" is to be copied: it fails where its destinations have something of its log, ` +
          "declare new ones",
      );
    }
    if (copy !== true && there.copy === true) {
      yield warning(
        `flow "${from}" is copied no longer: it is read and written once more, by a log`,
      );
    }
  }
  for (const from of old.keys()) {
    yield warning(`flow "${from}" ends; what it brought stays, and so does its place`);
  }
}

function takes(tables: readonly string[] | null, table: string): boolean {
  return tables?.includes(table) ?? true;
}

function listed(tables: readonly string[] | null): string {
  return tables === null ? "all tables" : tables.map((table) => `"${table}"`).join(", ");
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function refused(text: string): PlannedChange {
  return { kind: "refused", text };
}

function warning(text: string): PlannedChange {
  return { kind: "warning", text };
}

function note(text: string): PlannedChange {
  return { kind: "note", text };
}
