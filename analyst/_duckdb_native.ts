import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  BIGINT,
  BLOB,
  blobValue,
  BOOLEAN,
  DOUBLE,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBInstance,
  DuckDBTimestampTZValue,
  type DuckDBType,
  type DuckDBValue,
  TIMESTAMPTZ,
  VARCHAR,
} from "@duckdb/node-api";
import { systemRandom } from "@lakesync/core";
import {
  type AppendedRows,
  type Cell,
  type DuckDb,
  type DuckDbConnection,
  type DuckDbResult,
  emptyRows,
  type LakeFiles,
  type Node,
  type Params,
  uniqueNames,
} from "./_duckdb.ts";
import { setUpSql } from "./_set_up.ts";
import { bindParams, toQueryValue } from "./_values_native.ts";
import type { QueryRow } from "./values.ts";

/** Options of {@linkcode openNativeDuckDb}. */
export interface NativeDuckDbOptions {
  readonly files: LakeFiles & { close(): Promise<void> };
  readonly memoryLimit: string | undefined;
  readonly threads: number | undefined;
}

/** DuckDB in this process. Throws what DuckDB throws. */
export async function openNativeDuckDb(options: NativeDuckDbOptions): Promise<DuckDb> {
  const { files, memoryLimit, threads } = options;
  const instance = await DuckDBInstance.create(":memory:", {
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    // DuckDB makes it when it first spills and removes it at its end.
    temp_directory: join(tmpdir(), `lakesync-duckdb-${systemRandom.uuid()}`),
    ...(memoryLimit !== undefined && { memory_limit: memoryLimit }),
    ...(threads !== undefined && { threads: String(threads) }),
  });
  const connection = await instance.connect();
  await connection.run("SET GLOBAL TimeZone = 'UTC'");
  for (const sql of setUpSql(JSON_TEXTS)) await connection.run(sql);
  connection.closeSync();
  return {
    files,
    connect: async () => new NativeConnection(await instance.connect()),
    async close() {
      instance.closeSync();
      await files.close();
    },
  };
}

/** `to_json` gives a double's shortest digits; a cast to VARCHAR garbles some powers of two. */
const JSON_TEXTS = {
  string: (value: string): string => `to_json(${value})::VARCHAR`,
  shortest: (value: string): string => `to_json(${value})::VARCHAR`,
};

class NativeConnection implements DuckDbConnection {
  readonly #connection: DuckDBConnection;

  constructor(connection: DuckDBConnection) {
    this.#connection = connection;
  }

  async run(sql: string): Promise<void> {
    await this.#connection.run(sql);
  }

  async rows(sql: string, params: readonly string[] = []): Promise<readonly QueryRow[]> {
    const { next } = await this.stream(sql, params);
    const rows: QueryRow[] = [];
    for (let chunk = await next(); chunk.length > 0; chunk = await next()) rows.push(...chunk);
    return rows;
  }

  async stream(sql: string, params: Params): Promise<DuckDbResult> {
    const { values, types } = bindParams(params);
    const result = await this.#connection.stream(sql, values, types);
    const columnTypes = result.columnTypes();
    const columns = uniqueNames(result.columnNames()).map((name, i) => ({
      name,
      type: String(columnTypes[i]),
    }));
    return {
      columns,
      async next() {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return [];
        const rows = emptyRows(chunk.rowCount);
        for (const [i, { name }] of columns.entries()) {
          const vector = chunk.getColumnVector(i);
          for (const [j, row] of rows.entries()) row[name] = toQueryValue(vector.getItem(j));
        }
        return rows;
      },
    };
  }

  async append(table: string, { columns, count, cells }: AppendedRows): Promise<void> {
    const chunk = DuckDBDataChunk.create(columns.map(({ type }) => TYPES.get(type)!), count);
    chunk.setColumns(columns.map(({ type }, i) => toValues(type, cells[i]!)));
    const appender = await this.#connection.createAppender(table, "main", "temp");
    try {
      appender.appendDataChunk(chunk);
    } finally {
      appender.closeSync();
    }
  }

  async parse(sql: string): Promise<Node | undefined> {
    const [row] = await this.rows("SELECT json_serialize_sql($1::VARCHAR) AS json", [sql]);
    const { statements = [] } = JSON.parse(String(row?.["json"])) as { statements?: Node[] };
    const node = statements[0]?.["node"] as Node | undefined;
    return statements.length === 1 && node?.["type"] === "SELECT_NODE" ? node : undefined;
  }

  interrupt(): void {
    this.#connection.interrupt();
  }

  close(): Promise<void> {
    this.#connection.closeSync();
    return Promise.resolve();
  }
}

const TYPES: ReadonlyMap<string, DuckDBType> = new Map<string, DuckDBType>([
  ["BIGINT", BIGINT],
  ["BLOB", BLOB],
  ["BOOLEAN", BOOLEAN],
  ["DOUBLE", DOUBLE],
  ["TIMESTAMPTZ", TIMESTAMPTZ],
  ["VARCHAR", VARCHAR],
]);

function toValues(type: string, cells: readonly Cell[]): readonly DuckDBValue[] {
  if (type === "TIMESTAMPTZ") {
    return cells.map((cell) => cell === null ? null : new DuckDBTimestampTZValue(cell as bigint));
  }
  if (type === "BLOB") return cells.map((cell) => cell && blobValue(cell as Uint8Array));
  return cells as readonly DuckDBValue[];
}
