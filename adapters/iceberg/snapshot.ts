import { LakeSyncError, type Random, type TableSchema, type Watermark } from "@lakesync/core";
import { err, ok, type Result } from "@lakesync/core";
import {
  BATCH_PROPERTY,
  currentSnapshot,
  type PartitionSpec,
  type SchemaEntry,
  type Snapshot,
  type TableMetadata,
  watermarkProperties,
} from "./metadata.ts";
import { FIELD, SCHEMA_PROPERTY, type SchemaPlan, schemaProperty } from "./lake_schema.ts";
import { DAY_FIELD, DAY_FIELD_ID } from "./manifest_schema.ts";

/** How many snapshots a table's metadata remembers. */
export const REMEMBERED_VERSIONS = 20;

/** So many earlier metadata files are remembered: each tells of the same snapshots once more. */
export const REMEMBERED_FILES = 10;

const DAY_SPEC: PartitionSpec = {
  "spec-id": 0,
  fields: [
    {
      "source-id": FIELD.commitTs,
      "field-id": DAY_FIELD_ID,
      name: DAY_FIELD,
      transform: "day",
    },
  ],
};

/** The sort order of a changelog's files: by `id`, then `_hlc`. */
export const SORT_ORDER_ID = 1;

const SORT_ORDER = {
  "order-id": SORT_ORDER_ID,
  fields: [FIELD.id, FIELD.hlc].map((id) => ({
    transform: "identity",
    "source-id": id,
    direction: "asc",
    "null-order": "nulls-first",
  })),
};

/** The metadata of a table without any version yet, and without a location. */
export function emptyMetadata(
  plan: SchemaPlan,
  { uuid, now }: { uuid: string; now: number },
): TableMetadata {
  return {
    "format-version": 2,
    "table-uuid": uuid,
    location: "",
    "last-sequence-number": 0n,
    "last-updated-ms": now,
    "last-column-id": plan.lastColumnId,
    schemas: [{ type: "struct", "schema-id": 0, fields: plan.fields }],
    "current-schema-id": 0,
    "partition-specs": [DAY_SPEC],
    "default-spec-id": DAY_SPEC["spec-id"],
    "last-partition-id": DAY_FIELD_ID,
    "sort-orders": [SORT_ORDER],
    "default-sort-order-id": SORT_ORDER_ID,
    properties: { [SCHEMA_PROPERTY]: schemaProperty(plan.schema) },
    snapshots: [],
    "snapshot-log": [],
    "metadata-log": [],
  };
}

/** The metadata with the plan's schema as the current one. */
export function withSchema(metadata: TableMetadata, plan: SchemaPlan): TableMetadata {
  const property = schemaProperty(plan.schema);
  const known = metadata.properties[SCHEMA_PROPERTY] === property;
  const properties = known
    ? metadata.properties
    : { ...metadata.properties, [SCHEMA_PROPERTY]: property };
  if (plan.lastColumnId === metadata["last-column-id"]) return { ...metadata, properties };
  const id = Math.max(...metadata.schemas.map((schema) => schema["schema-id"])) + 1;
  return {
    ...metadata,
    properties,
    schemas: [...metadata.schemas, { type: "struct", "schema-id": id, fields: plan.fields }],
    "current-schema-id": id,
    "last-column-id": plan.lastColumnId,
  };
}

/** The current schema. */
export function schemaEntry(metadata: TableMetadata): SchemaEntry {
  const id = metadata["current-schema-id"];
  const found = metadata.schemas.find((schema) => schema["schema-id"] === id);
  // Only these three: other engines take fault with what they do not know.
  return { type: "struct", "schema-id": id, fields: found?.fields ?? [] };
}

/** The partitions that LakeSync writes by; `CONFLICT` where the table has no such. */
export function daySpec(metadata: TableMetadata): Result<PartitionSpec> {
  const spec = metadata["partition-specs"].find(({ fields }) => {
    const field = fields[0];
    return fields.length === 1 && field?.["source-id"] === FIELD.commitTs &&
      field.transform === "day" && field.name === DAY_FIELD && field["field-id"] === DAY_FIELD_ID;
  });
  if (metadata["format-version"] !== 2) {
    return err(
      new LakeSyncError(
        "CONFLICT",
        `Cannot write to "${metadata.location}": a changelog is a table of format version 2, and somebody made it one of ${
          metadata["format-version"]
        }; move the table away`,
      ),
    );
  }
  if (spec !== undefined) return ok(spec);
  return err(
    new LakeSyncError(
      "CONFLICT",
      `Cannot write to "${metadata.location}": it has no partitions by day of _commit_ts any more; move the table away or bring them back`,
    ),
  );
}

/** What a snapshot adds to a table. */
export interface Addition {
  /** The snapshot's id. */
  readonly snapshotId: bigint;
  /** Its manifest list's URL. */
  readonly manifestList: string;
  /** The batch that it is of. */
  readonly batchId: string;
  /** How far the table is with it. */
  readonly watermark: Watermark;
  /** Data files. */
  readonly files: number;
  /** Rows in them. */
  readonly rows: bigint;
  /** Their bytes. */
  readonly bytes: bigint;
  /** How many days they are of. */
  readonly partitions: number;
}

/** The metadata with one more snapshot as the current one. */
export function withSnapshot(
  metadata: TableMetadata,
  addition: Addition,
  now: number,
): TableMetadata {
  const parent = currentSnapshot(metadata);
  const at = Math.max(now, metadata["last-updated-ms"]);
  const sequenceNumber = metadata["last-sequence-number"] + 1n;
  const snapshot: Snapshot = {
    "snapshot-id": addition.snapshotId,
    ...(parent !== undefined && { "parent-snapshot-id": parent["snapshot-id"] }),
    "sequence-number": sequenceNumber,
    "timestamp-ms": at,
    "manifest-list": addition.manifestList,
    summary: summaryOf(addition, parent),
    "schema-id": metadata["current-schema-id"],
  };
  const refs = {
    ...metadata.refs,
    main: { "snapshot-id": addition.snapshotId, type: "branch" },
  };
  const snapshots = remembered([...metadata.snapshots, snapshot], refs);
  const ids = new Set(snapshots.map((one) => one["snapshot-id"]));
  const log = [
    ...metadata["snapshot-log"],
    { "timestamp-ms": at, "snapshot-id": addition.snapshotId },
  ];
  return {
    ...metadata,
    "last-sequence-number": sequenceNumber,
    "last-updated-ms": at,
    "current-snapshot-id": addition.snapshotId,
    refs,
    snapshots,
    "snapshot-log": log.filter((entry) => ids.has(entry["snapshot-id"])),
  };
}

/** The newest snapshots, and those that a branch or tag names. */
function remembered(
  snapshots: readonly Snapshot[],
  refs: NonNullable<TableMetadata["refs"]>,
): Snapshot[] {
  const named = new Set(Object.values(refs).map((ref) => ref["snapshot-id"]));
  const first = snapshots.length - REMEMBERED_VERSIONS;
  return snapshots.filter((snapshot, i) => i >= first || named.has(snapshot["snapshot-id"]));
}

function summaryOf(addition: Addition, parent: Snapshot | undefined): Snapshot["summary"] {
  const summary: { [key: string]: string } = {
    operation: "append",
    "added-data-files": String(addition.files),
    "added-records": String(addition.rows),
    "added-files-size": String(addition.bytes),
    "changed-partition-count": String(addition.partitions),
    ...watermarkProperties(addition.watermark),
    [BATCH_PROPERTY]: addition.batchId,
  };
  const total = (name: string, added: bigint): void => {
    const before = parent === undefined ? "0" : parent.summary[name];
    if (before !== undefined && /^\d+$/.test(before)) {
      summary[name] = String(BigInt(before) + added);
    }
  };
  total("total-records", addition.rows);
  total("total-files-size", addition.bytes);
  total("total-data-files", BigInt(addition.files));
  total("total-delete-files", 0n);
  total("total-position-deletes", 0n);
  total("total-equality-deletes", 0n);
  return summary;
}

/** A random id for a snapshot: 63 bits, not 0. */
export function newSnapshotId(random: Random): bigint {
  const bytes = random.bytes(8);
  const id = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
  return (id & 0x7fff_ffff_ffff_ffffn) || 1n;
}

/** A table's name in the lake. */
export function changesTable(schema: Pick<TableSchema, "table">): string {
  return `${schema.table}_changes`;
}
