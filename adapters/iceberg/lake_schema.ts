import {
  type ColumnSchema,
  type ColumnType,
  err,
  LakeSyncError,
  ok,
  parseTableSchema,
  type Result,
  type TableSchema,
} from "@lakesync/core";

/** The Iceberg types that LakeSync writes. */
export type IcebergType = "string" | "long" | "double" | "boolean" | "timestamptz" | "binary";

/** A column of an Iceberg schema. */
export interface IcebergField {
  /** Its id: never changes, never used again. */
  readonly id: number;
  /** Its name. */
  readonly name: string;
  /** Whether it is never null. */
  readonly required: boolean;
  /** Its type. Others than LakeSync may have added such as LakeSync does not write. */
  readonly type: string;
}

/** Ids of the columns that every changelog has (docs/lake.md). */
export const FIELD = {
  seq: 1,
  op: 2,
  id: 3,
  hlc: 4,
  clientId: 5,
  txId: 6,
  commitTs: 7,
  columns: 8,
} as const;

/** The columns that every changelog has. */
export const CHANGE_FIELDS: readonly IcebergField[] = [
  { id: FIELD.seq, name: "_seq", required: true, type: "long" },
  { id: FIELD.op, name: "_op", required: true, type: "string" },
  { id: FIELD.id, name: "id", required: true, type: "string" },
  { id: FIELD.hlc, name: "_hlc", required: true, type: "long" },
  { id: FIELD.clientId, name: "_client_id", required: true, type: "string" },
  { id: FIELD.txId, name: "_tx_id", required: false, type: "string" },
  { id: FIELD.commitTs, name: "_commit_ts", required: true, type: "timestamptz" },
  { id: FIELD.columns, name: "_columns", required: false, type: "string" },
];

const OURS = new RegExp(`^_*(?:${CHANGE_FIELDS.map(({ name }) => name).join("|")})$`, "i");

/** What the tables of one kind have in common. */
export interface TableLayout {
  /** The columns that all of them have. */
  readonly own: readonly IcebergField[];
  /** The name in the lake of an app's column. */
  readonly nameOf: (column: string) => string;
}

const ICEBERG_TYPES: Readonly<Record<ColumnType, IcebergType>> = {
  string: "string",
  number: "double",
  integer: "long",
  boolean: "boolean",
  timestamp: "timestamptz",
  bytes: "binary",
  json: "string",
};

/**
 * The name of an app's column in the lake: its own, or with one more underscore in front where it is
 * one of LakeSync's behind any number of underscores.
 *
 * @param name The column's name in the app.
 * @returns Its name in the lake.
 *
 * @example No two columns share a name
 * ```ts
 * import { lakeColumnName } from "@lakesync/adapter-iceberg";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(lakeColumnName("title"), "title");
 * assertEquals(lakeColumnName("_seq"), "__seq");
 * assertEquals(lakeColumnName("__SEQ"), "___SEQ");
 * ```
 */
export function lakeColumnName(name: string): string {
  return OURS.test(name) ? `_${name}` : name;
}

/** Of changelogs. */
export const CHANGES_LAYOUT: TableLayout = { own: CHANGE_FIELDS, nameOf: lakeColumnName };

/** A column of an app with its place in the lake. */
export interface LakeField {
  /** The column in the app. */
  readonly column: ColumnSchema;
  /** The column in the lake. */
  readonly field: IcebergField;
}

/** An Iceberg schema and what of it is the app's. */
export interface SchemaPlan {
  /** All columns of the Iceberg schema. */
  readonly fields: readonly IcebergField[];
  /** The app's columns, in the order of its schema. */
  readonly columns: readonly LakeField[];
  /** The app's schema that the table stands for from now on. */
  readonly schema: TableSchema;
  /** The greatest field id that was ever given. */
  readonly lastColumnId: number;
}

/** A table's schema as it is. */
export interface PresentSchema {
  /** The columns of the Iceberg schema. */
  readonly fields: readonly IcebergField[];
  /** The app's schema that it stands for. */
  readonly schema: TableSchema;
  /** The greatest field id that was ever given. */
  readonly lastColumnId: number;
}

/** The schema of a new table. */
export function newSchemaPlan(
  schema: TableSchema,
  layout: TableLayout = CHANGES_LAYOUT,
): SchemaPlan {
  const { own } = layout;
  const added = schema.columns.map((column, i) => ({
    column,
    field: fieldOf(column, { id: own.length + 1 + i, layout }),
  }));
  return {
    fields: [...own, ...added.map(({ field }) => field)],
    columns: added,
    schema,
    lastColumnId: own.length + added.length,
  };
}

/**
 * The schema of a table that grows. Columns that the lake has and the given schema lacks stay: who
 * gave it may be behind.
 *
 * @param present The schema that the table has.
 * @param schema The schema of the app.
 * @returns What to write by, or `CONFLICT` where a column changed its type.
 */
export function evolveSchemaPlan(
  present: PresentSchema,
  schema: TableSchema,
  layout: TableLayout = CHANGES_LAYOUT,
): Result<SchemaPlan> {
  const byName = new Map(present.fields.map((field) => [field.name.toLowerCase(), field]));
  for (const own of layout.own) {
    const field = byName.get(own.name);
    if (field?.id !== own.id || field.type !== own.type) {
      return err(mismatch(schema.table, own.name, `is not ${own.type} with id ${own.id}`));
    }
  }
  const newer = schema.version >= present.schema.version ? schema : present.schema;
  const known = new Map(newer.columns.map((column) => [column.name, column]));
  const other = newer === schema ? present.schema : schema;
  const all = [...newer.columns, ...other.columns.filter(({ name }) => !known.has(name))];
  const fields = [...present.fields];
  const columns: LakeField[] = [];
  let lastColumnId = present.lastColumnId;
  for (const column of all) {
    let field = byName.get(layout.nameOf(column.name).toLowerCase());
    if (field === undefined) {
      field = fieldOf(column, { id: ++lastColumnId, layout });
      fields.push(field);
      byName.set(field.name.toLowerCase(), field);
    } else if (field.type !== ICEBERG_TYPES[column.type] || field.required) {
      return err(
        mismatch(schema.table, field.name, `is not an optional ${ICEBERG_TYPES[column.type]}`),
      );
    }
    columns.push({ column, field });
  }
  return ok({ fields, columns, schema: { ...newer, columns: all }, lastColumnId });
}

function fieldOf(
  column: ColumnSchema,
  { id, layout }: { id: number; layout: TableLayout },
): IcebergField {
  return {
    id,
    name: layout.nameOf(column.name),
    required: false,
    type: ICEBERG_TYPES[column.type],
  };
}

function mismatch(table: string, column: string, what: string): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Cannot write table "${table}" to the lake: column "${column}" there ${what}; give the column another name or move the lake's table away`,
  );
}

/** The property that a table's schema in the app is kept in. */
export const SCHEMA_PROPERTY = "lakesync.schema";

/** The text of {@linkcode SCHEMA_PROPERTY}. */
export function schemaProperty(schema: TableSchema): string {
  return JSON.stringify(schema);
}

/** Reads {@linkcode SCHEMA_PROPERTY}; `CORRUPT` where it is damaged. */
export function parseSchemaProperty(text: string): Result<TableSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return err(new LakeSyncError("CORRUPT", `${SCHEMA_PROPERTY} is no JSON`, { cause }));
  }
  const parsed = parseTableSchema(value, SCHEMA_PROPERTY);
  return parsed.ok ? parsed : err(
    new LakeSyncError("CORRUPT", parsed.error.message, { cause: parsed.error }),
  );
}
