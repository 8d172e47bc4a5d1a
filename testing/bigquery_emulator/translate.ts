import { invalidQuery } from "./fault.ts";
import { RESERVED, type Token } from "./tokens.ts";

/** GoogleSQL's types, and what stands for them in DuckDB and in the API. */
export const TYPES: ReadonlyMap<string, { readonly duck: string; readonly api: string }> = new Map([
  ["STRING", { duck: "VARCHAR", api: "STRING" }],
  ["INT64", { duck: "BIGINT", api: "INTEGER" }],
  ["INTEGER", { duck: "BIGINT", api: "INTEGER" }],
  ["FLOAT64", { duck: "DOUBLE", api: "FLOAT" }],
  ["BOOL", { duck: "BOOLEAN", api: "BOOLEAN" }],
  ["BYTES", { duck: "BLOB", api: "BYTES" }],
  ["TIMESTAMP", { duck: "TIMESTAMP WITH TIME ZONE", api: "TIMESTAMP" }],
  ["DATE", { duck: "DATE", api: "DATE" }],
  ["JSON", { duck: "JSON", api: "JSON" }],
  ["NUMERIC", { duck: "DECIMAL(38,9)", api: "NUMERIC" }],
]);

/** Words that are part of what is understood, and mean the same in DuckDB. */
const SYNTAX = new Set(
  ("ALL AND AS ASC BY CASE DESC DISTINCT ELSE END EXISTS FALSE FROM GROUP IN INNER IS JOIN LEFT LIMIT NOT " +
    "NULL ON OR ORDER OVER PARTITION SELECT THEN TRUE UNION WHEN WHERE").split(" "),
);
const FUNCTIONS = new Set([
  "COALESCE",
  "CONCAT",
  "COUNT",
  "ERROR",
  "FARM_FINGERPRINT",
  "MAX",
  "MIN",
  "ROW_NUMBER",
  "SUM",
  "TO_JSON_STRING",
]);

/** Functions that DuckDB does not have. The fingerprint is another one, of the same types. */
export const MACROS: readonly string[] = [
  "farm_fingerprint(x) AS CAST(md5_number_lower(x)::HUGEINT - 9223372036854775808 AS BIGINT)",
  "to_json_string(x) AS COALESCE(CAST(to_json(x) AS VARCHAR), 'null')",
];

/** Names for DuckDB. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A query or an expression in GoogleSQL as DuckDB has it. What is not known is refused. */
export function translate(tokens: readonly Token[]): string {
  let out = "";
  // What the open parentheses end with: " )" for CAST, "AS JSON)" for PARSE_JSON.
  const open: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    const before = tokens[i - 1];
    const calls = tokens[i + 1]?.word === "(";
    out += " ";
    switch (token.kind) {
      case "string":
        out += `'${token.text.replaceAll("'", "''")}'`;
        continue;
      case "param":
        out += `$${token.text}`;
        continue;
      case "number":
        out += token.text;
        continue;
      case "quoted":
        out += quote(token.text);
        continue;
      case "op":
        if (token.word === "(") open.push(")");
        if (token.word === ")") {
          const closed = open.pop();
          if (closed === undefined) throw invalidQuery('Syntax error: Unexpected ")"');
          out += closed;
          continue;
        }
        // PARSE_JSON(x, wide_number_mode=>'round'): DuckDB keeps a number's text.
        if (token.word === "," && open.at(-1) === "AS JSON)") {
          const rest = tokens.slice(i + 1, i + 4).map(({ text }) => text).join(" ");
          if (rest !== "wide_number_mode => round") {
            throw invalidQuery(`Invalid argument of PARSE_JSON: ${rest}`);
          }
          i += 3;
          continue;
        }
        out += token.word === "!=" ? "<>" : token.word;
        continue;
      case "name":
        break;
    }
    const { word } = token;
    // Behind a point any word is a name.
    if (before?.word === ".") out += quote(token.text);
    else if (before?.word === "AS" && open.at(-1) === " )") {
      const type = TYPES.get(word);
      if (type === undefined) throw invalidQuery(`Type not found: ${token.text}`);
      out += type.duck;
    } else if (word === "CAST" && calls) {
      out += "CAST(";
      open.push(" )");
      i++;
    } else if (word === "PARSE_JSON" && calls) {
      out += "CAST(";
      open.push("AS JSON)");
      i++;
    } else if (word === "IF" && calls) out += "if";
    else if (word === "UNNEST" && calls) {
      const list = tokens[i + 2];
      if (list?.kind !== "param" || tokens[i + 3]?.word !== ")") {
        throw invalidQuery("Syntax error: Expected a parameter in UNNEST");
      }
      i += 3;
      if (before?.word === "IN") out += `(SELECT unnest($${list.text}))`;
      else {
        const alias = tokens[i + 1]?.word === "AS" ? tokens[i + 2] : undefined;
        if (alias?.kind !== "name") throw invalidQuery("Syntax error: Expected an alias of UNNEST");
        out += `(SELECT unnest($${list.text}) AS ${quote(alias.text)})`;
        i += 2;
      }
    } else if (SYNTAX.has(word)) out += word;
    else if (RESERVED.has(word)) {
      throw invalidQuery(`Syntax error: Unexpected keyword ${token.text}`);
    } else if (calls) {
      if (!FUNCTIONS.has(word)) throw invalidQuery(`Function not found: ${token.text}`);
      out += word;
    } else out += quote(token.text);
  }
  if (open.length > 0) throw invalidQuery('Syntax error: Expected ")" but got end of statement');
  return out;
}
