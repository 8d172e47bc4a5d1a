import { type AvroFile, decodeAvroFile, encodeAvroFile } from "./avro_file.ts";
import { intBound } from "./bounds.ts";
import { entrySchema, listSchema } from "./manifest_schema.ts";
import { entryRecord, infoRecord, recordEntry, recordInfo } from "./manifest_records.ts";
import type { PartitionSpec, SchemaEntry } from "./metadata.ts";

/**
 * Manifests and manifest lists of format versions 2 and 3.
 *
 * @see {@link https://iceberg.apache.org/spec/#manifests | Iceberg, Manifests}
 */

/** Whether a manifest's entry is there from before (0), new (1) or gone (2). */
export type EntryStatus = 0 | 1 | 2;

/** A data file, or a file that tells which rows are gone. */
export interface DataFile {
  /**
   * 0: rows; 1: positions of rows that are gone; 2: ids of rows that are gone.
   *
   * @default {0}
   */
  readonly content?: 0 | 1 | 2;
  /**
   * Its form; positions may be a deletion vector within a Puffin file.
   *
   * @default {"PARQUET"}
   */
  readonly format?: "PARQUET" | "PUFFIN";
  /** Its URL. */
  readonly path: string;
  /**
   * Its partition, the value of the one partition field: a changelog's day of `_commit_ts` in days
   * since 1970, a state table's bucket.
   */
  readonly partition: number | null;
  /** How many rows it has. */
  readonly rows: bigint;
  /** Its size in bytes. */
  readonly bytes: bigint;
  /** Bytes of each column, by field id; so the following ones. */
  readonly columnSizes: ReadonlyMap<number, bigint>;
  /** Values of each column, nulls with them. */
  readonly valueCounts: ReadonlyMap<number, bigint>;
  /** Nulls of each column. */
  readonly nullCounts: ReadonlyMap<number, bigint>;
  /** What no value of the column is below. */
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>;
  /** What no value of the column is above. */
  readonly upperBounds: ReadonlyMap<number, Uint8Array>;
  /** Where its row groups begin. */
  readonly splitOffsets: readonly bigint[];
  /** How it is sorted. */
  readonly sortOrderId: number | null;
  /** By which columns' values rows are gone: their field ids. Of content 2 alone. */
  readonly equalityIds?: readonly number[];
  /** The URL of the data file that a deletion vector is of. */
  readonly referencedDataFile?: string;
  /** Where a deletion vector is in its file. */
  readonly contentOffset?: bigint;
  /** How long a deletion vector is. */
  readonly contentSize?: bigint;
  /** The id of a data file's first row, in format version 3. */
  readonly firstRowId?: bigint;
}

/** What tells a file, or a vector within one, from all others of a table. */
export function fileKey({ path, contentOffset }: DataFile): string {
  return contentOffset === undefined ? path : `${path}#${contentOffset}`;
}

/** A data file's entry in a manifest. */
export interface ManifestEntry {
  /** What became of it. */
  readonly status: EntryStatus;
  /** The snapshot that added it; null: the one that added the manifest. */
  readonly snapshotId: bigint | null;
  /** Its sequence number; null: that of the manifest. */
  readonly sequenceNumber: bigint | null;
  /** The file's sequence number; null: that of the manifest. */
  readonly fileSequenceNumber: bigint | null;
  /** The file. */
  readonly file: DataFile;
}

/** A manifest's entry in a manifest list. */
export interface ManifestInfo {
  /** Its URL. */
  readonly path: string;
  /** Its size in bytes. */
  readonly length: bigint;
  /** How it is partitioned. */
  readonly specId: number;
  /** 0: data, 1: deletes. */
  readonly content: number;
  /** When it was added. */
  readonly sequenceNumber: bigint;
  /** The least sequence number of its files. */
  readonly minSequenceNumber: bigint;
  /** The snapshot that added it. */
  readonly addedSnapshotId: bigint;
  /** Files and rows by status. */
  readonly addedFiles: number;
  readonly existingFiles: number;
  readonly deletedFiles: number;
  readonly addedRows: bigint;
  readonly existingRows: bigint;
  readonly deletedRows: bigint;
  /** The partitions that it has files of; undefined where that is not known. */
  readonly partitions: { readonly min: Uint8Array; readonly max: Uint8Array } | undefined;
  /** The id of its files' first row, in format version 3; left out where none was given. */
  readonly firstRowId?: bigint;
}

/** What a manifest's header says. */
export interface ManifestHeader {
  /** The table's schema. */
  readonly schema: SchemaEntry;
  /** The table's partitions. */
  readonly spec: PartitionSpec;
  /**
   * The table's format version.
   *
   * @default {2}
   */
  readonly version?: 2 | 3;
}

/** The bytes of a manifest, of data files or of delete files. */
export function encodeManifest(
  entries: readonly ManifestEntry[],
  { schema, spec, sync, version = 2 }: ManifestHeader & { readonly sync: Uint8Array },
): Uint8Array {
  const field = spec.fields[0];
  if (field === undefined) throw new TypeError("Cannot encode a manifest: it has no partitions");
  const metadata = new Map([
    ["schema", JSON.stringify(schema)],
    ["schema-id", String(schema["schema-id"])],
    ["partition-spec", JSON.stringify(spec.fields)],
    ["partition-spec-id", String(spec["spec-id"])],
    ["format-version", String(version)],
    ["content", contentOf(entries) === 0 ? "data" : "deletes"],
  ]);
  return encodeAvroFile(
    {
      schema: entrySchema(field, { version, deletes: contentOf(entries) === 1 }),
      metadata,
      records: entries.map((entry) => entryRecord(entry, field)),
    },
    sync,
  );
}

/** Reads a manifest. Throws `RangeError` where it is damaged. */
export async function decodeManifest(bytes: Uint8Array): Promise<ManifestEntry[]> {
  const file = await decodeAvroFile(bytes);
  return file.records.map((record) => guarded(() => recordEntry(record), file));
}

/** Counts and bounds of a manifest for the manifest list. */
export function manifestInfo(
  entries: readonly ManifestEntry[],
  about: {
    readonly path: string;
    readonly length: number;
    readonly specId: number;
    readonly snapshotId: bigint;
    readonly sequenceNumber: bigint;
  },
): ManifestInfo {
  const counts = [[0, 0n], [0, 0n], [0, 0n]] as [number, bigint][];
  let minSequenceNumber = about.sequenceNumber;
  let min: number | undefined;
  let max: number | undefined;
  for (const { status, sequenceNumber, file } of entries) {
    const count = counts[status]!;
    count[0]++;
    count[1] += file.rows;
    if (sequenceNumber !== null && sequenceNumber < minSequenceNumber) {
      minSequenceNumber = sequenceNumber;
    }
    if (file.partition === null) continue;
    if (min === undefined || file.partition < min) min = file.partition;
    if (max === undefined || file.partition > max) max = file.partition;
  }
  const [[existingFiles, existingRows], [addedFiles, addedRows], [deletedFiles, deletedRows]] =
    counts as [[number, bigint], [number, bigint], [number, bigint]];
  return {
    path: about.path,
    length: BigInt(about.length),
    specId: about.specId,
    content: contentOf(entries),
    sequenceNumber: about.sequenceNumber,
    minSequenceNumber,
    addedSnapshotId: about.snapshotId,
    addedFiles,
    existingFiles,
    deletedFiles,
    addedRows,
    existingRows,
    deletedRows,
    partitions: min === undefined || max === undefined
      ? undefined
      : { min: intBound(min), max: intBound(max) },
  };
}

/** The bytes of a manifest list. */
export function encodeManifestList(
  manifests: readonly ManifestInfo[],
  about: {
    readonly snapshotId: bigint;
    readonly parentId: bigint | undefined;
    readonly sequenceNumber: bigint;
    readonly sync: Uint8Array;
    /** The table's format version. @default {2} */
    readonly version?: 2 | 3;
  },
): Uint8Array {
  const { version = 2 } = about;
  const metadata = new Map([
    ["snapshot-id", String(about.snapshotId)],
    ["parent-snapshot-id", String(about.parentId ?? null)],
    ["sequence-number", String(about.sequenceNumber)],
    ["format-version", String(version)],
  ]);
  return encodeAvroFile(
    { schema: listSchema(version), metadata, records: manifests.map(infoRecord) },
    about.sync,
  );
}

/** Reads a manifest list. Throws `RangeError` where it is damaged. */
export async function decodeManifestList(bytes: Uint8Array): Promise<ManifestInfo[]> {
  const file = await decodeAvroFile(bytes);
  return file.records.map((record) => guarded(() => recordInfo(record), file));
}

/** Data and deletes are never mixed in a manifest. */
function contentOf(entries: readonly ManifestEntry[]): 0 | 1 {
  return (entries[0]?.file.content ?? 0) === 0 ? 0 : 1;
}

function guarded<T>(read: () => T, file: AvroFile): T {
  try {
    return read();
  } catch (cause) {
    const has = JSON.stringify(file.schema).slice(0, 80);
    throw new RangeError(`its records are not Iceberg's: ${has}`, { cause });
  }
}
