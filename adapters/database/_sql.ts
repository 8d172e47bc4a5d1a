import type {
  SqlDialect,
  SqlParameter,
  SqlResultRow,
  SqlServer,
  SqlStatement,
  SqlWork,
  SqlWrite,
} from "@lakesync/core";
import type { OwnTable } from "./_tables.ts";

/**
 * A statement from a template: texts stand as they are, statements are put in, everything else is a
 * parameter. Identifiers are quoted beforehand.
 */
export function sql(
  texts: TemplateStringsArray,
  ...parts: readonly (SqlParameter | SqlStatement)[]
): SqlStatement {
  let text = texts[0]!;
  const parameters: SqlParameter[] = [];
  for (const [i, part] of parts.entries()) {
    if (typeof part === "object" && part !== null) {
      text += part.text;
      parameters.push(...part.parameters);
    } else {
      text += "?";
      parameters.push(part);
    }
    text += texts[i + 1]!;
  }
  return { text, parameters };
}

/** SQL as it is: a quoted identifier, a whole number. */
export function raw(text: string): SqlStatement {
  return { text, parameters: [] };
}

/** Writes rows into a table, in as many statements as it takes. */
export async function writeRows(
  work: SqlWork,
  options: { dialect: SqlDialect; write: SqlWrite },
): Promise<void> {
  if (options.write.rows.length === 0) return;
  for (const statement of options.dialect.write(options.write)) await work.run(statement);
}

/** The first value of the first row as a number; undefined where there is none. */
export function firstNumber(rows: readonly SqlResultRow[]): number | undefined {
  const value = rows[0]?.[0] ?? null;
  return value === null ? undefined : Number(value);
}

/** The statement that makes a table. */
export function createStatement(server: SqlServer, table: OwnTable): SqlStatement {
  const { dialect } = server;
  const { quote } = dialect;
  const columns = table.columns.map(({ name, type, nullable }) =>
    `${quote(name)} ${dialect.column(type).sql}${nullable === true ? "" : " NOT NULL"}`
  );
  const key = table.columns.slice(0, table.key).map(({ name }) => quote(name));
  return raw(
    `CREATE TABLE ${quote(table.name)} (${columns.join(", ")}, PRIMARY KEY (${key.join(", ")}))`,
  );
}
