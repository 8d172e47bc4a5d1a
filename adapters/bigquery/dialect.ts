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
import type { StageField } from "./_stage.ts";

/** What stands in a load's text for the table that its data is loaded into. */
export const STAGE = "`lakesync_stage`";

/** A statement that takes its rows from a staging table: its `data`, as lines of JSON, is loaded first. */
export interface LoadStatement extends SqlStatement {
  readonly data: string;
  readonly fields: readonly StageField[];
}

/** The 60 bits of a row's digest. */
const DIGEST_BITS = 2n ** 60n - 1n;

/** JSON of more levels is refused. */
const MAX_JSON_DEPTH = 500;

interface BigQueryColumn extends SqlColumn {
  /** The type that its values have in a staging table. */
  readonly staged: StageField["type"];
  /** A staged value as a value of the column. */
  decoded(staged: string): string;
}

const asIs = (value: JsonValue): SqlParameter => value as string | number;

function column(
  sql: StageField["type"] | "JSON",
  described: string,
  encode: (value: JsonValue) => SqlParameter | undefined = asIs,
): BigQueryColumn {
  const json = sql === "JSON";
  return {
    sql,
    encode,
    accepts: (found) => found === described,
    staged: json ? "STRING" : sql,
    // Numbers as JavaScript has them: the shortest text of a double reads as the same double.
    decoded: (staged) => json ? `PARSE_JSON(${staged}, wide_number_mode=>'round')` : staged,
  };
}

/** U+0000, which a load may refuse, in a key: one to one, and in the order of code points. */
function escapeKey(value: JsonValue): string {
  return (value as string).replaceAll("\u0001", "\u0001\u0002").replaceAll("\0", "\u0001\u0001");
}

function encodeJson(value: JsonValue): string | undefined {
  if (depth(value) > MAX_JSON_DEPTH) return undefined;
  const text = JSON.stringify(value);
  return /(?<!\\)(\\\\)*\\u0000/.test(text) ? undefined : text;
}

function depth(value: JsonValue): number {
  if (typeof value !== "object" || value === null) return 0;
  let deepest = 0;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depth(item));
  return deepest + 1;
}

const KEY = column("STRING", "string", escapeKey);
const TEXT = column("STRING", "string");
const COLUMNS: Readonly<Record<SqlColumnType, BigQueryColumn>> = {
  string: column("STRING", "string", (value) => {
    return (value as string).includes("\0") ? undefined : value as string;
  }),
  number: column("FLOAT64", "float"),
  integer: column("INT64", "integer"),
  boolean: column("BOOL", "boolean", (value) => value === true ? "true" : "false"),
  // Time begins with the year 1.
  timestamp: column("TIMESTAMP", "timestamp", (value) => {
    return (value as string).startsWith("0000-") ? undefined : value as string;
  }),
  bytes: column("BYTES", "bytes"),
  json: column("JSON", "json", encodeJson),
  key: KEY,
  id: KEY,
  name: TEXT,
  text: TEXT,
};

/** The SQL of BigQuery: rows go into a staging table by a load job, and from there by one statement. */
export const bigqueryDialect: SqlDialect = {
  quote: (name) => `\`${name.replaceAll(/[\\`]/g, "\\$&")}\``,
  column: (type) => COLUMNS[type],
  typedParameters: true,
  *write(write: SqlWrite): Iterable<LoadStatement> {
    const { table, columns, key = 0, rows } = write;
    const { quote } = bigqueryDialect;
    const names = columns.map(({ name }) => quote(name));
    const types = columns.map(({ type }) => COLUMNS[type]);
    const values = types.map(({ decoded }, i) => decoded(`s.c${i}`)).join(", ");
    const load = {
      parameters: [],
      data: linesOf(types, rows),
      fields: types.map(({ staged }, i) => ({ name: `c${i}`, type: staged })),
    };
    const insert = `(${names.join(", ")})`;
    if (key === 0) {
      yield {
        ...load,
        text: `INSERT INTO ${quote(table)} ${insert} SELECT ${values} FROM ${STAGE} AS s`,
      };
      return;
    }
    const on = names.slice(0, key).map((name, i) => `t.${name} = s.c${i}`).join(" AND ");
    const set = names.slice(key)
      .map((name, i) => `${name} = ${types[key + i]!.decoded(`s.c${key + i}`)}`).join(", ");
    yield {
      ...load,
      text: `MERGE INTO ${quote(table)} AS t USING ${STAGE} AS s ON ${on} ` +
        `WHEN MATCHED THEN UPDATE SET ${set} WHEN NOT MATCHED THEN INSERT ${insert} VALUES (${values})`,
    };
  },
  // A list is one of texts.
  within: (column, { type, values }) => ({
    text: `${type === "integer" ? `CAST(${column} AS STRING)` : column} IN UNNEST(?)`,
    parameters: [JSON.stringify(values.map(String))],
  }),
  digest: ({ key, columns }) => ({
    bucket: `(FARM_FINGERPRINT(CAST(${key} AS STRING)) & ${DIGEST_BUCKETS - 1})`,
    // A sum of INT64 would not hold more than eight of them.
    hash: `CAST(FARM_FINGERPRINT(CONCAT(${
      columns.map((column) => `TO_JSON_STRING(${column})`).join(", ',', ")
    })) & ${DIGEST_BITS} AS NUMERIC)`,
  }),
};

function linesOf(
  types: readonly BigQueryColumn[],
  rows: readonly (readonly SqlParameter[])[],
): string {
  let text = "";
  for (const row of rows) {
    let line = "";
    for (const [i, value] of row.entries()) {
      if (value === null) continue;
      const plain = types[i]!.staged === "BOOL" || types[i]!.staged === "FLOAT64";
      line += `${line === "" ? "" : ","}"c${i}":${plain ? value : JSON.stringify(String(value))}`;
    }
    text += `{${line}}\n`;
  }
  return text;
}
