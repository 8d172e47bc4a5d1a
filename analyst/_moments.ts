import type { AppColumn } from "./_layout.ts";
import { rowsSql } from "./_merge.ts";
import { name, text } from "./_sql.ts";

/** How a table's rows are merged: see {@linkcode rowsSql}. */
export interface MergeOptions {
  readonly columns: readonly AppColumn[];
  readonly ties: boolean;
}

const STAMP = "_lakesync_stamp";

/**
 * The macro that tells the greatest stamp of a moment: of a number that number, of a time the last one
 * of its millisecond. What is neither is an error.
 */
export const MOMENT_MACRO: string = `
CREATE MACRO ${STAMP}(x) AS least(coalesce(
  TRY_CAST(x::VARCHAR AS HUGEINT),
  ((epoch_ms(TRY_CAST(x::VARCHAR AS TIMESTAMPTZ))::HUGEINT + 1) << 16) - 1,
  error('"' || coalesce(x::VARCHAR, 'NULL') || '" is no moment: give a stamp or a timestamp')
), 9223372036854775807)::BIGINT`;

/** Parameters of the functions. No column of an app has such a name. */
export const PARAMETERS = {
  at: ["#moment"],
  between: ["#from", "#to"],
  history: ["#id"],
} as const;

/** The rows of a changelog (a relation in SQL) at the moment `#moment`. */
export function rowsAtSql(changes: string, options: MergeOptions): string {
  return rowsUpTo(changes, { ...options, moment: PARAMETERS.at[0] });
}

function rowsUpTo(changes: string, options: MergeOptions & { moment: string }): string {
  const until = `(SELECT * FROM ${changes} WHERE "_hlc" <= ${STAMP}(${name(options.moment)}))`;
  return rowsSql(until, options);
}

/** The rows that differ between the moments `#from` and `#to`. */
export function rowsBetweenSql(changes: string, options: MergeOptions): string {
  const columns = options.columns.map((column) => column.name);
  const [from, to] = PARAMETERS.between.map((moment) => rowsUpTo(changes, { ...options, moment }));
  const differ = columns.map((column) =>
    `CASE WHEN "#a".${name(column)} IS DISTINCT FROM "#b".${name(column)} ` +
    `THEN ${text(column)} END`
  );
  const side = (alias: string) =>
    columns.length === 0
      ? "NULL"
      : `CASE WHEN ${name(alias)}."id" IS NOT NULL THEN struct_pack(${
        columns.map((column) => `${name(column)} := ${name(alias)}.${name(column)}`)
      }) END`;
  return `
SELECT coalesce("#a"."id", "#b"."id") AS "id"
  , CASE WHEN "#a"."id" IS NULL THEN 'added' WHEN "#b"."id" IS NULL THEN 'removed'
    ELSE 'changed' END AS "_change"
  , list_filter([${differ}]::VARCHAR[], lambda c: c IS NOT NULL) AS "_columns"
  , ${side("#a")} AS "before"
  , ${side("#b")} AS "after"
FROM (${from}) AS "#a" FULL JOIN (${to}) AS "#b" ON "#a"."id" = "#b"."id"
WHERE "#a"."id" IS NULL OR "#b"."id" IS NULL OR len("_columns") > 0`;
}

/** Every change of the row `#id`, with who and when. */
export function historySql(changes: string, { columns }: MergeOptions): string {
  return `
SELECT "_op", make_timestamp(("_hlc" >> 16) * 1000)::TIMESTAMPTZ AS "_made"
  , "_commit_ts", "_client_id", "_tx_id", "_hlc", "_seq"
  , coalesce(string_split("_columns", ','), []) AS "_columns"
  ${columns.map(({ lakeName }) => `, ${name(lakeName)}`).join("")}
FROM ${changes} WHERE "id" = ${name(PARAMETERS.history[0])}
ORDER BY "_hlc", "_client_id", "_seq"`;
}
