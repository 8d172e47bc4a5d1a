import { ByteWriter, type ColumnSource, ParquetWriter, type SchemaElement } from "hyparquet-writer";
import { CODEC, COMPRESSORS } from "./_compress.ts";
import { bigintRange, cellRange, lowerBound, type Range, textRange, upperBound } from "./_range.ts";
import type { Cell, RowColumns } from "./_rows.ts";
import { CHANGE_FIELDS, FIELD, type IcebergField, type LakeField } from "./lake_schema.ts";
import type { DataFile } from "./manifest.ts";
import type { SchemaEntry } from "./metadata.ts";

/** A data file's bytes and what a manifest says about them. */
export interface EncodedFile {
  /** The file. */
  readonly bytes: Uint8Array;
  /** Its columns' sizes, counts and bounds. */
  readonly metrics: Pick<
    DataFile,
    | "columnSizes"
    | "valueCounts"
    | "nullCounts"
    | "lowerBounds"
    | "upperBounds"
    | "splitOffsets"
  >;
}

type ColumnData = ColumnSource["data"];

/** A column on its way into a file. */
export interface FileColumn {
  /** What it is in the table. */
  readonly field: IcebergField;
  /** Its values; texts as such or in UTF-8. */
  readonly data: ColumnData;
  /** How they are written, where the writer is not to choose. */
  readonly encoding?: "PLAIN" | "RLE_DICTIONARY";
  /** Their range. */
  readonly range: Range;
}

/** What a file is made by. */
export interface EncodeFileOptions {
  /** The app's columns. */
  readonly columns: readonly LakeField[];
  /** The table's schema, for the file's footer. */
  readonly schema: SchemaEntry;
}

/** Makes a changelog's file of sorted rows. */
export function encodeDataFile(rows: RowColumns, options: EncodeFileOptions): EncodedFile {
  const columns = [...changeColumns(rows), ...userColumns(rows.cells, options.columns)];
  return encodeColumns(columns, { rows: rows.count, schema: options.schema });
}

/**
 * Makes a Parquet file of one row group: field ids, statistics, and the encodings that every reader
 * of Iceberg knows (plain and dictionary; some vectorised ones know no delta encodings).
 */
export function encodeColumns(
  columns: readonly FileColumn[],
  options: { readonly rows: number; readonly schema: SchemaEntry },
): EncodedFile {
  const elements = columns.map(({ field }) => schemaElement(field));
  const root: SchemaElement = { name: "table", num_children: columns.length };
  const writer = new ByteWriter();
  const file = new ParquetWriter({
    writer,
    // Times are given in their stored form: with their type they would be converted value by value.
    schema: [
      root,
      ...elements.map(({ converted_type, logical_type: _, ...element }) =>
        converted_type === "UTF8" ? { ...element, converted_type } : element
      ),
    ],
    codec: CODEC,
    compressors: COMPRESSORS,
    // The statistics are computed below once, for the footer and for the manifest.
    statistics: false,
    kvMetadata: [{ key: "iceberg.schema", value: JSON.stringify(options.schema) }],
    createdBy: "LakeSync",
  });
  file.write({
    columnData: columns.map(({ field, data, encoding }) => ({
      name: field.name,
      data,
      ...(encoding !== undefined && { encoding }),
    })),
    rowGroupSize: options.rows,
  });
  const chunks = file.row_groups[0]!.columns;
  for (const [i, { range }] of columns.entries()) {
    const { min, max, nulls } = range;
    chunks[i]!.meta_data!.statistics = {
      null_count: BigInt(nulls),
      ...(min !== undefined && { min_value: min }),
      ...(max !== undefined && { max_value: max }),
    };
  }
  file.schema = [root, ...elements];
  file.finish();
  const sizes = chunks.map(({ meta_data }) => meta_data!.total_compressed_size);
  return { bytes: writer.getBytes(), metrics: metricsOf(columns, { sizes, rows: options.rows }) };
}

const OWN = new Map(CHANGE_FIELDS.map((field) => [field.id, field]));

function changeColumns(rows: RowColumns): FileColumn[] {
  const seq = new BigInt64Array(rows.count);
  const commitTs = new Array<bigint>(rows.count);
  // Neighbours were often taken together: one bigint for all of them.
  const micros = new Map<number, bigint>();
  for (let i = 0; i < rows.count; i++) {
    seq[i] = BigInt(rows.seq[i]!);
    const at = rows.at[i]!;
    let time = micros.get(at);
    if (time === undefined) micros.set(at, time = BigInt(at) * 1000n);
    commitTs[i] = time;
  }
  const column = (
    id: number,
    data: ColumnData,
    range: Range,
    encoding?: "PLAIN" | "RLE_DICTIONARY",
  ): FileColumn => ({
    field: OWN.get(id)!,
    data,
    range,
    ...(encoding !== undefined && { encoding }),
  });
  const { min, max, distinct } = rows.ids;
  // Next to each other equal ids compress well as they are; a dictionary pays where they are many.
  const idEncoding = distinct * 4 < rows.count ? "RLE_DICTIONARY" : "PLAIN";
  const columnNames = textRange(rows.columns);
  return [
    column(FIELD.seq, seq, bigintRange(seq), "PLAIN"),
    column(FIELD.op, rows.op as string[], textRange(rows.op), "RLE_DICTIONARY"),
    column(FIELD.id, rows.id as Uint8Array[], { min, max, nulls: 0 }, idEncoding),
    column(FIELD.hlc, rows.hlc, bigintRange(rows.hlc), "PLAIN"),
    column(
      FIELD.clientId,
      rows.clientId as string[],
      textRange(rows.clientId),
      "RLE_DICTIONARY",
    ),
    column(FIELD.txId, rows.txId as Cell[], textRange(rows.txId)),
    column(FIELD.commitTs, commitTs, bigintRange([...micros.values()]), "RLE_DICTIONARY"),
    column(
      FIELD.columns,
      rows.columns as Cell[],
      columnNames,
      columnNames.min === undefined ? undefined : "RLE_DICTIONARY",
    ),
  ];
}

/** The app's columns on their way into a file. */
export function userColumns(
  cells: readonly (readonly Cell[])[],
  columns: readonly LakeField[],
): FileColumn[] {
  return columns.map(({ field }, i) => {
    const data = cells[i]!;
    // Plain, as some vectorised readers know no run lengths of booleans.
    const encoding = field.type === "boolean" ? "PLAIN" as const : undefined;
    return {
      field,
      data: data as Cell[],
      range: cellRange(field.type, data),
      ...(encoding !== undefined && { encoding }),
    };
  });
}

function schemaElement({ id, name, required, type }: IcebergField): SchemaElement {
  const element = {
    name,
    field_id: id,
    repetition_type: required ? "REQUIRED" as const : "OPTIONAL" as const,
  };
  switch (type) {
    case "string":
      return {
        ...element,
        type: "BYTE_ARRAY",
        converted_type: "UTF8",
        logical_type: { type: "STRING" },
      };
    case "binary":
      return { ...element, type: "BYTE_ARRAY" };
    case "boolean":
      return { ...element, type: "BOOLEAN" };
    case "double":
      return { ...element, type: "DOUBLE" };
    case "timestamptz":
      return {
        ...element,
        type: "INT64",
        converted_type: "TIMESTAMP_MICROS",
        logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" },
      };
    default:
      return { ...element, type: "INT64" };
  }
}

function metricsOf(
  columns: readonly FileColumn[],
  { sizes, rows }: { sizes: readonly bigint[]; rows: number },
): EncodedFile["metrics"] {
  const lowerBounds = new Map<number, Uint8Array>();
  const upperBounds = new Map<number, Uint8Array>();
  for (const { field, range } of columns) {
    if (range.min !== undefined) lowerBounds.set(field.id, lowerBound(range.min));
    const upper = range.max === undefined ? undefined : upperBound(range.max);
    if (upper !== undefined) upperBounds.set(field.id, upper);
  }
  return {
    columnSizes: new Map(columns.map(({ field }, i) => [field.id, sizes[i]!])),
    valueCounts: new Map(columns.map(({ field }) => [field.id, BigInt(rows)])),
    nullCounts: new Map(columns.map(({ field, range }) => [field.id, BigInt(range.nulls)])),
    lowerBounds,
    upperBounds,
    splitOffsets: [4n],
  };
}
