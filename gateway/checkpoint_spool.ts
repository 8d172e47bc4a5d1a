import { LakeSyncError, type ObjectStore, type Result, toLakeSyncError } from "@lakesync/core";

/** The bytes of a part. A reader has one of them in memory. */
const PART = 256 * 1024;

/** What a {@linkcode Spool} is made of. */
export interface SpoolOptions {
  /** Where its parts are kept. */
  readonly store: ObjectStore;
  /** What their keys begin with; nobody else's do. */
  readonly prefix: string;
  /** The bytes. Read once, as fast as the store takes them. */
  readonly source: AsyncIterable<Uint8Array>;
}

/**
 * Bytes that are made once and read by many, each at its own pace, also while they are being made. In
 * memory are a part for each reader, and the last part: what is smaller than a part never gets to
 * the store.
 */
export class Spool {
  readonly #options: SpoolOptions;
  #stored = 0;
  #last = new Uint8Array(0);
  #bytes = 0;
  #state: "growing" | "whole" | LakeSyncError = "growing";
  #grown = Promise.withResolvers<void>();
  #readers = 0;
  #dropped = false;
  #lost = false;
  /** Resolves when it is whole or has failed. */
  readonly written: Promise<void>;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.written = this.#write();
  }

  /** How many bytes it has, so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a part that was stored could not be read: it is no good any more. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Why it failed; undefined where it did not. */
  get failure(): LakeSyncError | undefined {
    return this.#state instanceof LakeSyncError ? this.#state : undefined;
  }

  /**
   * Reads it from its beginning.
   *
   * @returns Its bytes; throws the failure where it fails. Must be read to the end or returned from.
   */
  read(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    this.#readers++;
    let left = false;
    const leave = () => {
      if (left) return;
      left = true;
      this.#readers--;
      this.#removeWhereUnused();
    };
    const parts = this.#parts(leave);
    const end = parts.return.bind(parts);
    parts.return = async (value) => {
      const ended = await end(value);
      // A generator that never began does not run its `finally`.
      leave();
      return ended;
    };
    return parts;
  }

  /** It is not wanted any more: its parts go when its last reader has. */
  drop(): void {
    this.#dropped = true;
    this.#removeWhereUnused();
  }

  async *#parts(leave: () => void): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    try {
      for (let n = 0;;) {
        if (n < this.#stored) {
          yield await this.#part(n++);
        } else if (this.#state === "growing") {
          await this.#grown.promise;
        } else {
          if (this.#state !== "whole") throw this.#state;
          if (this.#last.length > 0) yield this.#last;
          return;
        }
      }
    } finally {
      leave();
    }
  }

  async #part(n: number): Promise<Uint8Array<ArrayBuffer>> {
    const part = await this.#options.store.get(this.#key(n));
    this.#lost ||= !part.ok;
    return orThrow(part) as Uint8Array<ArrayBuffer>;
  }

  async #write(): Promise<void> {
    try {
      let chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of this.#options.source) {
        if (this.#dropped && this.#readers === 0) throw nobodyReads();
        chunks.push(chunk);
        size += chunk.length;
        if (size < PART) continue;
        await this.#put(join(chunks, size));
        chunks = [];
        size = 0;
      }
      this.#last = join(chunks, size);
      this.#bytes += size;
      this.#grow("whole");
    } catch (thrown) {
      this.#grow(toLakeSyncError(thrown, "STORAGE_ERROR"));
    }
    this.#removeWhereUnused();
  }

  async #put(part: Uint8Array): Promise<void> {
    orThrow(await this.#options.store.put(this.#key(this.#stored), part));
    this.#stored++;
    this.#bytes += part.length;
    this.#grow("growing");
  }

  #grow(state: "growing" | "whole" | LakeSyncError): void {
    this.#state = state;
    this.#grown.resolve();
    this.#grown = Promise.withResolvers();
  }

  #key(n: number): string {
    return `${this.#options.prefix}/${n}`;
  }

  #removeWhereUnused(): void {
    if (!this.#dropped || this.#readers > 0 || this.#state === "growing") return;
    const keys = Array.from({ length: this.#stored }, (_, n) => this.#key(n));
    this.#stored = 0;
    // What cannot be removed now goes when the next process begins.
    if (keys.length > 0) void this.#options.store.delete(keys);
  }
}

function nobodyReads(): LakeSyncError {
  return new LakeSyncError("ABORTED", "The checkpoint was not wanted any more: ask again");
}

function join(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}

function orThrow<T>(result: Result<T>): T {
  if (!result.ok) throw result.error;
  return result.value;
}
