import { LakeSyncError, type SqlServer, type SqlWork } from "@lakesync/core";
import { createStatements, firstNumber, sql } from "./_sql.ts";
import { FORMAT, OWN_TABLES } from "./_tables.ts";

/** Makes LakeSync's own tables where they are not there; throws `CONFLICT` where they are another's. */
export async function setUp(work: SqlWork, server: SqlServer): Promise<void> {
  for (const table of OWN_TABLES) {
    const found = await server.describe(work, table.name);
    if (found.size === 0) {
      for (const statement of createStatements(server, table)) await work.run(statement);
      continue;
    }
    for (const { name, type } of table.columns) {
      const described = found.get(name);
      if (described !== undefined && server.dialect.column(type).accepts(described)) continue;
      throw foreign(server, `"${table.name}"."${name}" is ${described ?? "not there"}`);
    }
  }
  const format = firstNumber(
    await work.run(sql`SELECT value FROM lakesync_head WHERE name = ${"format"}`),
  );
  if (format !== undefined && format !== FORMAT) {
    throw foreign(server, `its tables have format ${format}, this version has ${FORMAT}`);
  }
  if (format === undefined) {
    await work.run(
      sql`INSERT INTO lakesync_head (name, value) VALUES (${"pos"}, 0), (${"format"}, ${FORMAT})`,
    );
  }
}

function foreign(server: SqlServer, reason: string): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Cannot use ${server.place}: ${reason}; choose another database or schema, or the version that made them`,
  );
}
