import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LakeFile, ObjectStore } from "@lakesync/core";
import { aborted } from "./_errors.ts";

/** A data file's copy. */
interface Copy {
  readonly path: string;
  readonly bytes: number;
  /** Resolves when it is there. */
  readonly ready: Promise<void>;
  /** How many queries read it. */
  readers: number;
}

/** How many objects are fetched at once. */
const AT_ONCE = 8;

/**
 * Copies of a store's data files, where DuckDB can open them. Each is fetched once; those that were
 * not read for longest go first when they become too many. (A data file never changes.)
 */
export class FileCopies {
  readonly #store: ObjectStore;
  readonly #limit: number;
  readonly #copies: Map<string, Copy> = new Map();
  #directory: Promise<string> | undefined;
  #bytes = 0;
  #made = 0;

  constructor(store: ObjectStore, limit: number) {
    this.#store = store;
    this.#limit = limit;
  }

  /**
   * Makes files readable until `release`. Throws a `LakeSyncError`.
   *
   * @returns Where each is, and what lets go of them.
   */
  async open(
    files: readonly LakeFile[],
    signal: AbortSignal | undefined,
  ): Promise<{ paths: ReadonlyMap<string, string>; release: () => Promise<void> }> {
    this.#directory ??= mkdtemp(join(tmpdir(), "lakesync-analyst-"));
    const directory = await this.#directory;
    const taken: Copy[] = [];
    const left = [...files];
    const release = async () => {
      for (const copy of taken.splice(0)) copy.readers--;
      await this.#evict();
    };
    const fetchSome = async () => {
      for (let file = left.pop(); file !== undefined; file = left.pop()) {
        if (signal?.aborted === true) throw aborted();
        const copy = this.#take(file, directory);
        taken.push(copy);
        await copy.ready;
      }
    };
    const fetched = await Promise.allSettled(Array.from({ length: AT_ONCE }, fetchSome));
    const failed = fetched.find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") {
      await release();
      throw failed.reason;
    }
    const paths = new Map(files.map(({ key }) => [key, this.#copies.get(key)!.path]));
    return { paths, release };
  }

  /** Removes all copies. */
  async close(): Promise<void> {
    if (this.#directory === undefined) return;
    await rm(await this.#directory, { recursive: true, force: true });
  }

  #take({ key, bytes }: LakeFile, directory: string): Copy {
    let copy = this.#copies.get(key);
    // The one that was read last stands last.
    this.#copies.delete(key);
    if (copy === undefined) {
      const path = join(directory, `${this.#made++}.parquet`);
      copy = { path, bytes, ready: this.#fetch(key, path), readers: 0 };
      this.#bytes += bytes;
    }
    this.#copies.set(key, copy);
    copy.readers++;
    return copy;
  }

  /** Nobody's signal stops it: others may wait for the same file. */
  async #fetch(key: string, path: string): Promise<void> {
    try {
      const bytes = await this.#store.get(key);
      if (!bytes.ok) throw bytes.error;
      await writeFile(path, bytes.value);
    } catch (thrown) {
      // Who comes next tries again.
      this.#bytes -= this.#copies.get(key)?.bytes ?? 0;
      this.#copies.delete(key);
      throw thrown;
    }
  }

  async #evict(): Promise<void> {
    for (const [key, { readers, bytes, path }] of this.#copies) {
      if (this.#bytes <= this.#limit) return;
      if (readers > 0) continue;
      this.#copies.delete(key);
      this.#bytes -= bytes;
      await rm(path, { force: true });
    }
  }
}
