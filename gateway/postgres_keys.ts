import { createHash } from "node:crypto";
import { storedText } from "./sqlite_text.ts";

/** An index has no room for more than some 2,700 bytes. */
const MAX_CHARS = 600;

/**
 * A key as Postgres keeps it: a long one as its SHA-256. (U+0001 is doubled in what `storedText`
 * gives or stands before U+0002, so no short key looks like that.)
 */
export function storedKey(key: string): string {
  const text = storedText(key);
  if (text.length <= MAX_CHARS) return text;
  return `\x01#${createHash("sha256").update(key).digest("hex")}`;
}
