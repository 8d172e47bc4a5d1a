import type { WasmFile } from "./_wasm_vfs.ts";

/** The bytes of a block: SQLite's pages have as many. */
export const BLOCK_BYTES = 4096;

/** What changed in a {@linkcode BlockFile} since it was last kept. */
export interface BlockChanges {
  /** The file's size now. */
  readonly size: number;
  /** The blocks that were written, by number. */
  readonly written: ReadonlyMap<number, Uint8Array>;
  /** From this number on, blocks are no more. */
  readonly end: number;
}

/**
 * A file in memory, in blocks, that knows what was changed in it: so that it can be kept somewhere
 * else, block by block, or be put back to what it was.
 */
export class BlockFile implements WasmFile {
  readonly #blocks: Uint8Array[];
  #size: number;
  /** Blocks that were changed, as they were before; undefined where there was none. */
  readonly #before: Map<number, Uint8Array | undefined> = new Map();
  #sizeBefore: number;

  constructor(blocks: Uint8Array[], size: number) {
    this.#blocks = blocks;
    this.#size = size;
    this.#sizeBefore = size;
  }

  read(into: Uint8Array, at: number): number {
    const length = Math.max(0, Math.min(into.length, this.#size - at));
    for (let done = 0; done < length;) {
      const from = (at + done) % BLOCK_BYTES;
      const count = Math.min(length - done, BLOCK_BYTES - from);
      const block = this.#blocks[Math.floor((at + done) / BLOCK_BYTES)]!;
      into.set(block.subarray(from, from + count), done);
      done += count;
    }
    return length;
  }

  write(from: Uint8Array, at: number): void {
    if (at > this.#size) this.truncate(at);
    for (let done = 0; done < from.length;) {
      const to = (at + done) % BLOCK_BYTES;
      const count = Math.min(from.length - done, BLOCK_BYTES - to);
      const block = this.#change(Math.floor((at + done) / BLOCK_BYTES));
      block.set(from.subarray(done, done + count), to);
      done += count;
    }
    this.#size = Math.max(this.#size, at + from.length);
  }

  size(): number {
    return this.#size;
  }

  truncate(size: number): void {
    const blocks = Math.ceil(size / BLOCK_BYTES);
    for (let i = this.#blocks.length; i < blocks; i++) this.#change(i);
    // What lies behind the end must read as zeros when the file grows again.
    if (size < this.#size && size % BLOCK_BYTES !== 0) {
      this.#change(blocks - 1).fill(0, size % BLOCK_BYTES);
    }
    for (let i = blocks; i < this.#blocks.length; i++) this.#remember(i);
    this.#blocks.length = blocks;
    this.#size = size;
  }

  sync(): void {
    // It is kept after the transaction, as a whole.
  }

  /** What is to be kept; undefined where nothing changed. */
  changes(): BlockChanges | undefined {
    if (this.#before.size === 0 && this.#size === this.#sizeBefore) return undefined;
    const end = this.#blocks.length;
    const written = new Map<number, Uint8Array>();
    for (const i of this.#before.keys()) {
      const block = this.#blocks[i];
      if (block !== undefined) written.set(i, block);
    }
    return { size: this.#size, written, end };
  }

  /** It was kept. */
  kept(): void {
    this.#before.clear();
    this.#sizeBefore = this.#size;
  }

  /** It could not be kept: puts back what was. */
  revert(): void {
    for (const [i, block] of this.#before) {
      if (block !== undefined) this.#blocks[i] = block;
    }
    this.#size = this.#sizeBefore;
    this.#blocks.length = Math.ceil(this.#size / BLOCK_BYTES);
    this.#before.clear();
  }

  #change(i: number): Uint8Array {
    this.#remember(i);
    return this.#blocks[i] ??= new Uint8Array(BLOCK_BYTES);
  }

  #remember(i: number): void {
    if (!this.#before.has(i)) this.#before.set(i, this.#blocks[i]?.slice());
  }
}
