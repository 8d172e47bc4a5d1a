import { err, LakeSyncError, ok, type Result, type Watermark } from "@lakesync/core";
import { type Json64, parseJson64, stringifyJson64 } from "./json64.ts";
import type { IcebergField } from "./lake_schema.ts";

/**
 * A table's metadata file, of format version 2 or 3, as far as LakeSync looks into it. What others wrote
 * beside it is kept.
 *
 * @see {@link https://iceberg.apache.org/spec/#table-metadata-fields | Iceberg, Table metadata fields}
 */
export interface TableMetadata {
  /** Version 3 for a table of current rows with deletion vectors, else 2. */
  readonly "format-version": 2 | 3;
  /** Names the table for ever. */
  readonly "table-uuid": string;
  /** The URL that its files lie below. */
  readonly location: string;
  /** That of the newest snapshot. */
  readonly "last-sequence-number": bigint;
  /** The id that the next new row gets, in version 3. */
  readonly "next-row-id"?: bigint;
  /** When it last changed, ms since the Unix epoch. */
  readonly "last-updated-ms": number;
  /** The greatest field id ever given. */
  readonly "last-column-id": number;
  /** Every schema that it had. */
  readonly schemas: readonly SchemaEntry[];
  /** The one of now. */
  readonly "current-schema-id": number;
  /** Every way in which it was partitioned. */
  readonly "partition-specs": readonly PartitionSpec[];
  /** The one of now. */
  readonly "default-spec-id": number;
  /** The greatest id of a partition field ever given. */
  readonly "last-partition-id": number;
  /** Every order that its files had; not looked into. */
  readonly "sort-orders": readonly Json64[];
  /** The one of now. */
  readonly "default-sort-order-id": number;
  /** What its owners write beside it. */
  readonly properties: { readonly [key: string]: string };
  /** What readers read; undefined for an empty table. */
  readonly "current-snapshot-id"?: bigint;
  /** Its branches and tags. */
  readonly refs?: { readonly [name: string]: SnapshotRef };
  /** The states that can still be read. */
  readonly snapshots: readonly Snapshot[];
  /** Which of them were current when. */
  readonly "snapshot-log": readonly SnapshotLogEntry[];
  /** Its earlier metadata files. */
  readonly "metadata-log": readonly MetadataLogEntry[];
}

/** One of a table's schemas. */
export interface SchemaEntry {
  /** A schema is a struct. */
  readonly type: "struct";
  /** Its id. */
  readonly "schema-id": number;
  /** Its columns. */
  readonly fields: readonly IcebergField[];
}

/** How a table is partitioned. */
export interface PartitionSpec {
  /** Its id. */
  readonly "spec-id": number;
  /** Its parts. */
  readonly fields: readonly PartitionField[];
}

/** A part of a partition. */
export interface PartitionField {
  /** The column that it is made from. */
  readonly "source-id": number;
  /** Its own id. */
  readonly "field-id": number;
  /** Its name. */
  readonly name: string;
  /** How: `day`, `bucket[16]`. */
  readonly transform: string;
}

/** A state of a table. */
export interface Snapshot {
  /** The snapshot. */
  readonly "snapshot-id": bigint;
  /** The one before it. */
  readonly "parent-snapshot-id"?: bigint;
  /** Rises with each snapshot of the table. */
  readonly "sequence-number": bigint;
  /** When, ms since the Unix epoch. */
  readonly "timestamp-ms": number;
  /** The URL of the list of its manifests. */
  readonly "manifest-list": string;
  /** What made it, and facts about it. */
  readonly summary: { readonly [key: string]: string };
  /** The schema that it was written by. */
  readonly "schema-id"?: number;
  /** The id of its first new row, in version 3. */
  readonly "first-row-id"?: bigint;
  /** How many rows got an id, in version 3. */
  readonly "added-rows"?: bigint;
}

/** A branch or a tag. */
export interface SnapshotRef {
  /** The snapshot. */
  readonly "snapshot-id": bigint;
  /** `branch` or `tag`. */
  readonly type: string;
}

/** When a snapshot became the current one. */
export interface SnapshotLogEntry {
  /** When, ms since the Unix epoch. */
  readonly "timestamp-ms": number;
  /** The snapshot. */
  readonly "snapshot-id": bigint;
}

/** When a metadata file was replaced. */
export interface MetadataLogEntry {
  /** When, ms since the Unix epoch. */
  readonly "timestamp-ms": number;
  /** Its URL. */
  readonly "metadata-file": string;
}

/** Reads a metadata file; `CORRUPT` with the reason where it is none of version 2 or 3. */
export function parseMetadata(bytes: Uint8Array): Result<TableMetadata> {
  let value: Json64;
  try {
    value = parseJson64(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    return err(new LakeSyncError("CORRUPT", "it is no JSON", { cause }));
  }
  return metadataOf(value);
}

/** What a metadata file's JSON says; `CORRUPT` with the reason where it is none of version 2 or 3. */
export function metadataOf(value: Json64): Result<TableMetadata> {
  const fault = metadataFault(value);
  if (fault !== undefined) return err(new LakeSyncError("CORRUPT", fault));
  return ok(normalise(value as unknown as TableMetadata));
}

/** The bytes of a metadata file. */
export function metadataBytes(metadata: TableMetadata): Uint8Array {
  return new TextEncoder().encode(stringifyJson64(metadata as unknown as Json64));
}

/** The current snapshot, or undefined for an empty table. */
export function currentSnapshot(metadata: TableMetadata): Snapshot | undefined {
  return snapshotById(metadata, metadata["current-snapshot-id"]);
}

/** A snapshot that the metadata still knows. */
export function snapshotById(
  metadata: TableMetadata,
  id: bigint | undefined,
): Snapshot | undefined {
  if (id === undefined) return undefined;
  return metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] === id);
}

/** The current snapshot and those before it, newest first. */
export function* ancestry(metadata: TableMetadata): Generator<Snapshot> {
  const seen = new Set<bigint>();
  let snapshot = currentSnapshot(metadata);
  while (snapshot !== undefined && !seen.has(snapshot["snapshot-id"])) {
    seen.add(snapshot["snapshot-id"]);
    yield snapshot;
    snapshot = snapshotById(metadata, snapshot["parent-snapshot-id"]);
  }
}

/** The current schema's columns. */
export function currentFields(metadata: TableMetadata): readonly IcebergField[] {
  const id = metadata["current-schema-id"];
  return metadata.schemas.find((schema) => schema["schema-id"] === id)?.fields ?? [];
}

/** Where a snapshot says how far the table is. */
export const EPOCH_PROPERTY = "lakesync.epoch";
/** Where a snapshot says how far the table is. */
export const SEQ_PROPERTY = "lakesync.seq";
/** Where a snapshot says which log that is of. */
export const HASH_PROPERTY = "lakesync.hash";
/** Where a snapshot names the batch that made it. */
export const BATCH_PROPERTY = "lakesync.batch-id";

/** The newest watermark in the ancestry of the current snapshot. */
export function watermarkOf(metadata: TableMetadata): Watermark | undefined {
  for (const { summary } of ancestry(metadata)) {
    const epoch = summary[EPOCH_PROPERTY];
    const seq = Number(summary[SEQ_PROPERTY] ?? Number.NaN);
    if (epoch === undefined || !Number.isSafeInteger(seq)) continue;
    const hash = summary[HASH_PROPERTY];
    return { epoch, seq, ...(hash !== undefined && { hash }) };
  }
  return undefined;
}

/** A watermark as a snapshot's summary has it. */
export function watermarkProperties(
  { epoch, seq, hash }: Watermark,
): { readonly [property: string]: string } {
  return {
    [EPOCH_PROPERTY]: epoch,
    [SEQ_PROPERTY]: String(seq),
    ...(hash !== undefined && { [HASH_PROPERTY]: hash }),
  };
}

/** Whether two watermarks are the same place. */
export function sameWatermark(a: Watermark | undefined, b: Watermark | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.epoch === b.epoch && a.seq === b.seq;
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === "string";
const isNumber: Check = (value) => Number.isSafeInteger(value);
const isInteger: Check = (value) => typeof value === "bigint" || Number.isSafeInteger(value);
const isList: Check = (value) => Array.isArray(value);
const isObject: Check = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const optional = (check: Check): Check => (value) => value === undefined || check(value);
const listOf = (checks: readonly (readonly [string, Check])[]): Check => (value) =>
  Array.isArray(value) &&
  value.every((item: unknown) => isObject(item) && faultOf(item as object, checks) === undefined);

const CHECKS: readonly (readonly [string, Check])[] = [
  ["table-uuid", isText],
  ["location", isText],
  ["last-sequence-number", isInteger],
  ["next-row-id", optional(isInteger)],
  ["last-updated-ms", isNumber],
  ["last-column-id", isNumber],
  ["schemas", listOf([["schema-id", isNumber], ["fields", isList]])],
  ["current-schema-id", isNumber],
  ["partition-specs", listOf([["spec-id", isNumber], ["fields", isList]])],
  ["default-spec-id", isNumber],
  ["last-partition-id", isNumber],
  ["sort-orders", isList],
  ["default-sort-order-id", isNumber],
  ["properties", optional(isObject)],
  ["current-snapshot-id", optional((value) => value === null || isInteger(value))],
  [
    "refs",
    optional((value) =>
      isObject(value) &&
      listOf([["snapshot-id", isInteger], ["type", isText]])(Object.values(value as object))
    ),
  ],
  [
    "snapshots",
    optional(listOf([
      ["snapshot-id", isInteger],
      ["parent-snapshot-id", optional((value) => value === null || isInteger(value))],
      ["sequence-number", isInteger],
      ["timestamp-ms", isNumber],
      ["manifest-list", isText],
      ["summary", isObject],
    ])),
  ],
  ["snapshot-log", optional(listOf([["timestamp-ms", isNumber], ["snapshot-id", isInteger]]))],
  ["metadata-log", optional(listOf([["timestamp-ms", isNumber], ["metadata-file", isText]]))],
];

function metadataFault(value: Json64): string | undefined {
  if (!isObject(value)) return "it is no object";
  const version = own(value as object, "format-version");
  if (version !== 2 && version !== 3) {
    return `its format-version is ${String(version)}, only 2 and 3 are written here`;
  }
  const field = faultOf(value as object, CHECKS);
  return field === undefined ? undefined : `its field "${field}" is missing or malformed`;
}

function faultOf(value: object, checks: readonly (readonly [string, Check])[]): string | undefined {
  return checks.find(([name, check]) => !check(own(value, name)))?.[0];
}

function own(value: object, name: string): unknown {
  return Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

/** Ids become bigints whatever their size; -1 and null stand for no snapshot. */
function normalise(metadata: TableMetadata): TableMetadata {
  const { "current-snapshot-id": current, ...rest } = metadata;
  const known = current !== undefined && current !== null && BigInt(current) !== -1n;
  return {
    ...rest,
    "last-sequence-number": BigInt(metadata["last-sequence-number"]),
    ...(metadata["format-version"] === 3 &&
      { "next-row-id": BigInt(metadata["next-row-id"] ?? 0n) }),
    properties: metadata.properties ?? {},
    ...(metadata.refs !== undefined && {
      refs: Object.fromEntries(
        Object.entries(metadata.refs).map(([name, ref]) => [
          name,
          { ...ref, "snapshot-id": BigInt(ref["snapshot-id"]) },
        ]),
      ),
    }),
    ...(known && { "current-snapshot-id": BigInt(current) }),
    snapshots: (metadata.snapshots ?? []).map((snapshot) => {
      const { "parent-snapshot-id": parent, ...others } = snapshot;
      const { "first-row-id": first, "added-rows": rows } = snapshot;
      return {
        ...others,
        "snapshot-id": BigInt(snapshot["snapshot-id"]),
        "sequence-number": BigInt(snapshot["sequence-number"]),
        ...(parent !== undefined && parent !== null && { "parent-snapshot-id": BigInt(parent) }),
        ...(first !== undefined && { "first-row-id": BigInt(first) }),
        ...(rows !== undefined && { "added-rows": BigInt(rows) }),
      };
    }),
    "snapshot-log": (metadata["snapshot-log"] ?? []).map((entry) => ({
      ...entry,
      "snapshot-id": BigInt(entry["snapshot-id"]),
    })),
    "metadata-log": metadata["metadata-log"] ?? [],
  };
}
