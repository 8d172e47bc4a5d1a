import type { ObjectStore } from "@lakesync/core";
import type { EngineFile } from "./compact_engine.ts";
import { addDeletes, readEqualityDeletes } from "./state_deletes.ts";
import { decodeVector } from "./state_vectors.ts";

/** Which rows of files are gone, whichever way that was told. */
export class GoneRows {
  /** By the URL of their file. */
  readonly positions: Map<string, Set<number>> = new Map();
  /** Texts of `id` with the sequence number below which a file's rows of that id are gone. */
  readonly ids: Map<string, bigint> = new Map();

  /**
   * Reads files of deletes. It throws a `LakeSyncError` for what goes wrong with the store.
   *
   * @throws {RangeError} Where a file is damaged.
   */
  static async read(
    store: Pick<ObjectStore, "get">,
    files: readonly EngineFile[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<GoneRows> {
    const gone = new GoneRows();
    for (const one of files) await gone.#add(store, one, options);
    return gone;
  }

  /** Whether a row of a file is gone. */
  has({ file: { path }, sequenceNumber }: EngineFile, row: number, id: string): boolean {
    return this.positions.get(path)?.has(row) === true ||
      (this.ids.get(id) ?? -1n) > sequenceNumber;
  }

  async #add(
    store: Pick<ObjectStore, "get">,
    { key, file, sequenceNumber }: EngineFile,
    options: { readonly signal?: AbortSignal },
  ): Promise<void> {
    const vector = file.format === "PUFFIN";
    const start = Number(file.contentOffset ?? 0n);
    const end = start + Number(file.contentSize ?? 0n);
    const bytes = await store.get(key, vector ? { ...options, start, end } : options);
    if (!bytes.ok) throw bytes.error;
    if (vector) {
      const path = file.referencedDataFile;
      if (path === undefined) throw new RangeError("a deletion vector is of no file");
      let known = this.positions.get(path);
      if (known === undefined) this.positions.set(path, known = new Set());
      for (const position of decodeVector(bytes.value)) known.add(position);
    } else if (file.content === 2) {
      for (const id of await readEqualityDeletes(bytes.value)) {
        const known = this.ids.get(id);
        if (known === undefined || known < sequenceNumber) this.ids.set(id, sequenceNumber);
      }
    } else {
      await addDeletes(bytes.value, this.positions);
    }
  }
}
