import type { LakeFile } from "@lakesync/core";
import { aborted } from "./_errors.ts";

/** What was made of a data file. */
interface Kept<T> {
  readonly bytes: number;
  /** Resolves when it is there. */
  readonly made: Promise<T>;
  /** How many queries read it. */
  readers: number;
}

/** How data files are made readable. */
export interface KeptFilesOptions<F, T> {
  /** The most bytes of files that are kept while nobody reads them. */
  readonly limit: number;
  /** Makes a file readable; throws a `LakeSyncError`. */
  readonly make: (file: F) => Promise<T>;
  /** Takes that back. */
  readonly drop: (made: T) => Promise<void>;
}

/** How many files are made readable at once. */
const AT_ONCE = 8;

/**
 * A lake's data files, made readable. Each is made once; those that were not read for longest go
 * first when they become too many. (A data file never changes.)
 */
export class KeptFiles<F extends Pick<LakeFile, "key" | "bytes">, T> {
  readonly #options: KeptFilesOptions<F, T>;
  readonly #kept: Map<string, Kept<T>> = new Map();
  #bytes = 0;

  constructor(options: KeptFilesOptions<F, T>) {
    this.#options = options;
  }

  /**
   * Makes files readable until `release`. Throws a `LakeSyncError`.
   *
   * @returns What was made of each, by its key, and what lets go of them.
   */
  async open(
    files: readonly F[],
    signal: AbortSignal | undefined,
  ): Promise<{ made: ReadonlyMap<string, T>; release: () => Promise<void> }> {
    const taken: Kept<T>[] = [];
    const made = new Map<string, T>();
    const left = [...files];
    const release = async () => {
      for (const kept of taken.splice(0)) kept.readers--;
      await this.#evict();
    };
    const makeSome = async () => {
      for (let file = left.pop(); file !== undefined; file = left.pop()) {
        if (signal?.aborted === true) throw aborted();
        const kept = this.#take(file);
        taken.push(kept);
        made.set(file.key, await kept.made);
      }
    };
    const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, makeSome));
    const failed = ended.find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") {
      await release();
      throw failed.reason;
    }
    return { made, release };
  }

  #take(file: F): Kept<T> {
    const { key, bytes } = file;
    let kept = this.#kept.get(key);
    // The one that was read last stands last.
    this.#kept.delete(key);
    if (kept === undefined) {
      kept = { bytes, made: this.#make(file), readers: 0 };
      this.#bytes += bytes;
    }
    this.#kept.set(key, kept);
    kept.readers++;
    return kept;
  }

  /** Nobody's signal stops it: others may wait for the same file. */
  async #make(file: F): Promise<T> {
    try {
      return await this.#options.make(file);
    } catch (thrown) {
      // Who comes next tries again.
      this.#bytes -= this.#kept.get(file.key)?.bytes ?? 0;
      this.#kept.delete(file.key);
      throw thrown;
    }
  }

  async #evict(): Promise<void> {
    for (const [key, { readers, bytes, made }] of this.#kept) {
      if (this.#bytes <= this.#options.limit) return;
      if (readers > 0) continue;
      this.#kept.delete(key);
      this.#bytes -= bytes;
      await this.#options.drop(await made);
    }
  }
}
