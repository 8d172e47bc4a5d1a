import type { QueryColumn, QueryRow, QueryStream, QueryValue } from "@lakesync/analyst";
import { encodeBase64 } from "@lakesync/core";
import type { QueryFormat } from "./query_args.ts";

/**
 * Writes an answer, row by row but for a table, whose widths depend on all of them.
 *
 * Whole numbers beyond the safe ones are texts, bytes base64, NULL is `null`, in CSV an empty field
 * (an empty text is `""`).
 *
 * @param answer The rows.
 * @param format The form.
 * @returns The text, in pieces.
 */
export async function* formatAnswer(
  answer: QueryStream,
  format: QueryFormat,
): AsyncGenerator<string> {
  const { columns, chunks } = answer;
  if (format === "table") {
    const rows: QueryRow[] = [];
    for await (const chunk of chunks) rows.push(...chunk);
    yield formatTable(columns, rows);
    return;
  }
  if (format === "csv") yield csvLine(columns.map(({ name }) => name));
  let count = 0;
  for await (const chunk of chunks) {
    let text = "";
    for (const row of chunk) {
      if (format === "csv") text += csvLine(columns.map(({ name }) => plain(row[name]!)));
      else text += `${count === 0 ? "[\n" : ",\n"}${JSON.stringify(row, jsonValue)}`;
      count++;
    }
    yield text;
  }
  if (format === "json") yield count === 0 ? "[]\n" : "\n]\n";
}

function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Uint8Array ? encodeBase64(value) : value;
}

/** A value in a cell; undefined for NULL. */
function plain(value: QueryValue): string | undefined {
  if (value === null) return undefined;
  if (value instanceof Uint8Array) return encodeBase64(value);
  return typeof value === "object" ? JSON.stringify(value, jsonValue) : String(value);
}

function csvLine(cells: readonly (string | undefined)[]): string {
  const quoted = cells.map((cell) => {
    if (cell === undefined) return "";
    return cell === "" || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
  });
  return `${quoted.join(",")}\r\n`;
}

function formatTable(columns: readonly QueryColumn[], rows: readonly QueryRow[]): string {
  const cells = rows.map((row) => columns.map(({ name }) => visible(plain(row[name]!) ?? "NULL")));
  const heads = columns.map(({ name }) => visible(name));
  const widths = heads.map((head, i) =>
    cells.reduce((width, row) => Math.max(width, widthOf(row[i]!)), widthOf(head))
  );
  const right = columns.map(({ name }) =>
    rows.every((row) => row[name] === null || /^(number|bigint)$/.test(typeof row[name]))
  );
  const line = (row: readonly string[]) =>
    row.map((cell, i) => {
      const space = " ".repeat(widths[i]! - widthOf(cell));
      return right[i] ? space + cell : cell + space;
    }).join("  ").trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  const end = `(${rows.length} ${rows.length === 1 ? "row" : "rows"})`;
  return `${[line(heads), rule, ...cells.map(line), end].join("\n")}\n`;
}

function widthOf(text: string): number {
  return [...text].length;
}

/** What a terminal would obey is written out instead. */
function visible(text: string): string {
  return text.replaceAll(
    // deno-lint-ignore no-control-regex -- control characters are what this is about
    /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
