/** A token of SQL. */
export interface SqlToken {
  /** What it is; a parameter is always in the form `?N`. */
  readonly kind: "word" | "quoted" | "literal" | "param" | "symbol";
  /** As it stands in the text. */
  readonly text: string;
  /** A name or a keyword in lower case and without quotes; else the text. */
  readonly name: string;
}

const TOKEN = new RegExp(
  [
    /(?<space>\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)/,
    /(?<literal>[xX]?'(?:[^']|'')*'|0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/,
    /(?<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])/,
    /(?<param>\?\d*)/,
    /(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)/,
    /(?<symbol>->>|->|\|\||<=|>=|<>|!=|==|<<|>>|[-+*\/%(),.<>=&|~])/,
  ].map(({ source }) => source).join("|"),
  "uy",
);

/**
 * Takes SQL apart.
 *
 * @returns Its tokens; undefined where it has something else than names, keywords, literals, operators
 * and parameters by position.
 */
export function sqlTokens(sql: string): readonly SqlToken[] | undefined {
  const tokens: SqlToken[] = [];
  let params = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < sql.length) {
    const groups = TOKEN.exec(sql)?.groups;
    if (groups === undefined) return undefined;
    const { literal, quoted, param, word, symbol } = groups;
    if (literal !== undefined) tokens.push({ kind: "literal", text: literal, name: literal });
    else if (quoted !== undefined) {
      const name = quoted.slice(1, -1).toLowerCase();
      tokens.push({ kind: "quoted", text: quoted, name });
    } else if (param !== undefined) {
      // SQLite numbers a bare one after the greatest so far.
      const at = param === "?" ? params + 1 : Number(param.slice(1));
      params = Math.max(params, at);
      tokens.push({ kind: "param", text: `?${at}`, name: `?${at}` });
    } else if (word !== undefined) {
      tokens.push({ kind: "word", text: word, name: word.toLowerCase() });
    } else if (symbol !== undefined) tokens.push({ kind: "symbol", text: symbol, name: symbol });
  }
  return tokens;
}

/** The text of tokens. */
export function sqlText(tokens: readonly SqlToken[]): string {
  return tokens.map(({ text }) => text).join(" ");
}

/** Cuts tokens at each one of a kind that stands outside of all brackets. */
export function splitTokens(tokens: readonly SqlToken[], separator: string): SqlToken[][] {
  const parts: SqlToken[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.name === "(" && token.kind === "symbol") depth++;
    else if (token.name === ")" && token.kind === "symbol") depth--;
    if (depth === 0 && token.kind !== "quoted" && token.name === separator) parts.push([]);
    else parts.at(-1)!.push(token);
  }
  return parts;
}
