import { gzip } from "node:zlib";
import { promisify } from "node:util";
import type { FlushEntry, FlushTable, LakeSyncError, ObjectStore, Random } from "@lakesync/core";
import type { ManifestFile, NumberedManifest } from "./manifest.ts";

const compress = promisify<Uint8Array, Uint8Array>(gzip);

/** So many characters of one table are put as an object. */
const FILE_CHARS = 16 * 1024 * 1024;

/** What a table is written with. */
export interface TableWriteOptions {
  readonly store: ObjectStore;
  readonly random: Random;
  /** The table's name. */
  readonly table: string;
  /** Its part in the batch. */
  readonly part: FlushTable;
  /** The epoch that the batch's seqs are of. */
  readonly epoch: string;
  /** The manifest that the files are to be committed on; undefined for a new table. */
  readonly base: NumberedManifest | undefined;
}

/** A table's deltas on their way into objects. */
export class TableWrite {
  readonly options: TableWriteOptions;
  /** The objects so far. */
  readonly files: ManifestFile[] = [];
  /** Why it failed, where it did. Then nothing more is taken. */
  error: LakeSyncError | undefined;
  readonly #after: number;
  readonly #made: string[] = [];
  #lines: string[] = [];
  #chars = 0;

  constructor(options: TableWriteOptions) {
    this.options = options;
    const { part, epoch } = options;
    this.#after = part.from?.epoch === epoch ? part.from.seq : 0;
  }

  /** How many characters wait. */
  get weight(): number {
    return this.#chars;
  }

  /** Adds an entry. One that the table has already is left out. */
  async add({ seq, at, delta }: FlushEntry): Promise<void> {
    if (this.error !== undefined || seq <= this.#after) return;
    const line = `${JSON.stringify({ seq, at, delta })}\n`;
    this.#lines.push(line);
    this.#chars += line.length;
    if (this.#chars >= FILE_CHARS) await this.writeFile();
  }

  /** Writes the deltas that wait into an object. */
  async writeFile(): Promise<void> {
    if (this.error !== undefined || this.#lines.length === 0) return;
    const { store, random, table } = this.options;
    const deltas = this.#lines.length;
    const text = this.#lines.join("");
    this.#lines = [];
    this.#chars = 0;
    const bytes = await compress(new TextEncoder().encode(text));
    const key = `${table}/deltas/${random.uuid()}.ndjson.gz`;
    this.#made.push(key);
    const put = await store.put(key, bytes);
    if (put.ok) this.files.push({ key, deltas, bytes: bytes.length });
    else this.error = put.error;
  }

  /** Removes the objects. Only where they are known to be no part of the table. */
  async discard(): Promise<void> {
    await this.options.store.delete(this.#made);
  }
}
