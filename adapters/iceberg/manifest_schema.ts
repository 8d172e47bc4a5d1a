import type { AvroField, AvroSchema } from "./avro.ts";
import type { PartitionField } from "./metadata.ts";

/**
 * The Avro schemas of manifests and manifest lists, of format versions 2 and 3.
 *
 * @see {@link https://iceberg.apache.org/spec/#manifests | Iceberg, Manifests}
 */

const optional = (type: AvroSchema): AvroSchema => ["null", type];

const intMap = (
  name: string,
  ids: { key: number; value: number },
  values: AvroSchema,
): AvroSchema => ({
  type: "array",
  logicalType: "map",
  items: {
    type: "record",
    name,
    fields: [
      { name: "key", type: "int", "field-id": ids.key },
      { name: "value", type: values, "field-id": ids.value },
    ],
  },
});

const field = (name: string, id: number, type: AvroSchema): AvroField => ({
  name,
  type,
  "field-id": id,
});
const nullable = (name: string, id: number, type: AvroSchema): AvroField => ({
  name,
  type: optional(type),
  "field-id": id,
  default: null,
});

/** The name of a changelog's one partition field. */
export const DAY_FIELD = "_commit_ts_day";
/** The id of a table's one partition field. */
export const DAY_FIELD_ID = 1000;

/** Of the entries of a manifest whose files have one partition field. */
export const entrySchema = (
  partition: PartitionField,
  { version, deletes }: { readonly version: 2 | 3; readonly deletes: boolean },
): AvroSchema => ({
  type: "record",
  name: "manifest_entry",
  fields: [
    field("status", 0, "int"),
    nullable("snapshot_id", 1, "long"),
    nullable("sequence_number", 3, "long"),
    nullable("file_sequence_number", 4, "long"),
    field("data_file", 2, {
      type: "record",
      name: "r2",
      fields: [
        field("content", 134, "int"),
        field("file_path", 100, "string"),
        field("file_format", 101, "string"),
        field("partition", 102, {
          type: "record",
          name: "r102",
          fields: [nullable(partition.name, partition["field-id"], partitionType(partition))],
        }),
        field("record_count", 103, "long"),
        field("file_size_in_bytes", 104, "long"),
        nullable("column_sizes", 108, intMap("k117_v118", { key: 117, value: 118 }, "long")),
        nullable("value_counts", 109, intMap("k119_v120", { key: 119, value: 120 }, "long")),
        nullable("null_value_counts", 110, intMap("k121_v122", { key: 121, value: 122 }, "long")),
        nullable("lower_bounds", 125, intMap("k126_v127", { key: 126, value: 127 }, "bytes")),
        nullable("upper_bounds", 128, intMap("k129_v130", { key: 129, value: 130 }, "bytes")),
        nullable("split_offsets", 132, { type: "array", items: "long", "element-id": 133 }),
        ...(deletes
          ? [nullable("equality_ids", 135, { type: "array", items: "int", "element-id": 136 })]
          : []),
        nullable("sort_order_id", 140, "int"),
        ...(version === 3
          ? [
            nullable("first_row_id", 142, "long"),
            nullable("referenced_data_file", 143, "string"),
            nullable("content_offset", 144, "long"),
            nullable("content_size_in_bytes", 145, "long"),
          ]
          : []),
      ],
    }),
  ],
});

const partitionType = ({ transform }: PartitionField): AvroSchema =>
  transform === "day" ? { type: "int", logicalType: "date" } : "int";

/** Of a manifest list's entries. */
export const listSchema = (version: 2 | 3): AvroSchema => ({
  type: "record",
  name: "manifest_file",
  fields: [
    field("manifest_path", 500, "string"),
    field("manifest_length", 501, "long"),
    field("partition_spec_id", 502, "int"),
    field("content", 517, "int"),
    field("sequence_number", 515, "long"),
    field("min_sequence_number", 516, "long"),
    field("added_snapshot_id", 503, "long"),
    field("added_files_count", 504, "int"),
    field("existing_files_count", 505, "int"),
    field("deleted_files_count", 506, "int"),
    field("added_rows_count", 512, "long"),
    field("existing_rows_count", 513, "long"),
    field("deleted_rows_count", 514, "long"),
    nullable("partitions", 507, {
      type: "array",
      "element-id": 508,
      items: {
        type: "record",
        name: "r508",
        fields: [
          field("contains_null", 509, "boolean"),
          nullable("contains_nan", 518, "boolean"),
          nullable("lower_bound", 510, "bytes"),
          nullable("upper_bound", 511, "bytes"),
        ],
      },
    }),
    ...(version === 3 ? [nullable("first_row_id", 520, "long")] : []),
  ],
});
