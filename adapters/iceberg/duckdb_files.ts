import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DuckDBInstance } from "@duckdb/node-api";
import { LakeSyncError } from "@lakesync/core";
import type { CompactionJob, EngineFile, FoldedFile } from "./compact_engine.ts";
import { GoneRows } from "./compact_gone.ts";
import { rewriteSql } from "./duckdb_sql.ts";
import { foldedFile } from "./parquet_metrics.ts";
import { findRows } from "./parquet_read.ts";
import { Scratch } from "./scratch.ts";
import { type DeletedRows, encodeDeletes } from "./state_deletes.ts";
import { STATE_FIELD } from "./state_schema.ts";
import { FILE_ROWS } from "./_table_write.ts";

/** A bucket's files where DuckDB opens them. */
export interface StagedFiles {
  readonly files: readonly EngineFile[];
  /** The path of each, by its key. */
  readonly paths: ReadonlyMap<string, string>;
  /** The store, of which these files are read from there. */
  readonly store: CompactionJob["store"];
  /** Removes what was copied. */
  release(): Promise<void>;
}

/** What becomes of a bucket's rows that show. */
export interface BucketRewrite {
  readonly bucket: number;
  /** New rows. */
  readonly live: readonly FoldedFile[];
  /** Rows that are gone. */
  readonly deleted: DeletedRows;
}

/** Data files that DuckDB reads and writes, in a temporary directory where they are not local. */
export class DuckDbFiles {
  readonly #job: CompactionJob;
  readonly #options: { readonly memoryBytes: number; readonly threads: number };
  #opened: Promise<{ scratch: Scratch; instance: DuckDBInstance }> | undefined;
  #made = 0;

  constructor(job: CompactionJob, options: { memoryBytes: number; threads: number }) {
    this.#job = job;
    this.#options = options;
  }

  /** Whether DuckDB is there. */
  static async loads(): Promise<boolean> {
    try {
      await import("@duckdb/node-api");
      return true;
    } catch {
      return false;
    }
  }

  /** Makes files readable until they are released: local ones as they are, others as copies. */
  async stage(files: readonly EngineFile[]): Promise<StagedFiles> {
    const { store, signal } = this.#job;
    const paths = new Map<string, string>();
    const copies: string[] = [];
    const release = async () => {
      for (const copy of copies) await rm(copy, { force: true });
    };
    try {
      for (const { key, file: { path: url } } of files) {
        if (url.startsWith("file:")) {
          paths.set(key, fileURLToPath(url));
          continue;
        }
        const bytes = await store.get(key, signal === undefined ? {} : { signal });
        if (!bytes.ok) throw bytes.error;
        const path = await this.#path();
        copies.push(path);
        await writeFile(path, bytes.value);
        paths.set(key, path);
      }
    } catch (thrown) {
      await release();
      throw thrown;
    }
    return {
      files,
      paths,
      release,
      store: {
        async get(key, options) {
          const path = copies.length > 0 ? paths.get(key) : undefined;
          if (path === undefined) return await store.get(key, options);
          return { ok: true, value: await readFile(path) };
        },
      },
    };
  }

  /** Makes a bucket's files anew: the old rows without those that are gone, and the new ones. */
  async rewrite(staged: StagedFiles, bucket: BucketRewrite): Promise<readonly FoldedFile[]> {
    const { columns, schema } = this.#job;
    const made: string[] = [];
    const put = async (bytes: Uint8Array): Promise<string> => {
      const path = await this.#path();
      made.push(path);
      await writeFile(path, bytes);
      return path;
    };
    const { instance } = await this.#open();
    const connection = await instance.connect();
    try {
      const gone = await this.#gone(staged, bucket);
      const some = [...gone.values()].some((places) => places.length > 0);
      const deletes = some ? await put(encodeDeletes(gone).bytes) : undefined;
      const fresh: string[] = [];
      for (const { bytes } of bucket.live) fresh.push(await put(bytes));
      const old = staged.files.map(({ key }) => staged.paths.get(key)!);
      const sources = { old, deletes, fresh };
      const rows = [
        ...staged.files.map(({ file }) => Number(file.rows)),
        ...bucket.live.map((f) => f.rows),
      ]
        .reduce((sum, count) => sum + count, 0);
      const files: FoldedFile[] = [];
      for (let from = 0; from < rows; from += FILE_ROWS) {
        const part = rows <= FILE_ROWS ? undefined : { from, count: FILE_ROWS };
        const path = await this.#path();
        made.push(path);
        await connection.run(rewriteSql({ ...sources, columns, schema, path, part }));
        const file = foldedFile(await readFile(path));
        if (file.rows > 0) files.push(file);
      }
      return files;
    } catch (cause) {
      if (cause instanceof LakeSyncError || cause instanceof RangeError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new LakeSyncError("INTERNAL", `Cannot rewrite a bucket with DuckDB: ${reason}`, {
        cause,
      });
    } finally {
      connection.closeSync();
      for (const path of made) await rm(path, { force: true });
    }
  }

  /** Lets go of everything. */
  async close(): Promise<void> {
    if (this.#opened === undefined) return;
    const { scratch, instance } = await this.#opened;
    instance.closeSync();
    await scratch.close();
  }

  /** The places of all rows that are gone, by the paths of their files. */
  async #gone(
    { files, paths, store }: StagedFiles,
    { bucket, deleted }: BucketRewrite,
  ): Promise<ReadonlyMap<string, readonly number[]>> {
    const deletes = this.#job.liveDeletes.get(bucket) ?? [];
    const before = await GoneRows.read(this.#job.store, deletes, this.#job);
    const gone = new Map<string, readonly number[]>();
    for (const one of files) {
      const { key, file: { path: url }, sequenceNumber } = one;
      const places = new Set([
        ...before.positions.get(url) ?? [],
        ...deleted.positions.get(url) ?? [],
      ]);
      const ids = new Map([...before.ids].filter(([, number]) => number > sequenceNumber));
      if (ids.size > 0) {
        const bytes = await store.get(key);
        if (!bytes.ok) throw bytes.error;
        const found = await findRows(bytes.value, { fieldId: STATE_FIELD.id, wanted: ids });
        for (const place of found.places) places.add(place);
      }
      gone.set(paths.get(key)!, [...places]);
    }
    return gone;
  }

  async #path(): Promise<string> {
    const { scratch } = await this.#open();
    return join(scratch.directory, `${this.#made++}.parquet`);
  }

  #open(): Promise<{ scratch: Scratch; instance: DuckDBInstance }> {
    return this.#opened ??= (async () => {
      const { DuckDBInstance } = await import("@duckdb/node-api");
      const scratch = await Scratch.open("files");
      const instance = await DuckDBInstance.create(":memory:", {
        memory_limit: `${Math.ceil(this.#options.memoryBytes / 1024)}KiB`,
        threads: String(this.#options.threads),
        temp_directory: join(scratch.directory, "spill"),
      });
      return { scratch, instance };
    })();
  }
}
