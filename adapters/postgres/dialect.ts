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
import { copyText } from "./_copy.ts";

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
  *write(write: SqlWrite): Iterable<SqlStatement> {
    const { table, columns, key = 0, rows } = write;
    const { quote } = postgresDialect;
    const names = columns.map(({ name }) => quote(name));
    if (key === 0 && columns.every(({ type }) => type !== "bytes")) {
      yield {
        text: `COPY ${quote(table)} (${names.join(", ")}) FROM STDIN`,
        parameters: [],
        data: copyText(rows),
      };
      return;
    }
    const types = columns.map(({ type }) => COLUMNS[type]);
    const values = types.map(({ decoded }, i) => decoded(`c${i}`));
    const arrays = types.map(({ element }) => `?::${element}[]`);
    const set = names.slice(key).map((name) => `${name} = EXCLUDED.${name}`);
    const conflict = key === 0
      ? ""
      : ` ON CONFLICT (${names.slice(0, key).join(", ")}) DO UPDATE SET ${set.join(", ")}`;
    yield {
      text: `INSERT INTO ${quote(table)} (${names.join(", ")}) SELECT ${values.join(", ")} ` +
        `FROM unnest(${arrays.join(", ")}) AS u (${types.map((_, i) => `c${i}`).join(", ")})` +
        conflict,
      parameters: columns.map((_, i) => arrayText(rows, i)),
    };
  },
  within: (column, { type, values }) => ({
    text: `${column} = ANY (?::${COLUMNS[type].element}[])`,
    parameters: [arrayText(values.map((value) => [value]), 0)],
  }),
  digest: ({ key, columns }) => ({
    bucket: `(hashtext(${key}::text) & ${DIGEST_BUCKETS - 1})::bigint`,
    hash: `('x' || left(md5(ROW(${columns.join(", ")})::text), 15))::bit(60)::bigint`,
  }),
};

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
