import {
  canonicalJson,
  type ColumnSchema,
  type ColumnType,
  decodeBase64,
  type Delta,
  type JsonValue,
  type RowState,
  type SqlRow,
  type SqlValue,
  type Table,
  type TableSchema,
  toWire,
} from "@lakesync/core";

/** Names of the tables that are the client's own start so. */
export const INTERNAL_PREFIX = "lakesync_";

const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  string: "TEXT",
  number: "REAL",
  integer: "INTEGER",
  boolean: "INTEGER",
  timestamp: "TEXT",
  bytes: "BLOB",
  json: "TEXT",
};

/** Puts an identifier, which has been validated, in quotes. */
export function quote(identifier: string): string {
  return `"${identifier}"`;
}

/** A declared table with the SQL that its rows are kept with. */
export interface LocalTable {
  /** Its name. */
  readonly name: string;
  /** Its wire schema. */
  readonly schema: TableSchema;
  /** Its columns by name. */
  readonly columns: ReadonlyMap<string, ColumnSchema>;
  /** Where each column is among them, by name. */
  readonly places: ReadonlyMap<string, number>;
  /** The columns that are read as `bigint` always. */
  readonly bigints: ReadonlySet<string>;
  /** The columns of each index that it declares. */
  readonly indexes: readonly (readonly string[])[];
  /** Judges rows that the app writes. */
  readonly validate: Table["validate"];
  /** What the app sees: base and own deltas merged. */
  readonly shown: TableSql;
  /** Reads a row for {@linkcode wireRow}: strings as bytes, because Deno ends a text at its NUL. */
  readonly read: string;
  /** Reads all rows so. */
  readonly readAll: string;
  /** What the gateway told: `(id, state)`. */
  readonly base: TableSql;
  /** `shown` and `base` of a checkpoint under way. */
  readonly stage: { readonly shown: TableSql; readonly base: TableSql };
}

/** A SQLite table: `put` takes the id and the columns' values, `remove` an id. */
export interface TableSql {
  /** Its name in quotes. */
  readonly name: string;
  /** Makes it. */
  readonly create: string;
  /** Inserts or replaces a row. */
  readonly put: string;
  /** Inserts a row that is not there. */
  readonly add: string;
  /** Inserts a row where it is not there. */
  readonly addNew: string;
  /** Removes a row. */
  readonly remove: string;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Prepares a declared table. */
export function localTable(table: Table): LocalTable {
  const bigints = Object.entries(table.columns).filter(([, { bigint }]) => bigint);
  return ofSchema(table, new Set(bigints.map(([column]) => column)));
}

/** A table with more columns than it declares. */
export function widerTable(table: LocalTable, columns: readonly ColumnSchema[]): LocalTable {
  if (columns.length === 0) return table;
  const { schema, bigints } = table;
  const wider = { ...schema, columns: [...schema.columns, ...columns] };
  return ofSchema({ ...table, schema: wider }, bigints);
}

function ofSchema(
  table: Pick<Table, "schema" | "indexes" | "validate">,
  bigints: ReadonlySet<string>,
): LocalTable {
  const { schema, indexes, validate } = table;
  const { table: name } = schema;
  const columns = new Map(schema.columns.map((column) => [column.name, column]));
  const shown = schema.columns.map(columnSql);
  const base = ["state TEXT NOT NULL"];
  const readAll = `SELECT ${["id", ...schema.columns.map(readSql)].join(", ")} FROM ${quote(name)}`;
  return {
    name,
    schema,
    columns,
    places: new Map(schema.columns.map((column, place) => [column.name, place])),
    bigints,
    indexes,
    validate,
    shown: tableSql(name, shown),
    read: `${readAll} WHERE id = ?`,
    readAll,
    base: tableSql(`${INTERNAL_PREFIX}base_${name}`, base),
    stage: {
      shown: tableSql(`${INTERNAL_PREFIX}stage_${name}`, shown),
      base: tableSql(`${INTERNAL_PREFIX}stagebase_${name}`, base),
    },
  };
}

/** A column's declaration. Nothing is NOT NULL here: the schema may loosen that, SQLite may not. */
export function columnSql(column: ColumnSchema): string {
  return `${quote(column.name)} ${SQL_TYPES[column.type]}`;
}

function readSql({ name, type }: ColumnSchema): string {
  return type === "string" ? `CAST(${quote(name)} AS BLOB) AS ${quote(name)}` : quote(name);
}

function tableSql(table: string, columns: readonly string[]): TableSql {
  const name = quote(table);
  const names = columns.map((column) => column.split(" ", 1)[0]!);
  const marks = ["?", ...names.map(() => "?")].join(", ");
  const add = `INSERT INTO ${name} (${["id", ...names].join(", ")}) VALUES (${marks})`;
  const set = names.map((column) => `${column} = excluded.${column}`).join(", ");
  return {
    name,
    create: `CREATE TABLE ${name} (${["id TEXT PRIMARY KEY NOT NULL", ...columns].join(", ")})`,
    add,
    addNew: `${add} ON CONFLICT (id) DO NOTHING`,
    put: `${add} ON CONFLICT (id) DO ${set === "" ? "NOTHING" : `UPDATE SET ${set}`}`,
    remove: `DELETE FROM ${name} WHERE id = ?`,
  };
}

/** A wire value as SQLite keeps it. */
export function toSql(column: ColumnSchema, value: JsonValue | undefined): SqlValue {
  if (value === null || value === undefined) return null;
  switch (column.type) {
    case "boolean":
      return value === true ? 1 : 0;
    case "integer":
      return typeof value === "string" ? BigInt(value) : value as number;
    case "bytes":
      return decodeBase64(value as string);
    case "json":
      return canonicalJson(value);
    default:
      return value as string | number;
  }
}

/** The wire form of what {@linkcode LocalTable.read} gives. */
function fromSql(column: ColumnSchema, value: SqlValue): JsonValue {
  if (value === null) return null;
  switch (column.type) {
    case "string":
      return decoder.decode(value as Uint8Array);
    case "boolean":
      return value !== 0;
    case "json":
      return JSON.parse(value as string) as JsonValue;
    default:
      return toWire(column, value) as JsonValue;
  }
}

/** A visible row as the parameters of `shown.put`. */
export function shownParams(table: LocalTable, id: string, state: RowState): SqlValue[] {
  const params: SqlValue[] = [id];
  for (const column of table.schema.columns) {
    params.push(toSql(column, state.columns.get(column.name)?.[0]));
  }
  return params;
}

/** A row that an INSERT has made as the parameters of `shown.put`. */
export function insertedParams(
  table: LocalTable,
  { rowId, columns }: Pick<Delta, "rowId" | "columns">,
): SqlValue[] {
  const params: SqlValue[] = [rowId];
  for (let i = 0; i < table.schema.columns.length; i++) params.push(null);
  for (const { column, value } of columns) {
    const place = table.places.get(column);
    if (place !== undefined) params[place + 1] = toSql(table.schema.columns[place]!, value);
  }
  return params;
}

/** What {@linkcode LocalTable.read} gives as `column → wire value`. */
export function wireRow(table: LocalTable, row: SqlRow): Map<string, JsonValue> {
  return new Map(
    table.schema.columns.map((column) => [column.name, fromSql(column, row[column.name] ?? null)]),
  );
}
