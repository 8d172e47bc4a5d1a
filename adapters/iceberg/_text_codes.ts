const FIRST_SLOTS = 1024;

/** Numbers texts 0, 1, 2 … as they come for the first time. A `Map` of this many takes four times as long. */
export class TextCodes {
  /** The texts by their numbers. */
  texts: string[] = [];
  /** A text's number and one, where its hash leads to or in the slots behind it; 0 for none. */
  #slots = new Uint32Array(FIRST_SLOTS);
  #hashes = new Uint32Array(FIRST_SLOTS);

  /** A text's number. */
  codeOf(text: string): number {
    const hash = hashOf(text);
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const code = this.#slots[slot]! - 1;
      if (code < 0) return this.#add(text, { hash, slot });
      if (this.#hashes[code] === hash && this.texts[code] === text) return code;
    }
  }

  /** Forgets the texts, and keeps the room that they took. */
  clear(): void {
    this.texts = [];
    this.#slots.fill(0);
  }

  #add(text: string, { hash, slot }: { hash: number; slot: number }): number {
    const code = this.texts.length;
    this.texts.push(text);
    this.#hashes[code] = hash;
    this.#slots[slot] = code + 1;
    // Half of them stay free, so that searches are short.
    if (this.texts.length * 2 > this.#slots.length) this.#grow();
    return code;
  }

  #grow(): void {
    const hashes = new Uint32Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    const slots = new Uint32Array(hashes.length);
    const mask = slots.length - 1;
    for (let code = 0; code < this.texts.length; code++) {
      let slot = hashes[code]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = code + 1;
    }
    this.#slots = slots;
  }
}

/** Spreads texts, also those that differ in one letter only. */
function hashOf(text: string): number {
  let hash = text.length;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
