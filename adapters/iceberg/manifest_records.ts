import type { AvroRecord, AvroValue } from "./avro.ts";
import type { EntryStatus, ManifestEntry, ManifestInfo } from "./manifest.ts";
import type { PartitionField } from "./metadata.ts";

/** An entry as a manifest's record. */
export function entryRecord(entry: ManifestEntry, field: PartitionField): AvroRecord {
  const { file } = entry;
  return {
    status: entry.status,
    snapshot_id: entry.snapshotId,
    sequence_number: entry.sequenceNumber,
    file_sequence_number: entry.fileSequenceNumber,
    data_file: {
      content: file.content ?? 0,
      file_path: file.path,
      file_format: file.format ?? "PARQUET",
      partition: { [field.name]: file.partition },
      record_count: file.rows,
      file_size_in_bytes: file.bytes,
      column_sizes: pairs(file.columnSizes),
      value_counts: pairs(file.valueCounts),
      null_value_counts: pairs(file.nullCounts),
      lower_bounds: pairs(file.lowerBounds),
      upper_bounds: pairs(file.upperBounds),
      split_offsets: file.splitOffsets,
      equality_ids: file.equalityIds ?? null,
      sort_order_id: file.sortOrderId,
      first_row_id: file.firstRowId ?? null,
      referenced_data_file: file.referencedDataFile ?? null,
      content_offset: file.contentOffset ?? null,
      content_size_in_bytes: file.contentSize ?? null,
    },
  };
}

/** A manifest's record as an entry; throws `RangeError` where it is none. */
export function recordEntry(record: AvroRecord): ManifestEntry {
  const file = record.data_file as AvroRecord;
  const format = String(file.file_format).toUpperCase();
  if (format !== "PARQUET" && format !== "PUFFIN") throw new RangeError(`a data file is ${format}`);
  const { content, equality_ids, first_row_id, referenced_data_file } = file;
  const { content_offset, content_size_in_bytes } = file;
  return {
    status: record.status as EntryStatus,
    snapshotId: (record.snapshot_id ?? null) as bigint | null,
    sequenceNumber: (record.sequence_number ?? null) as bigint | null,
    fileSequenceNumber: (record.file_sequence_number ?? null) as bigint | null,
    file: {
      ...((content === 1 || content === 2) && { content }),
      ...(format === "PUFFIN" && { format }),
      ...(Array.isArray(equality_ids) && { equalityIds: equality_ids as readonly number[] }),
      ...(typeof first_row_id === "bigint" && { firstRowId: first_row_id }),
      ...(typeof referenced_data_file === "string" && { referencedDataFile: referenced_data_file }),
      ...(typeof content_offset === "bigint" && { contentOffset: content_offset }),
      ...(typeof content_size_in_bytes === "bigint" && { contentSize: content_size_in_bytes }),
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

/** A manifest as a record of a manifest list. */
export function infoRecord(info: ManifestInfo): AvroRecord {
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
    first_row_id: info.firstRowId ?? null,
  };
}

/** A record of a manifest list as a manifest; throws `RangeError` where it is none. */
export function recordInfo(record: AvroRecord): ManifestInfo {
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
    ...(typeof record.first_row_id === "bigint" && { firstRowId: record.first_row_id }),
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
