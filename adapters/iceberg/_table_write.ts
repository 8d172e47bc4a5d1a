import { type FlushEntry, type FlushTable, LakeSyncError, toLakeSyncError } from "@lakesync/core";
import type { Result } from "@lakesync/core";
import type { CommitPorts } from "./commit.ts";
import type { SchemaPlan } from "./lake_schema.ts";
import type { DataFile } from "./manifest.ts";
import { RowBuffer } from "./_rows.ts";
import { encodeDataFile } from "./parquet.ts";
import { SORT_ORDER_ID } from "./snapshot.ts";
import type { TableVersion } from "./table.ts";
import type { SchemaEntry } from "./metadata.ts";

const DAY_MS = 86_400_000;

/** The most rows of a data file. */
export const FILE_ROWS = 131_072;

/** The most bytes, roughly, that the rows of a data file take while they wait, by default. */
export const FILE_WEIGHT: number = 64 * 1024 * 1024;

/** What a table is written with. */
export interface TableWriteOptions {
  /** The table's name in the lake. */
  readonly table: string;
  /** Its part in the batch. */
  readonly part: FlushTable;
  /** The epoch that the batch's seqs are of. */
  readonly epoch: string;
  /** The version that the files are to be committed on. */
  readonly base: TableVersion;
  /** Its schema with what the batch brings. */
  readonly plan: SchemaPlan;
  /** That schema for the files' footers. */
  readonly schema: SchemaEntry;
  /** The most bytes, roughly, that the rows of a data file take while they wait. */
  readonly fileBytes: number;
}

/** A table's rows on their way into data files. */
export class TableWrite {
  /** What it is written with. */
  readonly options: TableWriteOptions;
  /** The files so far. */
  readonly files: DataFile[] = [];
  /** Why it failed, where it did. Then nothing more is taken. */
  error: LakeSyncError | undefined;
  readonly #ports: CommitPorts;
  readonly #rows: RowBuffer;
  readonly #keys: string[] = [];
  readonly #after: number;
  #day = 0;

  constructor(ports: CommitPorts, options: TableWriteOptions) {
    const { part, epoch, plan } = options;
    this.#ports = ports;
    this.options = options;
    this.#rows = new RowBuffer(plan.columns);
    this.#after = part.from?.epoch === epoch ? part.from.seq : 0;
  }

  /** How many rows wait. */
  get count(): number {
    return this.#rows.count;
  }

  /** About how many bytes they take. */
  get weight(): number {
    return this.#rows.weight;
  }

  /** Whether the rows that wait have to be written before the entry is added. */
  isFullFor(entry: FlushEntry): boolean {
    const { count, weight } = this.#rows;
    if (count === 0) return false;
    return count >= FILE_ROWS || weight >= this.options.fileBytes ||
      Math.floor(entry.at / DAY_MS) !== this.#day;
  }

  /** Adds an entry. One that the table has already is left out. */
  add(entry: FlushEntry): void {
    if (this.error !== undefined || entry.seq <= this.#after) return;
    try {
      if (this.#rows.count === 0) this.#day = Math.floor(entry.at / DAY_MS);
      this.#rows.add(entry);
    } catch (thrown) {
      this.fail(
        new LakeSyncError(
          "INTERNAL",
          `Cannot write seq ${entry.seq} into "${this.options.table}": ${
            toLakeSyncError(thrown, "INTERNAL").message
          }; the log holds what its schema forbids`,
          { cause: thrown },
        ),
      );
    }
  }

  /** Writes the rows that wait into a file. */
  async writeFile(): Promise<void> {
    if (this.error !== undefined || this.#rows.count === 0) return;
    const { catalogue: { store }, random } = this.#ports;
    const { table, base, plan, schema } = this.options;
    const rows = this.#rows.take();
    const date = new Date(this.#day * DAY_MS).toISOString().slice(0, 10);
    const name = `data/_commit_ts_day=${date}/${random.uuid()}.parquet`;
    try {
      const { bytes, metrics } = encodeDataFile(rows, { columns: plan.columns, schema });
      this.#keys.push(`${table}/${name}`);
      const put: Result<void> = await store.put(`${table}/${name}`, bytes);
      if (!put.ok) return this.fail(put.error);
      this.files.push({
        path: `${base.metadata.location}/${name}`,
        partition: this.#day,
        rows: BigInt(rows.count),
        bytes: BigInt(bytes.length),
        sortOrderId: SORT_ORDER_ID,
        ...metrics,
      });
    } catch (thrown) {
      this.fail(toLakeSyncError(thrown, "INTERNAL"));
    }
  }

  /** Gives up: nothing more is taken. */
  fail(error: LakeSyncError): void {
    this.error ??= error;
    this.#rows.clear();
  }

  /** Removes the files. Only where they are known to be no part of the table. */
  async discard(): Promise<void> {
    await this.#ports.catalogue.store.delete(this.#keys);
  }
}
