import type { SqlValue } from "@lakesync/core";
import type { LocalTable } from "./_local_table.ts";
import { splitTokens, sqlText, type SqlToken, sqlTokens } from "./_sql_tokens.ts";

/** Rows of a result beyond which it is not followed row by row. */
export const MAX_ROWS = 1_000;

/** Hidden columns of a result; no declared column can have such a name. */
export const ID = "lakesync id";
export const RANK = "lakesync rank";

/** A query over the rows of one table, of which each is judged by itself. */
export interface LiveShape {
  /** The table. */
  readonly table: string;
  /** The most rows; undefined where it gives all. */
  readonly limit: number | undefined;
  /** Hidden columns with what the result is sorted by; empty where it is not sorted. */
  readonly keys: readonly string[];
  /** The query with its rows' ids and keys in hidden columns. */
  readonly whole: string;
  /** Finds out whether any of some rows, whose ids are the last parameter, is let through. */
  readonly probe: string;
  /** `whole` for some rows alone, without its limit, with their ranks in a hidden column. */
  readonly among: string;
}

/** What may stand in an expression beside the names of columns. */
const KEYWORDS: ReadonlySet<string> = words(
  "and or not in is isnull notnull null between like glob escape case when then else end as asc desc " +
    "nulls first last collate nocase binary rtrim cast text integer real blob numeric true false",
);

/** Functions of their arguments alone. */
const FUNCTIONS: ReadonlySet<string> = words(
  "abs coalesce ifnull iif instr length lower upper ltrim rtrim trim nullif round substr substring " +
    "replace hex quote typeof unicode json_extract json_array_length json_type cast",
);

const BEFORE_BRACKET: ReadonlySet<string> = words(
  "in and or not when then else between like glob escape case is",
);

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}

/**
 * The shape of a query, where it is known for certain:
 * `SELECT … FROM a_declared_table [WHERE …] [ORDER BY …] [LIMIT n]`, with expressions over that row
 * alone. All else has none: joins, aggregates, subqueries, DISTINCT, OFFSET, functions of time.
 */
export function liveShape(
  sql: string,
  params: readonly SqlValue[],
  tables: ReadonlyMap<string, LocalTable>,
): LiveShape | undefined {
  const tokens = sqlTokens(sql);
  if (tokens === undefined || tokens[0]?.name !== "select") return undefined;
  const [columns, from, ...more] = splitTokens(tokens.slice(1), "from");
  if (columns === undefined || from === undefined || more.length > 0) return undefined;
  const clauses = splitClauses(from);
  if (clauses === undefined) return undefined;
  const { source, where, order, limit: limitTokens } = clauses;
  const table = declared(source[0], tables);
  const alias = aliasOf(source);
  if (table === undefined || alias === undefined) return undefined;

  const known = new Set(["id", ...[...table.columns.keys()].map((name) => name.toLowerCase())]);
  const qualifiers = new Set([alias]);
  const isRowwise = (part: readonly SqlToken[]) => rowwise(part, known, qualifiers);
  const items = splitTokens(columns, ",");
  const terms = order.length === 0 ? [] : splitTokens(order, ",");
  if (!items.every((item) => isRowwise(withoutAlias(item)))) return undefined;
  if (!isRowwise(where) || !terms.every(isRowwise)) return undefined;
  // A name of the result would stand for that in ORDER BY, and for the column in a window.
  const given = new Set(items.flatMap(givenName));
  if (order.some(({ name }) => given.has(name))) return undefined;
  const keyTexts = terms.map(keyOf);
  if (keyTexts.some((key) => key === undefined)) return undefined;
  const limit = limitOf(limitTokens, params);
  if (limit === "unknown") return undefined;

  const keys = keyTexts.map((_, i) => `lakesync key ${i}`);
  const hidden = [
    `CAST("${alias}"."id" AS BLOB) AS "${ID}"`,
    ...keyTexts.map((key, i) => `(${key}) AS "${keys[i]}"`),
  ].join(", ");
  const condition = where.length === 0 ? "" : `(${sqlText(where)})`;
  const some = [
    condition,
    `"${alias}"."id" IN (SELECT value FROM json_each(?${params.length + 1}))`,
  ]
    .filter((part) => part !== "").join(" AND ");
  const fromText = `FROM ${sqlText(source)}`;
  const orderText = sqlText(order);
  return {
    table: table.name,
    limit,
    keys,
    whole: [
      `SELECT ${sqlText(columns)}, ${hidden} ${fromText}`,
      condition === "" ? "" : `WHERE ${condition}`,
      orderText === "" ? "" : `ORDER BY ${orderText}`,
      limitTokens.length === 0 ? "" : `LIMIT ${sqlText(limitTokens)}`,
    ].filter((part) => part !== "").join(" "),
    probe: `SELECT 1 ${fromText} WHERE ${some} LIMIT 1`,
    among: `SELECT ${sqlText(columns)}, ${hidden}, dense_rank() OVER (ORDER BY ${
      orderText === "" ? "1" : orderText
    }) AS "${RANK}" ${fromText} WHERE ${some} ORDER BY "${RANK}"`,
  };
}

interface Clauses {
  readonly source: readonly SqlToken[];
  readonly where: readonly SqlToken[];
  readonly order: readonly SqlToken[];
  readonly limit: readonly SqlToken[];
}

/** Cuts what follows FROM into its clauses. */
function splitClauses(tokens: readonly SqlToken[]): Clauses | undefined {
  const [beforeLimit, limit = [], ...limits] = splitTokens(tokens, "limit");
  const [beforeOrder, ordered, ...orders] = splitTokens(beforeLimit!, "order");
  const [source, where = [], ...wheres] = splitTokens(beforeOrder!, "where");
  if (limits.length > 0 || orders.length > 0 || wheres.length > 0) return undefined;
  if (ordered !== undefined && ordered[0]?.name !== "by") return undefined;
  return { source: source!, where, order: ordered?.slice(1) ?? [], limit };
}

function declared(
  token: SqlToken | undefined,
  tables: ReadonlyMap<string, LocalTable>,
): LocalTable | undefined {
  if (token === undefined || !isName(token)) return undefined;
  return [...tables.values()].find(({ name }) => name.toLowerCase() === token.name);
}

/** What the table's columns are qualified with. */
function aliasOf(source: readonly SqlToken[]): string | undefined {
  const rest = source[1]?.name === "as" ? source.slice(2) : source.slice(1);
  if (rest.length === 0 && source.length === 1) return source[0]!.name;
  const [alias] = rest;
  return rest.length === 1 && alias !== undefined && isName(alias) && /^\w+$/.test(alias.name)
    ? alias.name
    : undefined;
}

function isName({ kind }: SqlToken): boolean {
  return kind === "word" || kind === "quoted";
}

/** Whether an expression is made of the row's columns and of what is the same always. */
function rowwise(
  tokens: readonly SqlToken[],
  columns: ReadonlySet<string>,
  qualifiers: ReadonlySet<string>,
): boolean {
  return tokens.every((token, i) => {
    if (!isName(token)) return true;
    const { kind, name } = token;
    const next = tokens[i + 1]?.text;
    if (next === ".") return qualifiers.has(name);
    if (next === "(") return kind === "word" && (FUNCTIONS.has(name) || BEFORE_BRACKET.has(name));
    return columns.has(name) || (kind === "word" && KEYWORDS.has(name));
  });
}

/** A column of the result without the `AS name` that it ends with. */
function withoutAlias(item: readonly SqlToken[]): readonly SqlToken[] {
  const as = item.at(-2);
  return as?.kind === "word" && as.name === "as" ? item.slice(0, -2) : item;
}

/** The name that a column of the result may have been given. */
function givenName(item: readonly SqlToken[]): string[] {
  const last = item.at(-1);
  const before = item.at(-2);
  return last !== undefined && before !== undefined && before.text !== "." && isName(last)
    ? [last.name]
    : [];
}

/** What a term of ORDER BY compares; undefined where that is a number of a column. */
function keyOf(term: readonly SqlToken[]): string | undefined {
  let key = term;
  if (key.at(-2)?.name === "nulls") key = key.slice(0, -2);
  if (/^(?:asc|desc)$/.test(key.at(-1)?.name ?? "") && key.at(-1)?.kind === "word") {
    key = key.slice(0, -1);
  }
  return key.some(isName) ? sqlText(key) : undefined;
}

function limitOf(
  tokens: readonly SqlToken[],
  params: readonly SqlValue[],
): number | undefined | "unknown" {
  if (tokens.length === 0) return undefined;
  const [token] = tokens;
  if (tokens.length > 1 || token === undefined) return "unknown";
  const value = token.kind === "param" ? params[Number(token.text.slice(1)) - 1] : token.text;
  const limit = /^\d+$/.test(String(value)) ? Number(value) : 0;
  return limit >= 1 && limit <= MAX_ROWS ? limit : "unknown";
}
