/** What a token is, by how it begins. Comments are no tokens. */
const TOKEN =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*|\d[\w.]*|::|[<>!=]=|<>|[^]/uy;

/**
 * The tokens of a text of SQL.
 *
 * @param offsets Where DuckDB's tokens begin, in bytes of UTF-8.
 */
export function tokenTexts(sql: string, offsets: readonly number[]): readonly string[] {
  const bytes = new TextEncoder().encode(sql);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return offsets.map((offset, i) => {
    const text = decoder.decode(bytes.subarray(offset, offsets[i + 1]));
    TOKEN.lastIndex = 0;
    return TOKEN.exec(text)?.[0] ?? "";
  });
}
