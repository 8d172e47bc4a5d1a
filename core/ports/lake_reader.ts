import type { Hlc } from "../hlc.ts";
import type { Result } from "../result.ts";
import type { ColumnType } from "../schema.ts";
import type { Watermark } from "./destination.ts";

/** A column of a lake table. */
export interface LakeColumn {
  /** Its Iceberg field id. */
  readonly fieldId: number;
  /** Its name. */
  readonly name: string;
  /** Its Iceberg type: `string`, `long`, `double`, `boolean`, `timestamptz`, `binary`. */
  readonly type: string;
}

/** A data file of a lake table. */
export interface LakeFile {
  /** Its URL, as the table's metadata has it. */
  readonly url: string;
  /** Its key in the lake's object store. */
  readonly key: string;
  /** How many rows it has. */
  readonly rows: number;
  /** Its size in bytes. */
  readonly bytes: number;
  /** The range of `_hlc` in it, as stamps; undefined where it is not known. */
  readonly hlc: { readonly min: Hlc; readonly max: Hlc } | undefined;
  /** Whether a row of this `id` may be in it; left out where that is not known. */
  readonly mayHave?: (id: string) => boolean;
  /** The range of `_commit_ts` in it, in µs since the Unix epoch; left out where it is not known. */
  readonly committed?: { readonly min: number; readonly max: number };
  /**
   * Reads which rows of the file are gone, whichever way the table tells of them: their places in the
   * file, from 0 on, each once, in no order. Who reads the file leaves these rows out. Left out where
   * no row is gone.
   *
   * `CORRUPT` where what tells of them is damaged, `STORAGE_ERROR`, `ABORTED`.
   */
  readonly gone?: (options?: { signal?: AbortSignal }) => Promise<Result<readonly number[]>>;
}

/** A lake table at one snapshot. */
export interface LakeScan {
  /** Its columns. */
  readonly columns: readonly LakeColumn[];
  /** The types that the user's columns have in LakeSync. */
  readonly types: ReadonlyMap<string, ColumnType>;
  /** Its data files. */
  readonly files: readonly LakeFile[];
  /** Its snapshot's id, or undefined for an empty table. */
  readonly snapshotId: bigint | undefined;
  /** How far it is. */
  readonly watermark: Watermark | undefined;
}

/** Options of {@linkcode LakeReader.scan}. */
export interface ScanOptions {
  /**
   * Read this snapshot.
   *
   * @default {undefined} the newest
   */
  readonly snapshotId?: bigint;
}

/** Reads a lake's tables. Table names are those of the lake: `todos_changes`. */
export interface LakeReader {
  /** The tables there are. */
  tables(): Promise<Result<readonly string[]>>;
  /** What to read for a table: `NOT_FOUND` where there is none. */
  scan(table: string, options?: ScanOptions): Promise<Result<LakeScan>>;
}
