import { ok, type Random, type Result } from "@lakesync/core";
import { Puts } from "./_puts.ts";
import type { Catalogue } from "./catalogue.ts";
import type { CompactionJob, EngineFile, FoldedBucket, FoldedFile } from "./compact_engine.ts";
import { type DataFile, fileKey } from "./manifest.ts";
import type { TableMetadata } from "./metadata.ts";
import { type DeletedRows, encodeDeletes, encodeEqualityDeletes } from "./state_deletes.ts";
import { STATE_SORT_ORDER_ID } from "./state_schema.ts";
import { VectorFile } from "./state_vectors.ts";

/** How rows that are gone are told of in files that stay. */
export type DeleteForm = "positions" | "vectors" | "equality";

/** A file of vectors ends at about so many bytes. */
const VECTOR_BYTES = 16 * 1024 * 1024;

/** What a {@linkcode FoldWriter} is made with. */
export interface FoldWriterOptions {
  readonly catalogue: Catalogue;
  readonly random: Random;
  readonly table: string;
  readonly metadata: TableMetadata;
  readonly job: Pick<CompactionJob, "live" | "hidden" | "liveDeletes">;
  readonly form: DeleteForm;
  /** The keys of what was written go into it. */
  readonly made: string[];
  readonly signal: AbortSignal | undefined;
}

/** What becomes of a branch. */
export interface BranchChange {
  readonly added: DataFile[];
  /** The keys (see {@linkcode fileKey}) of files that are no part of it any more. */
  readonly removed: Set<string>;
}

/** Writes what an engine makes, and keeps account of what the snapshot adds and removes. */
export class FoldWriter {
  readonly #options: FoldWriterOptions;
  readonly #puts = new Puts();
  #vectors = new VectorFile();
  readonly live: BranchChange = { added: [], removed: new Set() };
  readonly hidden: BranchChange = { added: [], removed: new Set() };
  /** Buckets that changed. */
  buckets = 0;
  /** Bytes of what was written. */
  bytes = 0;

  constructor(options: FoldWriterOptions) {
    this.#options = options;
  }

  /** Takes a bucket; its files may still be on their way when it resolves. */
  async add(folded: FoldedBucket): Promise<Result<void>> {
    const { live, hidden, deleted, bucket } = folded;
    const { job } = this.#options;
    if (live !== undefined || hidden !== undefined) this.buckets++;
    if (live !== undefined && deleted === undefined) {
      this.#remove(this.live, job.live.get(bucket));
      this.#remove(this.live, job.liveDeletes.get(bucket));
    }
    if (hidden !== undefined) this.#remove(this.hidden, job.hidden.get(bucket));
    if (deleted !== undefined && deleted.ids.length > 0) {
      const done = await this.#delete(deleted, bucket);
      if (!done.ok) return done;
    }
    for (const [kind, files] of [["live", live ?? []], ["hidden", hidden ?? []]] as const) {
      for (const file of files) {
        const done = await this.#put(this[kind], file, { bucket, kind });
        if (!done.ok) return done;
      }
    }
    return ok(undefined);
  }

  /** Waits for all files. */
  async end(): Promise<Result<void>> {
    const vectors = await this.#endVectors();
    const puts = await this.#puts.end();
    return vectors.ok ? puts : vectors;
  }

  #remove({ removed }: BranchChange, files: readonly EngineFile[] | undefined): void {
    for (const { file } of files ?? []) removed.add(fileKey(file));
  }

  async #delete(rows: DeletedRows, bucket: number): Promise<Result<void>> {
    const { form, job } = this.#options;
    const kind = "deletes";
    switch (form) {
      case "positions":
        return await this.#put(this.live, encodeDeletes(rows.positions), {
          bucket,
          kind,
          about: { content: 1 },
        });
      case "equality": {
        const { file, field } = encodeEqualityDeletes(rows.ids);
        const about = { content: 2, equalityIds: [field] } as const;
        return await this.#put(this.live, file, { bucket, kind, about });
      }
      case "vectors": {
        for (const [path, positions] of rows.positions) {
          const before = rows.before.get(path) ?? [];
          this.#vectors.add({ path, bucket, positions: [...before, ...positions] });
          // A file has one vector at most: the new one has what the old one had.
          const old = (job.liveDeletes.get(bucket) ?? []).filter(({ file }) =>
            file.referencedDataFile === path && file.format === "PUFFIN"
          );
          this.#remove(this.live, old);
        }
        return this.#vectors.bytes < VECTOR_BYTES ? ok(undefined) : await this.#endVectors();
      }
    }
  }

  /** Puts the vectors so far, of all buckets, into one file. */
  async #endVectors(): Promise<Result<void>> {
    const vectors = this.#vectors;
    this.#vectors = new VectorFile();
    if (vectors.count === 0) return ok(undefined);
    const name = `data/deletes-${this.#options.random.uuid()}.puffin`;
    const { bytes, entries } = vectors.encode();
    const path = `${this.#options.metadata.location}/${name}`;
    for (const entry of entries) {
      this.live.added.push({ ...entry, path, bytes: BigInt(bytes.length) });
    }
    return await this.#putObject(name, bytes);
  }

  async #put(
    change: BranchChange,
    { bytes, rows, metrics }: FoldedFile,
    { bucket, kind, about }: {
      bucket: number;
      kind: "live" | "hidden" | "deletes";
      about?: Pick<DataFile, "content" | "equalityIds">;
    },
  ): Promise<Result<void>> {
    const { random, metadata } = this.#options;
    const name = `data/id_bucket=${bucket}/${kind}-${random.uuid()}.parquet`;
    change.added.push({
      path: `${metadata.location}/${name}`,
      partition: bucket,
      rows: BigInt(rows),
      bytes: BigInt(bytes.length),
      sortOrderId: kind === "deletes" ? null : STATE_SORT_ORDER_ID,
      ...about,
      ...metrics,
    });
    return await this.#putObject(name, bytes);
  }

  async #putObject(name: string, bytes: Uint8Array): Promise<Result<void>> {
    const { catalogue: { store }, table, signal, made } = this.#options;
    const key = `${table}/${name}`;
    made.push(key);
    this.bytes += bytes.length;
    const options = signal === undefined ? {} : { signal };
    return await this.#puts.add(() => store.put(key, bytes, options));
  }
}
