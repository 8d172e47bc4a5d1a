import { err, LakeSyncError, ok, type Result, type TableSchema } from "@lakesync/core";
import {
  evolveSchemaPlan,
  type IcebergField,
  lakeColumnName,
  newSchemaPlan,
  SCHEMA_PROPERTY,
  type SchemaPlan,
  schemaProperty,
  type TableLayout,
} from "./lake_schema.ts";
import { DAY_FIELD_ID } from "./manifest_schema.ts";
import { currentFields, type PartitionSpec, type TableMetadata } from "./metadata.ts";
import { presentSchema } from "./table.ts";

/** Ids of the columns that every state table has (docs/lake.md). */
export const STATE_FIELD = { id: 1, hlc: 2, clientId: 3, stamps: 4 } as const;

/** The columns that every state table has. */
export const STATE_FIELDS: readonly IcebergField[] = [
  { id: STATE_FIELD.id, name: "id", required: true, type: "string" },
  { id: STATE_FIELD.hlc, name: "_hlc", required: true, type: "long" },
  { id: STATE_FIELD.clientId, name: "_client_id", required: true, type: "string" },
  { id: STATE_FIELD.stamps, name: "_stamps", required: false, type: "string" },
];

/** Of state tables. */
export const STATE_LAYOUT: TableLayout = {
  own: STATE_FIELDS,
  nameOf: (column) => /^_+stamps$/i.test(column) ? `_${column}` : lakeColumnName(column),
};

/** Which table it is: the rows of an app's table. */
export const KIND_PROPERTY = "lakesync.kind";

const BUCKET_TRANSFORM = /^bucket\[([1-9][0-9]{0,5})\]$/;

/** The branch of the rows that do not show: of deleted ones, and of those that only UPDATEs know. */
export const HIDDEN_BRANCH = "lakesync_hidden";

/** The sort order of a state table's files: by `id`. */
export const STATE_SORT_ORDER_ID = 1;

/** The metadata of a state table without any version yet. */
export function emptyState(
  plan: SchemaPlan,
  { buckets, uuid, now }: { buckets: number; uuid: string; now: number },
): TableMetadata {
  const field = {
    "source-id": STATE_FIELD.id,
    "field-id": DAY_FIELD_ID,
    name: "id_bucket",
    transform: `bucket[${buckets}]`,
  };
  const sorting = {
    transform: "identity",
    "source-id": STATE_FIELD.id,
    direction: "asc",
    "null-order": "nulls-first",
  };
  return {
    "format-version": 2,
    "table-uuid": uuid,
    location: "",
    "last-sequence-number": 0n,
    "last-updated-ms": now,
    "last-column-id": plan.lastColumnId,
    schemas: [{ type: "struct", "schema-id": 0, fields: plan.fields }],
    "current-schema-id": 0,
    "partition-specs": [{ "spec-id": 0, fields: [field] }],
    "default-spec-id": 0,
    "last-partition-id": DAY_FIELD_ID,
    "sort-orders": [{ "order-id": STATE_SORT_ORDER_ID, fields: [sorting] }],
    "default-sort-order-id": STATE_SORT_ORDER_ID,
    properties: { [SCHEMA_PROPERTY]: schemaProperty(plan.schema), [KIND_PROPERTY]: "state" },
    snapshots: [],
    "snapshot-log": [],
    "metadata-log": [],
  };
}

/** A state table's partitions; `CONFLICT` where it has others than LakeSync made it with. */
export function bucketSpec(
  table: string,
  metadata: TableMetadata,
): Result<{ readonly spec: PartitionSpec; readonly buckets: number }> {
  const id = metadata["default-spec-id"];
  const spec = metadata["partition-specs"].find((one) => one["spec-id"] === id);
  const field = spec?.fields[0];
  const buckets = Number(BUCKET_TRANSFORM.exec(field?.transform ?? "")?.[1]);
  if (
    metadata.properties[KIND_PROPERTY] === "state" && spec?.fields.length === 1 &&
    field?.["source-id"] === STATE_FIELD.id && buckets > 0
  ) return ok({ spec, buckets });
  return err(
    new LakeSyncError(
      "CONFLICT",
      `Cannot compact into "${table}": it is no state table by buckets of id; move the table away`,
    ),
  );
}

/** The schema that a state table has, grown to that of its changelog. */
export function statePlan(
  table: string,
  metadata: TableMetadata | undefined,
  schema: TableSchema,
): Result<SchemaPlan> {
  if (metadata === undefined) return ok(newSchemaPlan(schema, STATE_LAYOUT));
  const present = presentSchema(table, metadata);
  if (!present.ok) return present;
  return evolveSchemaPlan(
    {
      fields: currentFields(metadata),
      schema: present.value,
      lastColumnId: metadata["last-column-id"],
    },
    schema,
    STATE_LAYOUT,
  );
}
