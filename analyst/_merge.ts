import type { ColumnType } from "@lakesync/core";
import type { AppColumn } from "./_layout.ts";
import { name, text } from "./_sql.ts";

/**
 * The rows that a changelog amounts to (PROTOCOL, *Merge*; docs/lake.md, *The row as it was*), as
 * one query with a column for `id` and one for each column of the app.
 *
 * Registers are found by one aggregation that compares stamps by their hlc alone. That is exact
 * where each row has each hlc once, which is nearly always so. With `ties`, changes of one row with
 * equal hlcs are first made one change by the whole rule: clientId, then dead over alive and the
 * greater canonical JSON text. DuckDB compares strings by their UTF-8 bytes, which is by code point.
 * Names with `#` are this query's own: no identifier of an app has one.
 *
 * @param changes A relation with the changelog's columns, in SQL.
 * @param options The app's columns, and whether {@linkcode tiesSql} found any.
 */
export function rowsSql(
  changes: string,
  options: { columns: readonly AppColumn[]; ties: boolean },
): string {
  const { columns, ties } = options;
  const each = eachOf(columns);
  return `
SELECT "id"
  ${each(({ name: as }, i) => `CASE WHEN "#h${i}" >= "#life" THEN "#v${i}" END AS ${name(as)}`)}
FROM (
  SELECT "id", arg_max("#alive", "#hlc") AS "#alive"
    , max("#hlc") FILTER ("#alive" IS NOT NULL) AS "#life"
    ${each((_, i) => `max("#h${i}") AS "#h${i}"`)}
    ${each((_, i) => `arg_max_null("#v${i}", "#h${i}") AS "#v${i}"`)}
  FROM (${ties ? untiedSql(changes, columns) : changeSql(changes, columns)})
  GROUP BY "id"
)
WHERE "#alive"`;
}

/**
 * Whether some row has an hlc twice, as `ties`. (By hash: it may err to `true`, which only costs.)
 *
 * @param changes A relation with `id` and `_hlc`, in SQL.
 */
export function tiesSql(changes: string): string {
  return `SELECT count(*) > 0 AS ties FROM (${tiedPlaces(changes)})`;
}

function tiedPlaces(changes: string): string {
  return `SELECT "#place" FROM (SELECT hash("id", "_hlc") AS "#place" FROM ${changes})
    GROUP BY "#place" HAVING count(*) > 1`;
}

/** Each change: what it says about the row's life and, for the columns it carries, its stamp. */
function changeSql(changes: string, columns: readonly AppColumn[]): string {
  const each = eachOf(columns);
  return `SELECT "id", "_hlc" AS "#hlc", ${ALIVE} AS "#alive"
    ${each((column, i) => `CASE WHEN ${carries(column)} THEN "_hlc" END AS "#h${i}"`)}
    ${each((column, i) => `${name(column.lakeName)} AS "#v${i}"`)}
  FROM ${changes}`;
}

/** As {@linkcode changeSql}, with those of one row and hlc made one. */
function untiedSql(changes: string, columns: readonly AppColumn[]): string {
  const each = eachOf(columns);
  return `
  WITH "#tie" AS MATERIALIZED (${tiedPlaces(changes)})
  ${changeSql(changes, columns)} ANTI JOIN "#tie" ON hash("id", "_hlc") = "#place"
  UNION ALL
  SELECT "id", "#hlc", "#alive"
    ${each((_, i) => `CASE WHEN "#c${i}" >= coalesce("#life", "#c${i}") THEN "#hlc" END`)}
    ${each((_, i) => `"#v${i}"`)}
  FROM (
    SELECT "id", "_hlc" AS "#hlc"
      , max("_client_id") FILTER ("_op" <> 'UPDATE') AS "#life"
      , arg_max(${ALIVE}, ROW("_client_id", "_op" = 'DELETE')) FILTER ("_op" <> 'UPDATE')
        AS "#alive"
      ${each((column, i) => `max("_client_id") FILTER (${carries(column)}) AS "#c${i}"`)}
      ${
    each((column, i) =>
      `arg_max_null(${name(column.lakeName)}, ROW("_client_id", ${
        canonicalText(column.type, name(column.lakeName))
      })) ` +
      `FILTER (${carries(column)}) AS "#v${i}"`
    )
  }
    FROM ${changes} SEMI JOIN "#tie" ON hash("id", "_hlc") = "#place"
    GROUP BY "id", "_hlc"
  )`;
}

/** More items of a list, one for each column. */
export function eachOf(
  columns: readonly AppColumn[],
): (sql: (column: AppColumn, i: number) => string) => string {
  return (sql) => columns.map((column, i) => `, ${sql(column, i)}`).join("");
}

/** What a change says about its row's life; NULL for an UPDATE. */
export const ALIVE = `CASE "_op" WHEN 'INSERT' THEN true WHEN 'DELETE' THEN false END`;

/** Whether a change carries a column: `_columns` has its name. */
export function carries(column: AppColumn): string {
  return `contains(',' || "_columns" || ',', ${text(`,${column.name},`)})`;
}

/** A value's text that orders as its canonical JSON text does. */
export function canonicalText(type: ColumnType, value: string): string {
  return `coalesce(${TEXTS[type](value)}, 'null')`;
}

const TEXTS: Readonly<Record<ColumnType, (value: string) => string>> = {
  string: (value) => `${STRING_TEXT}(${value})`,
  number: (value) => `${NUMBER_TEXT}(${value})`,
  integer: (value) =>
    `CASE WHEN ${value} BETWEEN -9007199254740991 AND 9007199254740991 ` +
    `THEN ${value}::VARCHAR ELSE '"' || ${value} || '"' END`,
  boolean: (value) => `${value}::VARCHAR`,
  // Of fixed width in the years 0 to 9999, so the number orders as the text does.
  timestamp: (value) => `'"' || lpad((epoch_us(${value}) + 62167219200000000)::VARCHAR, 18, '0')`,
  bytes: (value) => `'"' || to_base64(${value}) || '"'`,
  json: (value) => value,
};

const STRING_TEXT = "_lakesync_string_text";
const NUMBER_TEXT = "_lakesync_number_text";

/** How a DuckDB writes values as JSON, in SQL. */
export interface JsonTexts {
  /** A VARCHAR as a JSON string. */
  readonly string: (value: string) => string;
  /** A DOUBLE by its shortest digits, wherever point and exponent stand. */
  readonly shortest: (value: string) => string;
}

/**
 * The macros that {@linkcode rowsSql} uses: a string as JSON, and a double as ECMAScript, and so
 * RFC 8785, writes it. The lambdas are what SQL has for naming a value once.
 */
export function mergeMacros(texts: JsonTexts): readonly string[] {
  return [`CREATE MACRO ${STRING_TEXT}(x) AS ${texts.string("x")}`, numberMacro(texts)];
}

function numberMacro({ shortest }: JsonTexts): string {
  return `
CREATE MACRO ${NUMBER_TEXT}(x) AS list_transform([${shortest("abs(x)")}], lambda shortest:
  list_transform([{
    whole: split_part(split_part(shortest, 'e', 1), '.', 1),
    part: split_part(split_part(shortest, 'e', 1), '.', 2),
    exponent: if(contains(shortest, 'e'), split_part(shortest, 'e', 2), '0')::BIGINT
  }], lambda n:
    list_transform([{
      digits: rtrim(ltrim(n.whole || n.part, '0'), '0'),
      point: length(ltrim(n.whole || n.part, '0')) - length(n.part) + n.exponent
    }], lambda d:
      if(x < 0, '-', '') || CASE
        WHEN d.digits = '' THEN '0'
        WHEN d.point BETWEEN length(d.digits) AND 21
          THEN d.digits || repeat('0', d.point - length(d.digits))
        WHEN d.point BETWEEN 1 AND 21 THEN d.digits[:d.point] || '.' || d.digits[d.point + 1:]
        WHEN d.point BETWEEN -5 AND 0 THEN '0.' || repeat('0', -d.point) || d.digits
        ELSE d.digits[1] || if(length(d.digits) > 1, '.' || d.digits[2:], '')
          || if(d.point > 0, 'e+', 'e') || (d.point - 1) END
    )[1]
  )[1]
)[1]`;
}
