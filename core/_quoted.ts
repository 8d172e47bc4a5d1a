/** Texts that stand in JSON as they are: ASCII without control characters, quotes and backslashes. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** A text as JSON has it; the same as `JSON.stringify`, which takes several times as long. */
export function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}
