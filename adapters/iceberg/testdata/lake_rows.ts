/** What the tests of this package share. */
import { parquetMetadata, parquetRead } from "hyparquet";
import * as zlib from "node:zlib";
import {
  type ColumnChange,
  type Delta,
  type DeltaOp,
  type Destination,
  type FlushEntry,
  type FlushOutcome,
  type FlushTable,
  type ObjectStore,
  type TableSchema,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import type { Catalogue } from "../catalogue.ts";
import { icebergLake } from "../lake.ts";

/** Noon, UTC, of a day. */
export const NOON: number = Date.UTC(2026, 10, 20, 12);

/** A small table. */
export const TODOS: TableSchema = {
  table: "todos",
  version: 1,
  columns: [
    { name: "title", type: "string" },
    { name: "done", type: "boolean" },
    { name: "n", type: "integer", nullable: true },
  ],
};

/** A delta as the log would hold it. Its id plays no part in a lake. */
export function delta(content: Partial<Delta> & { readonly op: DeltaOp }): Delta {
  return {
    table: "todos",
    rowId: "r",
    clientId: "alice",
    hlc: "1",
    columns: [],
    deltaId: "",
    ...content,
  };
}

/** Columns in their wire form. */
export function columnsOf(
  values: { readonly [name: string]: ColumnChange["value"] },
): ColumnChange[] {
  return Object.entries(values).map(([column, value]) => ({ column, value }));
}

/** An entry whose stamp, time and row follow from its seq. */
export function entry(
  seq: number,
  more: Partial<Delta> & { readonly at?: number } = {},
): FlushEntry {
  const { at = NOON + seq, ...content } = more;
  return {
    seq,
    at,
    delta: delta({
      op: "UPDATE",
      rowId: `r${seq % 7}`,
      hlc: String((BigInt(NOON) << 16n) + BigInt(seq)),
      columns: columnsOf({ title: `title ${seq}` }),
      ...content,
    }),
  };
}

/** Entries with seqs from `first` to `last`. */
export function entries(first: number, last: number): FlushEntry[] {
  return Array.from({ length: last - first + 1 }, (_, i) => entry(first + i));
}

/** What {@linkcode flush} writes. */
export interface FlushOptions {
  readonly from?: Watermark | undefined;
  readonly to?: Watermark;
  readonly schemas?: readonly TableSchema[];
  readonly id?: string;
  readonly chunk?: number;
  readonly signal?: AbortSignal;
}

/** Writes entries as one batch. */
export async function flush(
  destination: Destination,
  list: readonly FlushEntry[],
  options: FlushOptions = {},
): Promise<ReadonlyMap<string, FlushOutcome>> {
  const { from, to = { epoch: "e", seq: list.at(-1)?.seq ?? 0 }, schemas = [TODOS] } = options;
  const { id = "batch", chunk = 1000, signal } = options;
  const tables = new Map(
    schemas.map((schema): [string, FlushTable] => [schema.table, { schema, from }]),
  );
  async function* chunks(): AsyncGenerator<readonly FlushEntry[]> {
    for (let i = 0; i < list.length; i += chunk) {
      await Promise.resolve();
      yield list.slice(i, i + chunk);
    }
  }
  return unwrapOrThrow(
    await destination.write({
      id,
      to,
      tables,
      entries: chunks(),
      ...(signal !== undefined && { signal }),
    }),
  );
}

/** A row of a lake, by column name. */
export type LakeRow = ReadonlyMap<string, unknown>;

/** A file of a lake as another library reads it. */
export interface ReadFile {
  readonly key: string;
  readonly rows: readonly LakeRow[];
  readonly fieldIds: ReadonlyMap<string, number | undefined>;
  readonly keyValues: ReadonlyMap<string, string | undefined>;
}

/** The files of a table, read by hyparquet: timestamps as bigint microseconds. */
export async function readFiles(
  lake: ObjectStore | Catalogue,
  table: string,
  snapshotId?: bigint,
): Promise<ReadFile[]> {
  const [place, store] = "store" in lake
    ? [{ catalogue: lake }, lake.store]
    : [{ store: lake }, lake];
  const options = snapshotId === undefined ? {} : { snapshotId };
  const scan = unwrapOrThrow(await icebergLake(place).scan(table, options));
  const files: ReadFile[] = [];
  for (const { key } of scan.files) files.push(await readFile(store, key));
  return files;
}

async function readFile(store: ObjectStore, key: string): Promise<ReadFile> {
  const bytes = unwrapOrThrow(await store.get(key));
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const metadata = parquetMetadata(file as ArrayBuffer);
  const elements = metadata.schema.slice(1);
  const rows: LakeRow[] = [];
  await parquetRead({
    file: {
      byteLength: bytes.length,
      slice: (start, end) => file.slice(start, end) as ArrayBuffer,
    },
    metadata,
    utf8: false,
    compressors: { ZSTD: (input) => new Uint8Array(zlib.zstdDecompressSync(input)) },
    parsers: { timestampFromMicroseconds: (micros) => micros },
    onComplete: (read) => {
      for (const row of read) {
        rows.push(new Map(elements.map(({ name }, i) => [name, row[i] ?? null])));
      }
    },
  });
  return {
    key,
    rows,
    fieldIds: new Map(elements.map(({ name, field_id }) => [name, field_id])),
    keyValues: new Map((metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value])),
  };
}

/** All rows of a table in the order of their seqs. */
export async function readRows(
  store: ObjectStore | Catalogue,
  table: string,
  snapshotId?: bigint,
): Promise<LakeRow[]> {
  const rows = (await readFiles(store, table, snapshotId)).flatMap((file) => file.rows);
  return rows.sort((a, b) => Number(a.get("_seq")) - Number(b.get("_seq")));
}

/** The seqs in a table, in order; one that is there twice is there twice. */
export async function readSeqs(
  store: ObjectStore | Catalogue,
  table: string,
  snapshotId?: bigint,
): Promise<number[]> {
  return (await readRows(store, table, snapshotId)).map((row) => Number(row.get("_seq")));
}

/** All keys of a store. */
export async function allKeys(store: ObjectStore, prefix: string = ""): Promise<string[]> {
  const page = unwrapOrThrow(await store.list(prefix, { limit: 100_000 }));
  return page.objects.map(({ key }) => key);
}
