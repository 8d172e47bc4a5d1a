import { LakeSyncError, type SqlServer, type SqlStatement, type SqlWork } from "@lakesync/core";
import { createStatement, firstNumber, raw, sql } from "./_sql.ts";
import { DELTAS, FORMAT, OWN_TABLES, type OwnTable, ROWS, TABLES } from "./_tables.ts";

/** Makes LakeSync's own tables where they are not there; throws `CONFLICT` where they are another's. */
export async function setUp(work: SqlWork, server: SqlServer): Promise<void> {
  // All of them before any is made: some databases make several at once.
  const found = new Map<OwnTable, ReadonlyMap<string, string>>();
  for (const table of OWN_TABLES) found.set(table, await server.describe(work, table.name));
  const lacks = (table: OwnTable) => found.get(table)!.size === 0;
  const changes: SqlStatement[] = [];
  // The marks behind what they are about: whoever looks on meanwhile, in the other order, finds no marks
  // without the rest.
  for (const table of OWN_TABLES.toReversed()) {
    if (lacks(table)) changes.push(createStatement(server, table));
    else changes.push(...missingColumns(server, { table, found: found.get(table)! }));
  }
  // Somebody dropped deltas or states, and watermarks say that they are there: without these, whoever
  // has them brings all of them anew. First, as some databases commit when they make a table.
  if (!lacks(TABLES) && (lacks(DELTAS) || lacks(ROWS))) {
    await work.run(raw("DELETE FROM lakesync_tables WHERE TRUE"));
  }
  for (const statement of changes) await work.run(statement);
  const format = firstNumber(
    await work.run(sql`SELECT value FROM lakesync_head WHERE name = ${"format"}`),
  );
  if (format === undefined) {
    // There are deltas where somebody dropped the head alone; or tables show some that have since been
    // taken out, and would never show what gets a place of theirs.
    const last = firstNumber(await work.run(sql`SELECT MAX(pos) FROM lakesync_deltas`)) ?? 0;
    const shown = firstNumber(await work.run(sql`SELECT MAX(done) FROM lakesync_tables`)) ?? 0;
    const pos = Math.max(last, shown);
    await work.run(
      sql`INSERT INTO lakesync_head (name, value) VALUES (${"pos"}, ${pos}), (${"format"}, ${FORMAT})`,
    );
  } else if (format > FORMAT) {
    throw foreign(server, `its tables have format ${format}, this version has ${FORMAT}`);
  } else if (format < FORMAT) {
    await work.run(sql`UPDATE lakesync_head SET value = ${FORMAT} WHERE name = ${"format"}`);
  }
}

/** Statements that add what a table of an earlier version lacks; throws where it is another's. */
function missingColumns(
  server: SqlServer,
  { table, found }: { table: OwnTable; found: ReadonlyMap<string, string> },
): SqlStatement[] {
  const { quote, column } = server.dialect;
  const statements: SqlStatement[] = [];
  for (const { name, type, nullable } of table.columns) {
    const described = found.get(name);
    if (described !== undefined && column(type).accepts(described)) continue;
    if (described !== undefined || nullable !== true) {
      throw foreign(server, `"${table.name}"."${name}" is ${described ?? "not there"}`);
    }
    const added = `${quote(name)} ${column(type).sql}`;
    statements.push(raw(`ALTER TABLE ${quote(table.name)} ADD COLUMN ${added}`));
  }
  return statements;
}

function foreign(server: SqlServer, reason: string): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Cannot use ${server.place}: ${reason}; choose another database or schema, or the version that made them`,
  );
}
