/** What an object or a list takes in memory at least, beside its text. */
const OBJECT_BYTES = 48;

/** The most objects and lists of one body: `[[],[],…` would otherwise become thirty times its size. */
export const MAX_OBJECTS = 1_000_000;

/** What a JSON text becomes when it is parsed. */
export interface JsonWeight {
  /** The objects and lists that it may have: braces in strings count too. */
  readonly objects: number;
  /** The bytes that they take beside the text. */
  readonly bytes: number;
}

/**
 * Weighs a JSON text before it is parsed.
 *
 * @param text The text, or its bytes in UTF-8.
 * @returns Its weight, rather too much than too little.
 */
export function weighJson(text: string | Uint8Array): JsonWeight {
  let objects = 0;
  if (typeof text === "string") {
    for (let i = 0; i < text.length; i++) if (isOpening(text.charCodeAt(i))) objects++;
  } else {
    for (let i = 0; i < text.length; i++) if (isOpening(text[i]!)) objects++;
  }
  return { objects, bytes: objects * OBJECT_BYTES };
}

function isOpening(code: number): boolean {
  return code === 0x7b || code === 0x5b;
}
