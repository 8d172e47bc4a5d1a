import type { ObjectStore } from "@lakesync/core";
import type { LakeField } from "./lake_schema.ts";
import type { DataFile } from "./manifest.ts";
import type { SchemaEntry } from "./metadata.ts";
import type { EncodedFile } from "./parquet.ts";
import type { DeletedRows } from "./state_deletes.ts";

/** A data file as a {@linkcode CompactionEngine} finds it. */
export interface EngineFile {
  /** Its key in the job's store. */
  readonly key: string;
  /** What a manifest says about it. */
  readonly file: DataFile;
  /** How new what it says is: deletes by id are for files with lower numbers. */
  readonly sequenceNumber: bigint;
}

/** A file that a {@linkcode CompactionEngine} made: sorted by `id`. */
export interface FoldedFile extends EncodedFile {
  /** How many rows it has. */
  readonly rows: number;
}

/** What a {@linkcode CompactionEngine} made of a bucket. */
export interface FoldedBucket {
  /** Which one. */
  readonly bucket: number;
  /** All its rows that show; undefined where they are as they were. With `deleted` only new ones. */
  readonly live: readonly FoldedFile[] | undefined;
  /** Where the bucket's files stay: the rows in them that are gone, besides those that were already. */
  readonly deleted?: DeletedRows;
  /** All its rows that do not show; undefined where they are as they were. */
  readonly hidden: readonly FoldedFile[] | undefined;
}

/** Changes and the rows that they are folded into. */
export interface CompactionJob {
  /** Where the files are. */
  readonly store: Pick<ObjectStore, "get">;
  /** The app's columns in the state table. */
  readonly columns: readonly LakeField[];
  /** The state table's schema, for the files' footers. */
  readonly schema: SchemaEntry;
  /** How many buckets there are. */
  readonly buckets: number;
  /** The changelog's new files. What they hold may be folded in already. */
  readonly changes: readonly EngineFile[];
  /** The field ids in the changelog of the app's columns, by their names in the app. */
  readonly changeFields: ReadonlyMap<string, number>;
  /** The files of the rows that show, by bucket. */
  readonly live: ReadonlyMap<number, readonly EngineFile[]>;
  /** The files of the rows that do not show, by bucket. */
  readonly hidden: ReadonlyMap<number, readonly EngineFile[]>;
  /** The files that tell which rows in `live` are gone already, by bucket. */
  readonly liveDeletes: ReadonlyMap<number, readonly EngineFile[]>;
  /** Whether it may leave a bucket's files as they are and tell which rows in them are gone. */
  readonly stays: boolean;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/**
 * Folds changes into rows by the protocol's merge, whichever way it does that: in memory that does not
 * grow with the table. It throws a `LakeSyncError` for what goes wrong with the store and a
 * `RangeError` for a damaged file.
 */
export interface CompactionEngine {
  /** What logs call it. */
  readonly name: string;
  /** The buckets with changes, each once. */
  fold(job: CompactionJob): AsyncIterable<FoldedBucket>;
}
