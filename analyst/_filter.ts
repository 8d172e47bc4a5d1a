import type { Relation } from "./_catalogue.ts";
import type { Node, Params } from "./_duckdb.ts";
import type { Session } from "./_session.ts";
import type { QueryParam } from "./values.ts";

/** Which rows of a table a query looks at, as far as its text says so; everything else is left to DuckDB. */
export interface RowFilter {
  /** Only rows with these ids. */
  readonly ids: ReadonlySet<string> | undefined;
  /** Only changes that were taken at or after this time, in microseconds since 1970. */
  readonly from: number | undefined;
  /** Only changes that were taken at or before this time. */
  readonly to: number | undefined;
}

/** A bound of `_commit_ts`: a text with the type that it is cast to. */
interface Moment {
  readonly text: string;
  readonly type: string;
  /** So many microseconds later. */
  readonly plus: number;
}

interface Found {
  ids: ReadonlySet<string> | undefined;
  readonly from: Moment[];
  readonly to: Moment[];
}

const DAY_US = 86_400_000_000;

/**
 * What a query of one table asks for by `id` and `_commit_ts`: the conjuncts of its WHERE that compare
 * them with constants or parameters. A query that names the table
 * twice, or another one, asks for all.
 */
export async function filterOf(
  session: Session,
  query: { sql: string; params: Params; relation: Relation },
): Promise<RowFilter | undefined> {
  const node = await session.run((connection) => connection.parse(query.sql));
  const table = node?.["from_table"];
  if (node === undefined || !isNode(table) || isNode(table["sample"])) return undefined;
  if (countTables(node) !== 1) return undefined;
  const { relation: { name, kind }, params } = query;
  const found: Found = { ids: undefined, from: [], to: [] };
  const called = table["function"];
  if (isNode(called)) {
    if (!sameName(called["function_name"], name)) return undefined;
    const [first] = nodes(called["children"]);
    if (kind === "history") found.ids = only(textOf(first, params));
  } else if (!sameName(table["table_name"], name)) return undefined;
  const alias = table["alias"] === "" ? name : table["alias"];
  for (const conjunct of conjuncts(node["where_clause"])) {
    note(conjunct, { found, params, alias, changes: kind === "changes" });
  }
  const from = await micros(session, found.from);
  const to = await micros(session, found.to);
  return {
    ids: found.ids,
    from: from.length === 0 ? undefined : Math.max(...from),
    to: to.length === 0 ? undefined : Math.min(...to),
  };
}

/** How many tables stand anywhere in a parsed text. */
function countTables(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + countTables(item), 0);
  if (!isNode(value)) return 0;
  const self = /^(BASE_TABLE|TABLE_FUNCTION|SHOW_REF|PIVOT)$/.test(String(value["type"])) ? 1 : 0;
  return Object.values(value).reduce((sum: number, item) => sum + countTables(item), self);
}

function conjuncts(node: unknown): readonly Node[] {
  if (!isNode(node)) return [];
  if (node["type"] !== "CONJUNCTION_AND") return [node];
  return nodes(node["children"]).flatMap(conjuncts);
}

const TURNED: ReadonlyMap<string, string> = new Map([
  ["COMPARE_EQUAL", "COMPARE_EQUAL"],
  ["COMPARE_LESSTHAN", "COMPARE_GREATERTHAN"],
  ["COMPARE_LESSTHANOREQUALTO", "COMPARE_GREATERTHANOREQUALTO"],
  ["COMPARE_GREATERTHAN", "COMPARE_LESSTHAN"],
  ["COMPARE_GREATERTHANOREQUALTO", "COMPARE_LESSTHANOREQUALTO"],
]);

interface NoteContext {
  readonly found: Found;
  readonly params: Params;
  readonly alias: unknown;
  readonly changes: boolean;
}

/** Notes what a conjunct says. A bound counts as included, which lets no file go that may match. */
function note(node: Node, context: NoteContext): void {
  const { found, params, alias, changes } = context;
  const type = String(node["type"]);
  if (type === "COMPARE_BETWEEN") {
    const { input, lower, upper } = node;
    note({ type: "COMPARE_GREATERTHANOREQUALTO", left: input, right: lower }, context);
    note({ type: "COMPARE_LESSTHANOREQUALTO", left: input, right: upper }, context);
    return;
  }
  if (type === "COMPARE_IN") {
    const [column, ...values] = nodes(node["children"]);
    const texts = values.map((value) => textOf(value, params));
    if (isColumn(column, "id", alias)) narrow(found, texts);
    return;
  }
  const turned = TURNED.get(type);
  const { left, right } = node;
  if (turned === undefined) return;
  for (const [column, value, compare] of [[left, right, type], [right, left, turned]] as const) {
    if (compare === "COMPARE_EQUAL" && isColumn(column, "id", alias)) {
      narrow(found, [textOf(value, params)]);
    }
    const taken = dayOf(column) ?? column;
    if (!changes || !isColumn(taken, "_commit_ts", alias)) continue;
    const moment = momentOf(value, params);
    if (moment === undefined) continue;
    if (!compare.includes("LESSTHAN")) found.from.push({ ...moment, plus: 0 });
    const plus = taken === column ? 0 : DAY_US;
    if (!compare.includes("GREATERTHAN")) found.to.push({ ...moment, plus });
  }
}

function narrow(found: Found, texts: readonly (string | undefined)[]): void {
  if (!texts.every((text) => text !== undefined)) return;
  const ids = new Set(texts);
  found.ids = found.ids === undefined ? ids : new Set([...ids].filter((id) => found.ids!.has(id)));
}

function only(text: string | undefined): ReadonlySet<string> | undefined {
  return text === undefined ? undefined : new Set([text]);
}

function isColumn(node: unknown, column: string, alias: unknown): boolean {
  if (!isNode(node) || node["class"] !== "COLUMN_REF") return false;
  const names = node["column_names"] as readonly string[];
  return sameName(names.at(-1), column) &&
    (names.length === 1 || names.length === 2 && sameName(names[0], alias));
}

/** A text that `id` is compared with; of another type DuckDB would compare otherwise. */
function textOf(node: unknown, params: Params): string | undefined {
  const value = valueOf(node, params);
  return typeof value === "string" ? value : undefined;
}

/** What a day is taken of: `x::DATE`, `date_trunc('day', x)`. */
function dayOf(node: unknown): Node | undefined {
  if (!isNode(node)) return undefined;
  if (node["class"] === "CAST" && (node["cast_type"] as { id?: unknown }).id === "DATE") {
    return nodes([node["child"]])[0];
  }
  const [part, of] = nodes(node["children"]);
  return node["function_name"] === "date_trunc" && textOf(part, []) === "day" ? of : undefined;
}

function momentOf(node: unknown, params: Params): Omit<Moment, "plus"> | undefined {
  if (!isNode(node)) return undefined;
  if (node["class"] === "CAST") {
    const { id } = node["cast_type"] as { id?: unknown };
    const text = textOf(node["child"], params);
    return text === undefined || !TIME_TYPES.has(String(id))
      ? undefined
      : { text, type: String(id) };
  }
  const value = valueOf(node, params);
  const text = value instanceof Date ? value.toISOString() : value;
  return typeof text === "string" ? { text, type: "TIMESTAMP WITH TIME ZONE" } : undefined;
}

const TIME_TYPES: ReadonlySet<string> = new Set(["DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"]);

function valueOf(node: unknown, params: Params): unknown {
  if (!isNode(node)) return undefined;
  if (node["class"] === "PARAMETER") {
    const key = String(node["identifier"]);
    if (Array.isArray(params)) return params[Number(key) - 1];
    return Object.hasOwn(params, key) ? (params as { [key: string]: QueryParam })[key] : undefined;
  }
  const constant = node["value"];
  if (node["class"] !== "CONSTANT" || !isNode(constant) || constant["is_null"] === true) {
    return undefined;
  }
  const { id } = constant["type"] as { id?: unknown };
  return id === "VARCHAR" ? constant["value"] : undefined;
}

/** The moments in microseconds, as DuckDB reads them. */
async function micros(session: Session, moments: readonly Moment[]): Promise<readonly number[]> {
  const found: number[] = [];
  for (const { text, type, plus } of moments) {
    const sql = `SELECT epoch_us(TRY_CAST(TRY_CAST($1::VARCHAR AS ${type}) AS TIMESTAMPTZ)) AS us`;
    const [row] = await session.run((connection) => connection.rows(sql, [text]));
    const us = row?.["us"];
    if (us !== null) found.push(Number(us) + plus);
  }
  return found;
}

function sameName(a: unknown, b: unknown): boolean {
  return typeof a === "string" && typeof b === "string" && a.toLowerCase() === b.toLowerCase();
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function nodes(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}
