/** Where in the array the splitter is. */
type Place = "before" | "first" | "item" | "next" | "after";

/**
 * Cuts the text of a JSON array into the texts of its items, without looking into them: whether an
 * item is well-formed is for `JSON.parse` to say. Throws `SyntaxError` where the text is no array.
 *
 * @param chunks The text, cut anywhere.
 * @returns The items' texts, those that end in one chunk together.
 */
export async function* splitJsonArray(
  chunks: AsyncIterable<string>,
): AsyncGenerator<readonly string[]> {
  let place = "before" as Place;
  let item = "";
  let depth = 0;
  let inString = false;
  let escaped = false;
  for await (const chunk of chunks) {
    const items: string[] = [];
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const code = chunk.charCodeAt(i);
      if (inString) {
        if (escaped) escaped = false;
        else if (code === BACKSLASH) escaped = true;
        else if (code === QUOTE) inString = false;
        continue;
      }
      if (isSpace(code)) continue;
      if (place === "item") {
        if (depth === 0 && (code === COMMA || code === CLOSE)) {
          items.push(item + chunk.slice(start, i));
          item = "";
          place = code === COMMA ? "next" : "after";
        } else if (code === QUOTE) inString = true;
        else if (code === OPEN || code === OPEN_BRACE) depth++;
        else if (code === CLOSE || code === CLOSE_BRACE) depth--;
      } else if (place === "before") {
        if (code !== OPEN) throw new SyntaxError("it does not begin with [");
        place = "first";
      } else if (place === "after") {
        throw new SyntaxError("there is more behind its end");
      } else if (place === "first" && code === CLOSE) {
        place = "after";
      } else {
        place = "item";
        start = i;
        // This letter is the item's first: look at it again.
        i--;
      }
    }
    if (place === "item") item += chunk.slice(start);
    if (items.length > 0) yield items;
  }
  if (place !== "after") throw new SyntaxError("it ends before its ]");
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
