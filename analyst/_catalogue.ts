import type { LakeReader, Result, TableSchema } from "@lakesync/core";
import { isIdentifier, ok } from "@lakesync/core";
import type { OwnDeltas } from "./own.ts";
import type { PendingDeltas } from "./pending.ts";
import type { PulledReading } from "./pulled.ts";

/** A table of the app: in the lake, among the pending deltas, or both. */
export interface AppTable {
  readonly name: string;
  /** Its changelog in the lake, where there is one. */
  readonly lakeName: string | undefined;
  /** Its schema of today, where a gateway or a device tells it. */
  readonly schema: TableSchema | undefined;
  /** Whether the gateway has it, so that it may have pending deltas. */
  readonly pending: boolean;
}

/**
 * What SQL can name of a table: its rows or its changes, and as functions its rows as they were, what
 * changed between two moments and the history of a row.
 */
export interface Relation {
  readonly name: string;
  readonly kind: "rows" | "changes" | "at" | "between" | "history";
  readonly table: AppTable;
}

const CHANGES = "_changes";
const FUNCTIONS = ["at", "between", "history"] as const;

/** Every relation by its name in lower case (SQL does not tell case apart), sorted by it. */
export async function listRelations(
  { lake, pending, pulled, own }: {
    lake: LakeReader;
    pending?: PendingDeltas | undefined;
    pulled?: PulledReading | undefined;
    own?: OwnDeltas | undefined;
  },
): Promise<Result<ReadonlyMap<string, Relation>>> {
  const tables = new Map<string, AppTable>();
  const lakeNames = await lake.tables();
  if (!lakeNames.ok) return lakeNames;
  for (const lakeName of lakeNames.value) {
    const name = lakeName.slice(0, -CHANGES.length);
    if (lakeName.endsWith(CHANGES) && isIdentifier(name)) {
      tables.set(name.toLowerCase(), { name, lakeName, schema: undefined, pending: false });
    }
  }
  // A gateway's schema comes before that of a device, which may be behind.
  const gateway = await pending?.schemas();
  if (gateway?.ok === false) return gateway;
  const device = await own?.schemas();
  if (device?.ok === false) return device;
  for (const from of [device?.value, pulled?.schemas, gateway?.value]) {
    for (const schema of from ?? []) {
      const key = schema.table.toLowerCase();
      const lakeName = tables.get(key)?.lakeName;
      tables.set(key, { name: schema.table, lakeName, schema, pending: from === gateway?.value });
    }
  }
  const relations: [string, Relation][] = [];
  for (const [key, table] of tables) {
    relations.push([key, { name: table.name, kind: "rows", table }]);
    // Where the app itself has a table of that name, the name is that table's rows.
    if (!tables.has(key + CHANGES)) {
      relations.push([key + CHANGES, { name: table.name + CHANGES, kind: "changes", table }]);
    }
    for (const kind of FUNCTIONS) {
      if (tables.has(`${key}_${kind}`)) continue;
      relations.push([`${key}_${kind}`, { name: `${table.name}_${kind}`, kind, table }]);
    }
  }
  relations.sort(([a], [b]) => a < b ? -1 : 1);
  return ok(new Map(relations));
}

/** The names of what SQL can select from without an argument. */
export function tableNames(relations: ReadonlyMap<string, Relation>): readonly string[] {
  return [...relations.values()]
    .filter(({ kind }) => kind === "rows" || kind === "changes")
    .map(({ name }) => name);
}

/**
 * The relations whose names stand in a text of SQL. A name is an ASCII word and SQL has no other way
 * to write it, so none is missed; one that stands there as something else costs a plan, no more.
 */
export function namedRelations(
  sql: string,
  relations: ReadonlyMap<string, Relation>,
): readonly Relation[] {
  const named = new Set<Relation>();
  for (const [word] of sql.toLowerCase().matchAll(/[a-z0-9_]+/g)) {
    const relation = relations.get(word);
    if (relation !== undefined) named.add(relation);
  }
  return [...named];
}
