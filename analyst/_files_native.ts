import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LakeFile, LakeScan, ObjectStore } from "@lakesync/core";
import type { FilesSource, LakeFiles, OpenFiles } from "./_duckdb.ts";
import { KeptFiles } from "./_files.ts";
import type { OwnColumn } from "./_layout.ts";
import { name, text } from "./_sql.ts";

/** Options of {@linkcode NativeFiles}. */
export interface NativeFilesOptions {
  readonly store: ObjectStore | undefined;
  readonly copyBytes: number;
  readonly locate: (file: LakeFile) => string;
}

/**
 * Files that DuckDB opens itself: where they are, or as copies in the system's temporary directory of
 * those that are no local files.
 */
export class NativeFiles implements LakeFiles {
  readonly #copies: KeptFiles<LakeFile, string> | undefined;
  readonly #locate: (file: LakeFile) => string;
  #directory: Promise<string> | undefined;
  #made = 0;

  constructor({ store, copyBytes, locate }: NativeFilesOptions) {
    this.#locate = locate;
    this.#copies = store && new KeptFiles({
      limit: copyBytes,
      make: (file) => this.#copy(store, file),
      drop: (path) => rm(path, { force: true }),
    });
  }

  async open(
    scans: readonly LakeScan[],
    { signal }: { readonly signal: AbortSignal | undefined },
  ): Promise<OpenFiles> {
    const remote = scans.flatMap(({ files }) => files)
      .filter(({ url }) => !url.startsWith("file:"));
    if (this.#copies === undefined || remote.length === 0) {
      return openFiles(this.#locate, () => Promise.resolve());
    }
    const { made: paths, release } = await this.#copies.open(remote, signal);
    return openFiles((file) => paths.get(file.key) ?? this.#locate(file), release);
  }

  /** Removes all copies. */
  async close(): Promise<void> {
    if (this.#directory === undefined) return;
    await rm(await this.#directory, { recursive: true, force: true });
  }

  async #copy(store: ObjectStore, { key }: LakeFile): Promise<string> {
    this.#directory ??= mkdtemp(join(tmpdir(), "lakesync-analyst-"));
    const path = join(await this.#directory, `${this.#made++}.parquet`);
    const bytes = await store.get(key);
    if (!bytes.ok) throw bytes.error;
    await writeFile(path, bytes.value);
    return path;
  }
}

function openFiles(place: (file: LakeFile) => string, release: () => Promise<void>): OpenFiles {
  return { place, release, sql: (columns, source) => filesSql(columns, { ...source, place }) };
}

/** By field id, so that a file from before a column was added gives NULL for it. */
function filesSql(
  columns: readonly OwnColumn[],
  { scan, gone, place }: FilesSource & { place: (file: LakeFile) => string },
): string {
  const types = new Map(columns.map((column) => [column.name, column.type]));
  const fields = scan.columns.map(({ fieldId, name: column }) =>
    `${fieldId}: {name: ${text(column)}, type: ${text(types.get(column) ?? "VARCHAR")}, ` +
    `default_value: NULL}`
  );
  const present = new Set(scan.columns.map((column) => column.name));
  const list = columns.map((column) =>
    present.has(column.name) ? name(column.name) : `NULL::${column.type} AS ${name(column.name)}`
  );
  const files = `read_parquet([${scan.files.map((file) => text(place(file)))}], ` +
    `schema = MAP {${fields}}, hive_partitioning = false`;
  return gone === undefined
    ? `SELECT ${list} FROM ${files})`
    : `SELECT ${list} FROM ${files}, filename = '#path', file_row_number = true) ` +
      `AS kept ANTI JOIN ${name(gone)} AS gone ` +
      `ON kept."#path" = gone."#file" AND kept.file_row_number = gone."#place"`;
}
