/**
 * Texts that come back from SQLite: on Deno `node:sqlite` ends one at its first NUL, and a row's key
 * may have one. So NUL is kept as U+0001 U+0002, and U+0001 doubled.
 */

/** A text as SQLite keeps it. */
export function storedText(text: string): string {
  if (!text.includes("\0") && !text.includes("\x01")) return text;
  return text.replaceAll("\x01", "\x01\x01").replaceAll("\0", "\x01\x02");
}

/** The text that {@linkcode storedText} kept. */
export function readText(stored: string): string {
  if (!stored.includes("\x01")) return stored;
  let text = "";
  for (let i = 0; i < stored.length; i++) {
    const letter = stored[i]!;
    text += letter !== "\x01" ? letter : stored[++i] === "\x02" ? "\0" : "\x01";
  }
  return text;
}
