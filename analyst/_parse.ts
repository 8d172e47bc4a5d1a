import type { Node } from "./_duckdb.ts";

/** What ends a WHERE. */
const TAIL = new Set(["group", "having", "window", "qualify", "order", "limit", "offset"]);

/** What makes a SELECT more than one of one table. */
const MORE =
  /^(select|from|with|join|union|intersect|except|values|table|pivot|unpivot|tablesample|using)$/i;

/**
 * A SELECT from one relation, as far as files are chosen by it: the relation and the conjuncts of its
 * WHERE that compare a column with constants, in the form of DuckDB's `json_serialize_sql`, which its
 * WebAssembly does not have. Of what is not understood nothing is said, so that all files are read.
 *
 * @returns Undefined for everything else.
 */
export function parseSelect(tokens: readonly string[]): Node | undefined {
  const texts = tokens.at(-1) === ";" ? tokens.slice(0, -1) : tokens;
  const from = texts.findIndex((text) => text.toLowerCase() === "from");
  if (texts[0]?.toLowerCase() !== "select" || from < 0 || texts.includes(";")) return undefined;
  if (texts.some((text, i) => i !== 0 && i !== from && MORE.test(text))) return undefined;
  const reader = new Reader(numbered(texts).slice(from + 1));
  const relation = reader.identifier();
  if (relation === undefined) return undefined;
  const called = reader.take("(");
  const argument = called ? reader.operand() : undefined;
  if (called && !reader.take(")")) return undefined;
  if (reader.word() === "as") reader.next();
  const alias = reader.atEnd() || reader.word() === "where" || TAIL.has(reader.word())
    ? ""
    : reader.identifier();
  if (alias === undefined) return undefined;
  const hasWhere = reader.word() === "where";
  if (!hasWhere && !reader.atEnd() && !TAIL.has(reader.word())) return undefined;
  if (hasWhere) reader.next();
  return {
    type: "SELECT_NODE",
    from_table: {
      alias,
      ...(called
        ? { type: "TABLE_FUNCTION", function: { function_name: relation, children: [argument] } }
        : { type: "BASE_TABLE", table_name: relation }),
    },
    where_clause: hasWhere ? conjunction(reader.untilTail()) : null,
  };
}

/** Parameters without a name get their places. */
function numbered(texts: readonly string[]): readonly string[] {
  let count = 0;
  return texts.map((text) => text === "?" ? `?${++count}` : text);
}

/** A condition's conjuncts; none where it has an OR, which binds less. */
function conjunction(texts: readonly string[]): Node {
  const parts: string[][] = [[]];
  let depth = 0;
  let between = false;
  for (const text of texts) {
    if (text === "(") depth++;
    if (text === ")") depth--;
    const word = depth === 0 ? text.toLowerCase() : "";
    if (word === "or") return { type: "CONJUNCTION_AND", children: [] };
    if (word === "between") between = true;
    if (word === "and" && !between) parts.push([]);
    else parts.at(-1)!.push(text);
    if (word === "and") between = false;
  }
  return { type: "CONJUNCTION_AND", children: parts.map(comparison) };
}

const COMPARISONS: ReadonlyMap<string, string> = new Map([
  ["=", "COMPARE_EQUAL"],
  ["==", "COMPARE_EQUAL"],
  ["<", "COMPARE_LESSTHAN"],
  ["<=", "COMPARE_LESSTHANOREQUALTO"],
  [">", "COMPARE_GREATERTHAN"],
  [">=", "COMPARE_GREATERTHANOREQUALTO"],
]);

const OTHER: Node = { type: "OTHER" };

function comparison(texts: readonly string[]): Node {
  const reader = new Reader(texts);
  const left = reader.operand();
  const how = reader.word();
  reader.next();
  let node: Node = OTHER;
  if (how === "between") {
    const lower = reader.operand();
    const and = reader.word() === "and";
    reader.next();
    const upper = reader.operand();
    if (and) node = { type: "COMPARE_BETWEEN", input: left, lower, upper };
  } else if (how === "in" && reader.take("(")) {
    const children = [left];
    do children.push(reader.operand()); while (reader.take(","));
    if (reader.take(")")) node = { type: "COMPARE_IN", children };
  } else {
    const type = COMPARISONS.get(how);
    if (type !== undefined) node = { type, left, right: reader.operand() };
  }
  return reader.atEnd() ? node : OTHER;
}

const TIME_TYPES: ReadonlyMap<string, string> = new Map([
  ["date", "DATE"],
  ["timestamp", "TIMESTAMP"],
  ["timestamptz", "TIMESTAMP WITH TIME ZONE"],
]);

/** Reads tokens one after the other. What it does not understand it leaves, and so no end is reached. */
class Reader {
  readonly #texts: readonly string[];
  #at = 0;

  constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  atEnd(): boolean {
    return this.#at >= this.#texts.length;
  }

  /** The next token in lower case; empty at the end. It stays. */
  word(): string {
    return this.#texts[this.#at]?.toLowerCase() ?? "";
  }

  next(): void {
    this.#at++;
  }

  /** Whether that token comes; then it is taken. */
  take(text: string): boolean {
    if (this.#texts[this.#at] !== text) return false;
    this.#at++;
    return true;
  }

  identifier(): string | undefined {
    const text = this.#texts[this.#at];
    if (text === undefined || !/^["A-Za-z_\u0080-\uffff]/.test(text)) return undefined;
    this.#at++;
    return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
  }

  /** What stands before what ends a WHERE. */
  untilTail(): readonly string[] {
    const start = this.#at;
    let depth = 0;
    for (; !this.atEnd(); this.#at++) {
      const word = this.word();
      if (word === "(") depth++;
      if (word === ")") depth--;
      if (depth === 0 && TAIL.has(word)) break;
    }
    return this.#texts.slice(start, this.#at);
  }

  /** A column, a text, a parameter or a time; a number, of which nothing is said. */
  operand(): Node {
    const text = this.#texts[this.#at] ?? "";
    const type = TIME_TYPES.get(text.toLowerCase());
    if (type !== undefined && this.#texts[this.#at + 1]?.startsWith("'") === true) {
      this.#at++;
      return { class: "CAST", cast_type: { id: type }, child: this.operand() };
    }
    if (text.startsWith("'")) {
      this.#at++;
      const value = text.slice(1, -1).replaceAll("''", "'");
      return {
        class: "CONSTANT",
        value: { is_null: false, type: { id: "VARCHAR" }, value },
      };
    }
    if (/^\d/.test(text)) {
      this.#at++;
      return OTHER;
    }
    if (text === "$") {
      this.#at += 2;
      return { class: "PARAMETER", identifier: this.#texts[this.#at - 1] };
    }
    if (/^[$?]\d+$/.test(text)) {
      this.#at++;
      return { class: "PARAMETER", identifier: text.slice(1) };
    }
    const names = [this.identifier()];
    while (this.take(".")) names.push(this.identifier());
    return names.includes(undefined) ? OTHER : { class: "COLUMN_REF", column_names: names };
  }
}
