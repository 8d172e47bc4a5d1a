import {
  checkEvolution,
  err,
  indexTables,
  LakeSyncError,
  type LogStore,
  ok,
  parseTableSchemas,
  type Result,
  type TableIndex,
  type TableSchema,
} from "@lakesync/core";

const KEY = "schema";

/** The tables of a gateway, kept in its store. */
export class SchemaRegistry {
  readonly #store: LogStore;
  #tables: readonly TableSchema[];
  #index: ReadonlyMap<string, TableIndex>;
  #last: Promise<void> = Promise.resolve();

  private constructor(store: LogStore, tables: readonly TableSchema[]) {
    this.#store = store;
    this.#tables = tables;
    this.#index = indexTables(tables);
  }

  /** Opens the registry of a store. */
  static async open(store: LogStore): Promise<Result<SchemaRegistry>> {
    const stored = await store.getValue(KEY);
    if (!stored.ok) return stored;
    if (stored.value === undefined) return ok(new SchemaRegistry(store, []));
    try {
      const tables = parseTableSchemas(JSON.parse(stored.value), "schema");
      return tables.ok ? ok(new SchemaRegistry(store, tables.value)) : tables;
    } catch (cause) {
      return err(
        new LakeSyncError("CORRUPT", "The stored schema is not JSON: restore a backup of the log", {
          cause,
        }),
      );
    }
  }

  /** The tables. */
  get tables(): readonly TableSchema[] {
    return this.#tables;
  }

  /** The tables, indexed. */
  get index(): ReadonlyMap<string, TableIndex> {
    return this.#index;
  }

  /** The greatest version among the tables; 0 without tables. */
  get version(): number {
    return this.#tables.reduce((version, table) => Math.max(version, table.version), 0);
  }

  /**
   * Replaces the whole set.
   *
   * @param value `{ tables: [schema, …] }` from outside.
   * @returns The set; `VALIDATION_ERROR` where its form is bad, `CONFLICT` where it narrows.
   */
  put(value: unknown): Promise<Result<readonly TableSchema[]>> {
    // One after the other: each is judged by what the one before it left.
    const put = this.#last.then(() => this.#put(value));
    this.#last = put.then(() => {}, () => {});
    return put;
  }

  async #put(value: unknown): Promise<Result<readonly TableSchema[]>> {
    const given = typeof value === "object" && value !== null && "tables" in value
      ? value.tables
      : undefined;
    const tables = parseTableSchemas(given, "tables");
    if (!tables.ok) return tables;
    const allowed = checkEvolution(this.#tables, tables.value);
    if (!allowed.ok) return allowed;
    const stored = await this.#store.setValue(KEY, JSON.stringify(tables.value));
    if (!stored.ok) return stored;
    this.#tables = tables.value;
    this.#index = indexTables(tables.value);
    return ok(this.#tables);
  }
}
