import {
  type LakeFile,
  type LakeScan,
  LakeSyncError,
  type ObjectStore,
  systemRandom,
} from "@lakesync/core";
import type { DuckDbConnection, FilesSource, LakeFiles, OpenFiles } from "./_duckdb.ts";
import { KeptFiles } from "./_files.ts";
import type { OwnColumn } from "./_layout.ts";
import { readParquet } from "./_parquet_browser.ts";
import { name, text } from "./_sql.ts";

/** A file's rows in a table of DuckDB's, whose columns are `#` and their field ids. */
interface FileTable {
  readonly table: string;
  readonly fieldIds: ReadonlySet<number>;
}

/** A file with the columns of its lake table. */
type ScannedFile = Pick<LakeFile, "key" | "bytes"> & Pick<LakeScan, "columns">;

/** DuckDB's types of what a lake's columns have. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ["string", "VARCHAR"],
  ["long", "BIGINT"],
  ["double", "DOUBLE"],
  ["boolean", "BOOLEAN"],
  ["timestamptz", "TIMESTAMPTZ"],
  ["binary", "BLOB"],
]);

/** Options of {@linkcode TableFiles}. */
export interface TableFilesOptions {
  readonly store: ObjectStore;
  /** The most bytes of files whose tables are kept while nobody reads them. */
  readonly limit: number;
  /** Opens a connection to the DuckDB that has the tables. */
  readonly connect: () => Promise<TableConnection>;
}

/** A connection that also makes tables which others see. */
export type TableConnection = Pick<DuckDbConnection, "run" | "close"> & {
  /** Adds rows to a table of all connections. */
  readonly fill: DuckDbConnection["append"];
};

/**
 * Data files as tables. DuckDB's WebAssembly has its reader of Parquet in an extension that it would
 * download, so the files are fetched, unpacked and handed over as Arrow.
 */
export class TableFiles implements LakeFiles {
  readonly #options: TableFilesOptions;
  readonly #kept: KeptFiles<ScannedFile, FileTable>;

  constructor(options: TableFilesOptions) {
    this.#options = options;
    this.#kept = new KeptFiles({
      limit: options.limit,
      make: (file) => this.#load(file),
      drop: async ({ table }) => {
        const connection = await options.connect();
        await connection.run(`DROP TABLE main.${name(table)}`);
        await connection.close();
      },
    });
  }

  async open(
    scans: readonly LakeScan[],
    { signal }: { readonly signal: AbortSignal | undefined },
  ): Promise<OpenFiles> {
    const files = scans.flatMap(({ files, columns }) =>
      files.map(({ key, bytes }) => ({ key, bytes, columns }))
    );
    const { made, release } = await this.#kept.open(files, signal);
    const place = ({ key }: LakeFile) => made.get(key)!.table;
    return {
      place,
      release,
      sql: (columns, source) => {
        const parts = source.scan.files.map((file) =>
          tableSql(columns, made.get(file.key)!, source)
        );
        return `SELECT * FROM (${parts.join(" UNION ALL ")})`;
      },
    };
  }

  async #load(file: ScannedFile): Promise<FileTable> {
    const bytes = await this.#options.store.get(file.key);
    if (!bytes.ok) throw bytes.error;
    const fields = file.columns.filter(({ type }) => TYPES.has(type));
    const table = `#file ${systemRandom.uuid()}`;
    const columns = fields.map(({ fieldId, type }) => ({
      fieldId,
      name: `#${fieldId}`,
      type: TYPES.get(type)!,
    }));
    const list = columns.map((column) => `${name(column.name)} ${column.type}`);
    const connection = await this.#options.connect();
    try {
      await connection.run(`CREATE TABLE main.${name(table)} (${list})`);
      for await (const { count, columns: cells } of readParquet(new Uint8Array(bytes.value))) {
        const nothing = new Array<null>(count).fill(null);
        const all = columns.map(({ fieldId }) => cells.get(fieldId) ?? nothing);
        await connection.fill(table, { columns, count, cells: all });
      }
    } catch (thrown) {
      if (!(thrown instanceof RangeError)) throw thrown;
      throw new LakeSyncError(
        "CORRUPT",
        `Cannot read "${file.key}": ${thrown.message}; restore the file`,
        { cause: thrown },
      );
    } finally {
      await connection.close();
    }
    return { table, fieldIds: new Set(columns.map(({ fieldId }) => fieldId)) };
  }
}

function tableSql(
  columns: readonly OwnColumn[],
  { table, fieldIds }: FileTable,
  { scan, gone }: FilesSource,
): string {
  const ids = new Map(scan.columns.map((column) => [column.name, column.fieldId]));
  const list = columns.map((column) => {
    const id = ids.get(column.name);
    const value = id !== undefined && fieldIds.has(id) ? name(`#${id}`) : "NULL";
    return `${value}::${column.type} AS ${name(column.name)}`;
  });
  const rows = `SELECT ${list} FROM main.${name(table)}`;
  return gone === undefined ? rows : `${rows} WHERE rowid NOT IN (SELECT "#place" FROM ` +
    `${name(gone)} WHERE "#file" = ${text(table)})`;
}
