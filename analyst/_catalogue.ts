import type { LakeReader, Result, TableSchema } from "@lakesync/core";
import { isIdentifier, ok } from "@lakesync/core";
import type { PendingDeltas } from "./pending.ts";

/** A table of the app: in the lake, among the pending deltas, or both. */
export interface AppTable {
  readonly name: string;
  /** Its changelog in the lake, where there is one. */
  readonly lakeName: string | undefined;
  /** Its schema of today, where there are pending deltas. */
  readonly schema: TableSchema | undefined;
}

/** What SQL can name: a table's rows or its changes. */
export interface Relation {
  readonly name: string;
  readonly kind: "rows" | "changes";
  readonly table: AppTable;
}

const CHANGES = "_changes";

/** Every relation by its name in lower case (SQL does not tell case apart), sorted by it. */
export async function listRelations(
  lake: LakeReader,
  pending: PendingDeltas | undefined,
): Promise<Result<ReadonlyMap<string, Relation>>> {
  const tables = new Map<string, AppTable>();
  const lakeNames = await lake.tables();
  if (!lakeNames.ok) return lakeNames;
  for (const lakeName of lakeNames.value) {
    const name = lakeName.slice(0, -CHANGES.length);
    if (lakeName.endsWith(CHANGES) && isIdentifier(name)) {
      tables.set(name.toLowerCase(), { name, lakeName, schema: undefined });
    }
  }
  if (pending !== undefined) {
    const schemas = await pending.schemas();
    if (!schemas.ok) return schemas;
    for (const schema of schemas.value) {
      const key = schema.table.toLowerCase();
      tables.set(key, { name: schema.table, lakeName: tables.get(key)?.lakeName, schema });
    }
  }
  const relations: [string, Relation][] = [];
  for (const [key, table] of tables) {
    relations.push([key, { name: table.name, kind: "rows", table }]);
    // Where the app itself has a table of that name, the name is that table's rows.
    if (!tables.has(key + CHANGES)) {
      relations.push([key + CHANGES, { name: table.name + CHANGES, kind: "changes", table }]);
    }
  }
  relations.sort(([a], [b]) => a < b ? -1 : 1);
  return ok(new Map(relations));
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
