import { LakeSyncError, type SqlServer, type SqlStatement, type SqlWork } from "@lakesync/core";
import type { MaterialisedTable } from "./materialised_table.ts";
import { createStatement, raw } from "./_sql.ts";

/**
 * What has to be done to a table so that it has every column.
 *
 * @returns The statements, none where it has them; throws `CONFLICT` where what is there does not fit.
 */
export async function shapeStatements(
  work: SqlWork,
  options: { server: SqlServer; table: MaterialisedTable },
): Promise<readonly SqlStatement[]> {
  const { server, table } = options;
  const { dialect } = server;
  const found = await server.describe(work, table.name);
  if (found.size === 0) {
    const columns = table.columns.map(({ name, type }, i) => ({ name, type, nullable: i > 0 }));
    return [createStatement(server, { name: table.name, columns, key: 1 })];
  }
  const lacking: string[] = [];
  for (const { name, type, source } of table.columns) {
    const described = found.get(name);
    const column = dialect.column(type);
    if (described === undefined && source === undefined) {
      throw misfit(server, table, {
        column: name,
        reason: `has no column "${name}", so it is not one that LakeSync made`,
        next: "rename it, or take another schema or database",
      });
    }
    if (described === undefined) lacking.push(`${dialect.quote(name)} ${column.sql}`);
    else if (!column.accepts(described)) {
      throw misfit(server, table, {
        column: name,
        reason: `has column "${name}" as ${described}, and not as ${column.sql}`,
        next: "drop or rename that column, or the table, and it is made anew",
      });
    }
  }
  const name = dialect.quote(table.name);
  return lacking.map((column) => raw(`ALTER TABLE ${name} ADD COLUMN ${column}`));
}

function misfit(
  server: SqlServer,
  table: MaterialisedTable,
  fault: { column: string; reason: string; next: string },
): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Cannot materialise "${table.name}": the table in ${server.place} ${fault.reason}; ${fault.next}`,
    { details: { table: table.name, column: fault.column } },
  );
}
