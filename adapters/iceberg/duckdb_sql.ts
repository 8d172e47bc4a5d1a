import type { IcebergField, LakeField } from "./lake_schema.ts";
import type { SchemaEntry } from "./metadata.ts";
import { STATE_FIELD, STATE_FIELDS } from "./state_schema.ts";

/** What a rewrite reads and writes. */
export interface RewriteSource {
  /** Paths of the files with the rows. */
  readonly old: readonly string[];
  /** The path of the file of positions of rows in them that are gone; undefined for none. */
  readonly deletes: string | undefined;
  /** Paths of the files with new rows. */
  readonly fresh: readonly string[];
  /** The app's columns. */
  readonly columns: readonly LakeField[];
  /** The table's schema, for the file's footer. */
  readonly schema: SchemaEntry;
  /** Where the file goes. */
  readonly path: string;
  /** Which of the rows; undefined: all. */
  readonly part: { readonly from: number; readonly count: number } | undefined;
}

const TYPES: ReadonlyMap<string, string> = new Map([
  ["string", "VARCHAR"],
  ["long", "BIGINT"],
  ["double", "DOUBLE"],
  ["boolean", "BOOLEAN"],
  ["timestamptz", "TIMESTAMPTZ"],
  ["binary", "BLOB"],
]);

/**
 * The statement that makes one file of several, sorted by `id`. Columns are found by their field ids.
 */
export function rewriteSql(source: RewriteSource): string {
  const { deletes, fresh, columns, schema, path, part } = source;
  const fields = [...STATE_FIELDS, ...columns.map(({ field }) => field)];
  const names = fields.map(({ name }) => identifier(name));
  const old = (options = "") => `${files(source.old, fields)}${options}) AS old`;
  const of = names.map((name) => `old.${name}`);
  const rows = deletes === undefined
    ? `SELECT ${of} FROM ${old()}`
    : `SELECT ${of} FROM ${old(", filename = '#file', file_row_number = true")}
      ANTI JOIN read_parquet(${text(deletes)}) AS gone
      ON old."#file" = gone.file_path AND old.file_row_number = gone.pos`;
  const more = fresh.length === 0 ? "" : ` UNION ALL SELECT ${names} FROM ${files(fresh, fields)})`;
  const id = identifier(fields.find(({ id }) => id === STATE_FIELD.id)!.name);
  const limit = part === undefined ? "" : ` LIMIT ${part.count} OFFSET ${part.from}`;
  const ids = fields.map(({ id, name }) => `${identifier(name)}: ${id}`);
  return `COPY (SELECT * FROM (${rows}${more}) ORDER BY ${id}${limit}) TO ${text(path)} (
    FORMAT parquet, CODEC zstd, ROW_GROUP_SIZE 131072, FIELD_IDS {${ids}},
    KV_METADATA {'iceberg.schema': ${text(JSON.stringify(schema))}})`;
}

/** The beginning of a read of files by field ids; it lacks its last bracket. */
function files(paths: readonly string[], fields: readonly IcebergField[]): string {
  const schema = fields.map(({ id, name, type }) =>
    `${id}: {name: ${text(name)}, type: ${text(TYPES.get(type)!)}, default_value: NULL}`
  );
  return `read_parquet([${paths.map(text)}], schema = MAP {${schema}}, hive_partitioning = false`;
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function text(literal: string): string {
  return `'${literal.replaceAll("'", "''")}'`;
}
