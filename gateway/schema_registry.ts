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

/** The tables of a gateway at one time. */
export interface SchemaSet {
  /** The tables. */
  readonly tables: readonly TableSchema[];
  /** The tables, indexed. */
  readonly index: ReadonlyMap<string, TableIndex>;
  /** The greatest version among them; 0 without tables. */
  readonly version: number;
}

/**
 * The tables of a gateway, kept in its store. Other instances may put new ones at any time. But they
 * only grow: what fits a set that this instance knows fits all later ones, and only before something
 * is refused, or where the set itself is what counts, the stored one must be looked at.
 */
export class SchemaRegistry {
  readonly #store: LogStore;
  #known: SchemaSet;
  /** What `known` was read from. */
  #text: string | undefined;
  /** A look for the stored set that begins in a moment. */
  #look: Promise<Result<SchemaSet>> | undefined;

  private constructor(store: LogStore) {
    this.#store = store;
    this.#known = schemaSet([]);
  }

  /** Opens the registry of a store. */
  static async open(store: LogStore): Promise<Result<SchemaRegistry>> {
    const registry = new SchemaRegistry(store);
    const stored = await registry.current();
    return stored.ok ? ok(registry) : stored;
  }

  /** The newest set that this instance has seen. */
  get known(): SchemaSet {
    return this.#known;
  }

  /** The stored set; the very object that is `known` where it has not changed. */
  current(): Promise<Result<SchemaSet>> {
    // A change wakes a thousand streams in one turn, and all of them ask. Who joins a look that has not
    // begun misses no schema that was put before.
    return this.#look ??= Promise.resolve().then(async () => {
      this.#look = undefined;
      const stored = await this.#store.getValue(KEY);
      return stored.ok ? this.#take(stored.value) : stored;
    });
  }

  /**
   * Replaces the whole set.
   *
   * @param value `{ tables: [schema, …] }` from outside.
   * @returns The set; `VALIDATION_ERROR` where its form is bad, `CONFLICT` where it narrows.
   */
  async put(value: unknown): Promise<Result<readonly TableSchema[]>> {
    const given = typeof value === "object" && value !== null && "tables" in value
      ? value.tables
      : undefined;
    const tables = parseTableSchemas(given, "tables");
    if (!tables.ok) return tables;
    const text = JSON.stringify(tables.value);
    let judged: Result<unknown> = ok(undefined);
    // Judged and set in one commit: no other instance's set comes in between.
    const appended = await this.#store.append({
      clientId: "@schema",
      deltas: [],
      rows: [],
      values: [KEY],
      plan(view) {
        const stored = parseStored(view.value(KEY));
        judged = stored.ok ? checkEvolution(stored.value, tables.value) : stored;
        return { entries: [], rows: [], ...(judged.ok && { values: new Map([[KEY, text]]) }) };
      },
    });
    if (!appended.ok) return appended;
    if (!judged.ok) return judged;
    this.#text = text;
    this.#known = schemaSet(tables.value);
    return tables;
  }

  #take(text: string | undefined): Result<SchemaSet> {
    if (text === this.#text) return ok(this.#known);
    const tables = parseStored(text);
    if (!tables.ok) return tables;
    this.#text = text;
    this.#known = schemaSet(tables.value);
    return ok(this.#known);
  }
}

function parseStored(text: string | undefined): Result<readonly TableSchema[]> {
  if (text === undefined) return ok([]);
  try {
    return parseTableSchemas(JSON.parse(text), "schema");
  } catch (cause) {
    return err(
      new LakeSyncError("CORRUPT", "The stored schema is not JSON: restore a backup of the log", {
        cause,
      }),
    );
  }
}

function schemaSet(tables: readonly TableSchema[]): SchemaSet {
  return {
    tables,
    index: indexTables(tables),
    version: tables.reduce((version, table) => Math.max(version, table.version), 0),
  };
}
