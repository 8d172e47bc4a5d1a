import { LakeSyncError, type SqlServer, type SqlWork } from "@lakesync/core";
import { createStatement, firstNumber, raw, sql } from "./_sql.ts";
import { FORMAT, OWN_TABLES, TABLES } from "./_tables.ts";

/** Makes LakeSync's own tables where they are not there; throws `CONFLICT` where they are another's. */
export async function setUp(work: SqlWork, server: SqlServer): Promise<void> {
  let hasMarks = false;
  for (const table of OWN_TABLES) {
    const found = await server.describe(work, table.name);
    if (table === TABLES) hasMarks = found.size > 0;
    if (found.size === 0) {
      // Somebody dropped deltas or states, and watermarks say that they are there: without these, whoever
      // has them brings all of them anew. First, as some databases commit when they make a table.
      if (hasMarks) await work.run(raw("DELETE FROM lakesync_tables WHERE TRUE"));
      await work.run(createStatement(server, table));
      continue;
    }
    const { quote, column } = server.dialect;
    for (const { name, type, nullable } of table.columns) {
      const described = found.get(name);
      if (described !== undefined && column(type).accepts(described)) continue;
      if (described === undefined && nullable === true) {
        const added = `${quote(name)} ${column(type).sql}`;
        await work.run(raw(`ALTER TABLE ${quote(table.name)} ADD COLUMN ${added}`));
        continue;
      }
      throw foreign(server, `"${table.name}"."${name}" is ${described ?? "not there"}`);
    }
  }
  const format = firstNumber(
    await work.run(sql`SELECT value FROM lakesync_head WHERE name = ${"format"}`),
  );
  if (format === undefined) {
    // There are deltas where somebody dropped the head alone.
    const pos = firstNumber(await work.run(sql`SELECT MAX(pos) FROM lakesync_deltas`)) ?? 0;
    await work.run(
      sql`INSERT INTO lakesync_head (name, value) VALUES (${"pos"}, ${pos}), (${"format"}, ${FORMAT})`,
    );
  } else if (format > FORMAT) {
    throw foreign(server, `its tables have format ${format}, this version has ${FORMAT}`);
  } else if (format < FORMAT) {
    await work.run(sql`UPDATE lakesync_head SET value = ${FORMAT} WHERE name = ${"format"}`);
  }
}

function foreign(server: SqlServer, reason: string): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Cannot use ${server.place}: ${reason}; choose another database or schema, or the version that made them`,
  );
}
