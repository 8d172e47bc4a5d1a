import { invalidQuery } from "./fault.ts";

/** A piece of GoogleSQL. */
export interface Token {
  readonly kind: "name" | "quoted" | "string" | "number" | "param" | "op";
  /** What it says: a name without its quotes, a string's content, a parameter's name. */
  readonly text: string;
  /** A name in capitals, which keywords are told by; an operator as it is; else nothing. */
  readonly word: string;
}

const PIECE =
  /\s+|--[^\n]*|(`(?:[^`\\]|\\.)+`)|('(?:[^'\\\n]|\\.)*')|@([A-Za-z_]\w*)|([A-Za-z_]\w*)|(\d+(?:\.\d+)?)|(=>|<=|>=|!=|<>|[-+*/&(),.;=<>])/y;

/** Splits GoogleSQL into its pieces: only those that the adapter has use for. */
export function tokenise(sql: string): Token[] {
  const tokens: Token[] = [];
  for (PIECE.lastIndex = 0; PIECE.lastIndex < sql.length;) {
    const at = PIECE.lastIndex;
    const found = PIECE.exec(sql);
    if (found === null) {
      throw invalidQuery(`Syntax error: Illegal input character "${sql[at]}" at offset ${at}`);
    }
    const [, quoted, text, param, name, number, op] = found;
    if (quoted !== undefined) tokens.push({ kind: "quoted", text: unescape(quoted), word: "" });
    else if (text !== undefined) tokens.push({ kind: "string", text: unescape(text), word: "" });
    else if (param !== undefined) tokens.push({ kind: "param", text: param, word: "" });
    else if (name !== undefined) {
      tokens.push({ kind: "name", text: name, word: name.toUpperCase() });
    } else if (number !== undefined) tokens.push({ kind: "number", text: number, word: "" });
    else if (op !== undefined) tokens.push({ kind: "op", text: op, word: op });
  }
  return tokens;
}

function unescape(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(.)/g, (_, char: string) => {
    if (char === "n") return "\n";
    if (/[\\'"`]/.test(char)) return char;
    throw invalidQuery(`Syntax error: Illegal escape sequence: \\${char}`);
  });
}

/** The statements of a script. */
export function splitStatements(tokens: readonly Token[]): Token[][] {
  const statements: Token[][] = [[]];
  for (const token of tokens) {
    if (token.word === ";") statements.push([]);
    else statements.at(-1)!.push(token);
  }
  return statements.filter(({ length }) => length > 0);
}

/** Reads tokens from left to right. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The next word, in capitals. */
  peek(): string {
    return this.#tokens[this.#at]?.word ?? "";
  }

  /** Takes these words where they come next. */
  accept(words: string): boolean {
    const list = words.split(" ");
    const next = list.every((word, i) => this.#tokens[this.#at + i]?.word === word);
    if (next) this.#at += list.length;
    return next;
  }

  /** Takes these words, which have to come next. */
  expect(words: string): void {
    if (this.accept(words)) return;
    const token = this.#tokens[this.#at];
    throw invalidQuery(
      `Syntax error: Expected ${words} but got ${token?.text ?? "end of statement"}`,
    );
  }

  /** Takes a name, quoted or not. */
  name(): string {
    const token = this.#tokens[this.#at++];
    if (token?.kind === "quoted" || token?.kind === "name" && !RESERVED.has(token.word)) {
      return token.text;
    }
    throw invalidQuery(
      `Syntax error: Unexpected ${
        token === undefined ? "end of statement" : `keyword ${token.text}`
      }`,
    );
  }

  /** Takes names in parentheses. */
  names(): string[] {
    this.expect("(");
    const names = [this.name()];
    while (this.accept(",")) names.push(this.name());
    this.expect(")");
    return names;
  }

  /** Takes everything up to one of these words outside of parentheses, or to the end. */
  until(...words: readonly string[]): Token[] {
    const start = this.#at;
    for (let depth = 0; this.#at < this.#tokens.length; this.#at++) {
      const { word } = this.#tokens[this.#at]!;
      if (depth === 0 && words.includes(word)) break;
      if (word === "(") depth++;
      if (word === ")") depth--;
    }
    return this.#tokens.slice(start, this.#at);
  }

  /** Throws where anything is left. */
  end(): void {
    const token = this.#tokens[this.#at];
    if (token !== undefined) {
      throw invalidQuery(`Syntax error: Expected end of input but got "${token.text}"`);
    }
  }
}

/** @see {@link https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#reserved_keywords} */
export const RESERVED: ReadonlySet<string> = new Set(
  ("ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS " +
    "CUBE CURRENT DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE " +
    "FETCH FOLLOWING FOR FROM FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL " +
    "INTO IS JOIN LATERAL LEFT LIKE LIMIT LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER " +
    "OVER PARTITION PRECEDING PROTO QUALIFY RANGE RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT " +
    "TABLESAMPLE THEN TO TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN WHERE WINDOW WITH WITHIN")
    .split(
      " ",
    ),
);
