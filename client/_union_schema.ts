import {
  checkEvolution,
  type ColumnSchema,
  err,
  LakeSyncError,
  ok,
  type Result,
  type TableSchema,
} from "@lakesync/core";

/**
 * The schemas that versions of an app have between them: each may follow the others by nullable
 * columns and by NOT NULL → nullable (PROTOCOL, section 1).
 *
 * @returns All tables with all columns; `CONFLICT` where no version could be the later one.
 */
export function unionSchemas(
  stored: readonly TableSchema[],
  declared: readonly TableSchema[],
): Result<readonly TableSchema[]> {
  const union = new Map(stored.map((schema) => [schema.table, schema]));
  for (const schema of declared) {
    const other = union.get(schema.table);
    union.set(schema.table, other === undefined ? schema : unionTable(other, schema));
  }
  const all = [...union.values()];
  for (const version of [stored, declared]) {
    const missing = all.filter(({ table }) => !version.some((schema) => schema.table === table));
    const allowed = checkEvolution([...version, ...missing], all);
    if (!allowed.ok) {
      return err(
        new LakeSyncError(
          "CONFLICT",
          `Cannot use this database with these tables: ${allowed.error.message}; ` +
            "close the tabs of the other version of the app, or give this version another database",
          { cause: allowed.error },
        ),
      );
    }
  }
  return ok(all);
}

function unionTable(a: TableSchema, b: TableSchema): TableSchema {
  const columns = new Map<string, ColumnSchema>(a.columns.map((column) => [column.name, column]));
  for (const column of b.columns) {
    const other = columns.get(column.name);
    // Of two types the first one: the check refuses it.
    if (other === undefined || column.nullable === true && other.type === column.type) {
      columns.set(column.name, column);
    }
  }
  return {
    table: a.table,
    version: Math.max(a.version, b.version),
    columns: [...columns.values()],
  };
}
