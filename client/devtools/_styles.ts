import { LAYOUT_CSS } from "./_styles_layout.ts";
import { PARTS_CSS } from "./_styles_parts.ts";

/** Colours and measures, light and dark. */
const TOKENS_CSS = `
:host {
  all: initial;
  color-scheme: light dark;
  --bg: light-dark(#ffffff, #14171c);
  --raised: light-dark(#f5f7f9, #1b1f26);
  --line: light-dark(#dfe4ea, #2b313b);
  --text: light-dark(#1a2230, #e4e8ee);
  --dim: light-dark(#5c6878, #97a3b4);
  --accent: light-dark(#0b6bcb, #6cb4ff);
  --good: light-dark(#11733f, #5fd08c);
  --wait: light-dark(#8f5300, #f0b45a);
  --bad: light-dark(#b3261e, #ff8a80);
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, monospace;
}
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
`;

let shared: CSSStyleSheet | undefined;

/** The style sheet of all devtools in a document; a page's content security policy has no say in it. */
export function sheet(): CSSStyleSheet {
  if (shared === undefined) {
    shared = new CSSStyleSheet();
    shared.replaceSync(TOKENS_CSS + LAYOUT_CSS + PARTS_CSS);
  }
  return shared;
}
