import {
  DIGEST_BUCKETS,
  type JsonValue,
  type SqlColumn,
  type SqlColumnType,
  type SqlDialect,
  type SqlParameter,
  type SqlStatement,
  type SqlWrite,
} from "@lakesync/core";
import { copyLines, type CopyNewStatement, type CopyStatement } from "./_copy.ts";

/** A column of Postgres, with what its values are while they travel in an array. */
interface PgColumn extends SqlColumn {
  /** The array's element type. */
  readonly element: string;
  /** An element as a value of the column. */
  decoded(element: string): string;
}

const asIs = (value: JsonValue): SqlParameter => value as string | number;
const plain = (element: string): string => element;

/** U+0000, which Postgres has not, in a key: one to one, and in the order of code points. */
function escapeKey(text: string): string {
  if (!text.includes("\u0000") && !text.includes("\u0001")) return text;
  return text.replaceAll("\u0001", "\u0001\u0002").replaceAll("\u0000", "\u0001\u0001");
}

/** Postgres has years before 1 as BC. */
function encodeTimestamp(value: JsonValue): string {
  const text = value as string;
  return text.startsWith("0000-") ? `0001${text.slice(4)} BC` : text;
}

function encodeJson(value: JsonValue): string | undefined {
  const text = JSON.stringify(value);
  return /(?<!\\)(\\\\)*\\u0000/.test(text) ? undefined : text;
}

function column(
  sql: string,
  encode: (value: JsonValue) => SqlParameter | undefined = asIs,
  more: Partial<PgColumn> = {},
): PgColumn {
  const described = sql.replace(/ COLLATE .*/, "");
  const accepts = (found: string) => found === described;
  return { sql, encode, accepts, element: described, decoded: plain, ...more };
}

const KEY = column('text COLLATE "C"', (value) => escapeKey(value as string));
const COLUMNS: Readonly<Record<SqlColumnType, PgColumn>> = {
  string: column("text", (value) => (value as string).includes("\0") ? undefined : value as string),
  number: column("double precision"),
  integer: column("bigint"),
  boolean: column("boolean", (value) => value === true ? "t" : "f"),
  timestamp: column("timestamp with time zone", encodeTimestamp),
  bytes: column("bytea", asIs, {
    element: "text",
    decoded: (element) => `decode(${element}, 'base64')`,
  }),
  json: column("jsonb", encodeJson),
  key: KEY,
  id: KEY,
  name: column('text COLLATE "C"'),
  text: column("text"),
};

/**
 * The SQL of Postgres: new rows go by COPY, those that may replace others and lists as arrays, so
 * that neither counts as many parameters.
 */
export const postgresDialect: SqlDialect = {
  quote: (name) => `"${name.replaceAll('"', '""')}"`,
  column: (type) => COLUMNS[type],
  write: (write) => [isPlain(write) ? copy(write) : insert(write)],
  writeNew: (write): CopyNewStatement => ({
    ...copy(write),
    newRows: write.rows.length,
    orElse: () => insert({ ...write, key: 0 }, " ON CONFLICT DO NOTHING"),
  }),
  within: (column, { type, values }) => ({
    text: `${column} = ANY (?::${COLUMNS[type].element}[])`,
    parameters: [arrayText(values.map((value) => [value]), 0)],
  }),
  digest: ({ key, columns }) => ({
    bucket: `(hashtext(${key}::text) & ${DIGEST_BUCKETS - 1})::bigint`,
    // Takes half as long as MD5, and nobody is to be kept from finding two rows with the same one.
    hash: `(hashtextextended(ROW(${columns.join(", ")})::text, 0) & ${2n ** 60n - 1n})`,
  }),
};

/** Whether COPY can write it. */
function isPlain({ key = 0, columns }: SqlWrite): boolean {
  return key === 0 && columns.every(({ type }) => type !== "bytes");
}

function namesOf({ columns }: SqlWrite): string[] {
  return columns.map(({ name }) => postgresDialect.quote(name));
}

function copy(write: SqlWrite): CopyStatement {
  const table = postgresDialect.quote(write.table);
  const text = `COPY ${table} (${namesOf(write).join(", ")}) FROM STDIN`;
  return { text, parameters: [], lines: copyLines(write.rows) };
}

function insert(write: SqlWrite, otherwise: string = replacing(write)): SqlStatement {
  const { table, columns, rows } = write;
  const types = columns.map(({ type }) => COLUMNS[type]);
  const values = types.map(({ decoded }, i) => decoded(`c${i}`));
  const arrays = types.map(({ element }) => `?::${element}[]`);
  return {
    text: `INSERT INTO ${postgresDialect.quote(table)} (${namesOf(write).join(", ")}) ` +
      `SELECT ${values.join(", ")} FROM unnest(${arrays.join(", ")}) ` +
      `AS u (${types.map((_, i) => `c${i}`).join(", ")})${otherwise}`,
    parameters: columns.map((_, i) => arrayText(rows, i)),
  };
}

/** What becomes of rows that are there. */
function replacing(write: SqlWrite): string {
  const { key = 0 } = write;
  if (key === 0) return "";
  const names = namesOf(write);
  const set = names.slice(key).map((name) => `${name} = EXCLUDED.${name}`);
  return ` ON CONFLICT (${names.slice(0, key).join(", ")}) DO UPDATE SET ${set.join(", ")}`;
}

/** A column of some rows as the text of a Postgres array. */
function arrayText(rows: readonly (readonly SqlParameter[])[], column: number): string {
  let text = "{";
  for (let i = 0; i < rows.length; i++) {
    const value = rows[i]![column]!;
    if (i > 0) text += ",";
    if (value === null) text += "NULL";
    else if (typeof value === "number") text += value;
    else text += `"${value.replace(/["\\]/g, "\\$&")}"`;
  }
  return text + "}";
}
