import {
  type JsonValue,
  LakeSyncError,
  type RowState,
  type SqlColumnType,
  type SqlDialect,
  type SqlParameter,
  type TableSchema,
} from "@lakesync/core";

/** The columns of a materialised table that no schema names. */
const OWN: readonly MaterialisedColumn[] = [
  { name: "props", type: "text", source: undefined },
  { name: "synced_at", type: "timestamp", source: undefined },
];

/** A column of a materialised table. */
export interface MaterialisedColumn {
  /** Its name there. */
  readonly name: string;
  /** Its type. */
  readonly type: SqlColumnType;
  /** The column of the schema that it shows; undefined for `id`, `props` and `synced_at`. */
  readonly source: string | undefined;
}

/**
 * The name that a column has in a materialised table. `props` and `synced_at`, whatever their case
 * and with any number of underscores before them, get one more underscore: so no two share a name.
 *
 * @param column The column's name in the schema.
 * @returns Its name in the database.
 *
 * @example A column that is called like one of ours
 * ```ts
 * import { materialisedColumnName } from "@lakesync/adapter-database";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(materialisedColumnName("title"), "title");
 * assertEquals(materialisedColumnName("props"), "_props");
 * ```
 */
export function materialisedColumnName(column: string): string {
  return /^_*(props|synced_at)$/i.test(column) ? `_${column}` : column;
}

/** What a materialised table looks like, and how a row gets into it. */
export class MaterialisedTable {
  /** Its name. */
  readonly name: string;
  /** Its columns: the key first. */
  readonly columns: readonly MaterialisedColumn[];
  readonly #encoders: readonly {
    source: string;
    encode(value: JsonValue): SqlParameter | undefined;
  }[];
  readonly #dialect: SqlDialect;

  constructor(schema: TableSchema, dialect: SqlDialect) {
    if (/^lakesync_/i.test(schema.table)) {
      throw new LakeSyncError(
        "VALIDATION_ERROR",
        `Cannot materialise "${schema.table}": names that begin with "lakesync_" are LakeSync's own, choose another name`,
      );
    }
    const named = schema.columns.map(({ name, type }): MaterialisedColumn => ({
      name: materialisedColumnName(name),
      type,
      source: name,
    }));
    this.name = schema.table;
    this.columns = [{ name: "id", type: "id", source: undefined }, ...named, ...OWN];
    this.#encoders = schema.columns.map(({ name, type }) => ({
      source: name,
      encode: dialect.column(type).encode,
    }));
    this.#dialect = dialect;
  }

  /** A row's key as its `id` has it. */
  id(rowId: string): SqlParameter {
    return this.#dialect.column("id").encode(rowId)!;
  }

  /** A row that is alive as parameters of {@linkcode columns}. */
  encode(
    row: { readonly rowId: string; readonly state: RowState },
    options: { syncedAt: SqlParameter; misfit: (column: string) => void },
  ): SqlParameter[] {
    const left = new Map(row.state.columns);
    const props: [string, JsonValue][] = [];
    const values: SqlParameter[] = [this.id(row.rowId)];
    for (const { source, encode } of this.#encoders) {
      const value = left.get(source)?.[0] ?? null;
      left.delete(source);
      const encoded = value === null ? null : encode(value);
      if (encoded === undefined) {
        options.misfit(source);
        props.push([source, value]);
      }
      values.push(encoded ?? null);
    }
    for (const [column, [value]] of left) if (value !== null) props.push([column, value]);
    // fromEntries defines own properties, so that a column named __proto__ is one too.
    values.push(props.length === 0 ? null : JSON.stringify(Object.fromEntries(props)));
    values.push(options.syncedAt);
    return values;
  }
}
