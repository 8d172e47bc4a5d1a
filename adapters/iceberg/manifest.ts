import type { AvroRecord, AvroValue } from "./avro.ts";
import { type AvroFile, decodeAvroFile, encodeAvroFile } from "./avro_file.ts";
import { intBound } from "./bounds.ts";
import { entrySchema, LIST_SCHEMA } from "./manifest_schema.ts";
import type { PartitionField, PartitionSpec, SchemaEntry } from "./metadata.ts";

/**
 * Manifests and manifest lists of format version 2.
 *
 * @see {@link https://iceberg.apache.org/spec/#manifests | Iceberg, Manifests}
 */

/** Whether a manifest's entry is there from before (0), new (1) or gone (2). */
export type EntryStatus = 0 | 1 | 2;

/** A data file, or a file of positions of deleted rows. */
export interface DataFile {
  /**
   * 0: rows; 1: positions of deleted rows.
   *
   * @default {0}
   */
  readonly content?: 0 | 1;
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
}

/** What a manifest's header says. */
export interface ManifestHeader {
  /** The table's schema. */
  readonly schema: SchemaEntry;
  /** The table's partitions. */
  readonly spec: PartitionSpec;
}

/** The bytes of a manifest, of data files or of delete files. */
export function encodeManifest(
  entries: readonly ManifestEntry[],
  { schema, spec, sync }: ManifestHeader & { readonly sync: Uint8Array },
): Uint8Array {
  const field = spec.fields[0];
  if (field === undefined) throw new TypeError("Cannot encode a manifest: it has no partitions");
  const metadata = new Map([
    ["schema", JSON.stringify(schema)],
    ["schema-id", String(schema["schema-id"])],
    ["partition-spec", JSON.stringify(spec.fields)],
    ["partition-spec-id", String(spec["spec-id"])],
    ["format-version", "2"],
    ["content", contentOf(entries) === 0 ? "data" : "deletes"],
  ]);
  return encodeAvroFile(
    {
      schema: entrySchema(field),
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
  },
): Uint8Array {
  const metadata = new Map([
    ["snapshot-id", String(about.snapshotId)],
    ["parent-snapshot-id", String(about.parentId ?? null)],
    ["sequence-number", String(about.sequenceNumber)],
    ["format-version", "2"],
  ]);
  return encodeAvroFile(
    { schema: LIST_SCHEMA, metadata, records: manifests.map(infoRecord) },
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
  return entries[0]?.file.content ?? 0;
}

function guarded<T>(read: () => T, file: AvroFile): T {
  try {
    return read();
  } catch (cause) {
    const has = JSON.stringify(file.schema).slice(0, 80);
    throw new RangeError(`its records are not Iceberg's: ${has}`, { cause });
  }
}

function entryRecord(entry: ManifestEntry, field: PartitionField): AvroRecord {
  const { file } = entry;
  return {
    status: entry.status,
    snapshot_id: entry.snapshotId,
    sequence_number: entry.sequenceNumber,
    file_sequence_number: entry.fileSequenceNumber,
    data_file: {
      content: file.content ?? 0,
      file_path: file.path,
      file_format: "PARQUET",
      partition: { [field.name]: file.partition },
      record_count: file.rows,
      file_size_in_bytes: file.bytes,
      column_sizes: pairs(file.columnSizes),
      value_counts: pairs(file.valueCounts),
      null_value_counts: pairs(file.nullCounts),
      lower_bounds: pairs(file.lowerBounds),
      upper_bounds: pairs(file.upperBounds),
      split_offsets: file.splitOffsets,
      sort_order_id: file.sortOrderId,
    },
  };
}

function recordEntry(record: AvroRecord): ManifestEntry {
  const file = record.data_file as AvroRecord;
  const format = String(file.file_format).toUpperCase();
  if (format !== "PARQUET") throw new RangeError(`a data file is ${format}`);
  return {
    status: record.status as EntryStatus,
    snapshotId: (record.snapshot_id ?? null) as bigint | null,
    sequenceNumber: (record.sequence_number ?? null) as bigint | null,
    fileSequenceNumber: (record.file_sequence_number ?? null) as bigint | null,
    file: {
      ...(file.content === 1 && { content: 1 as const }),
      path: text(file.file_path),
      partition: (Object.values(file.partition as AvroRecord)[0] ?? null) as number | null,
      rows: long(file.record_count),
      bytes: long(file.file_size_in_bytes),
      columnSizes: unpairs(file.column_sizes),
      valueCounts: unpairs(file.value_counts),
      nullCounts: unpairs(file.null_value_counts),
      lowerBounds: unpairs(file.lower_bounds),
      upperBounds: unpairs(file.upper_bounds),
      splitOffsets: (file.split_offsets ?? []) as readonly bigint[],
      sortOrderId: (file.sort_order_id ?? null) as number | null,
    },
  };
}

function infoRecord(info: ManifestInfo): AvroRecord {
  return {
    manifest_path: info.path,
    manifest_length: info.length,
    partition_spec_id: info.specId,
    content: info.content,
    sequence_number: info.sequenceNumber,
    min_sequence_number: info.minSequenceNumber,
    added_snapshot_id: info.addedSnapshotId,
    added_files_count: info.addedFiles,
    existing_files_count: info.existingFiles,
    deleted_files_count: info.deletedFiles,
    added_rows_count: info.addedRows,
    existing_rows_count: info.existingRows,
    deleted_rows_count: info.deletedRows,
    partitions: info.partitions === undefined ? null : [
      {
        contains_null: false,
        lower_bound: info.partitions.min,
        upper_bound: info.partitions.max,
      },
    ],
  };
}

function recordInfo(record: AvroRecord): ManifestInfo {
  const summary = (record.partitions as readonly AvroRecord[] | null)?.[0];
  const min = summary?.lower_bound as Uint8Array | null | undefined;
  const max = summary?.upper_bound as Uint8Array | null | undefined;
  return {
    path: text(record.manifest_path),
    length: long(record.manifest_length),
    specId: record.partition_spec_id as number,
    content: (record.content ?? 0) as number,
    sequenceNumber: long(record.sequence_number ?? 0n),
    minSequenceNumber: long(record.min_sequence_number ?? 0n),
    addedSnapshotId: long(record.added_snapshot_id),
    addedFiles: (record.added_files_count ?? 0) as number,
    existingFiles: (record.existing_files_count ?? 0) as number,
    deletedFiles: (record.deleted_files_count ?? 0) as number,
    addedRows: long(record.added_rows_count ?? 0n),
    existingRows: long(record.existing_rows_count ?? 0n),
    deletedRows: long(record.deleted_rows_count ?? 0n),
    partitions: min && max ? { min, max } : undefined,
  };
}

function pairs(map: ReadonlyMap<number, AvroValue>): AvroValue {
  return [...map].map(([key, value]) => ({ key, value }));
}

function unpairs<T>(value: AvroValue | undefined): ReadonlyMap<number, T> {
  const items = (value ?? []) as readonly { readonly key: number; readonly value: T }[];
  return new Map(items.map(({ key, value }) => [key, value]));
}

function text(value: AvroValue | undefined): string {
  if (typeof value !== "string") throw new RangeError("a path is no text");
  return value;
}

function long(value: AvroValue | undefined): bigint {
  if (typeof value !== "bigint") throw new RangeError("a number is missing");
  return value;
}
