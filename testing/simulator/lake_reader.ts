import { parquetRead } from "hyparquet";
import * as zlib from "node:zlib";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { type ObjectStore, unwrapOrThrow, type Watermark } from "@lakesync/core";

/** A row of a changelog in the lake, by column; stamps and timestamps are bigints. */
export type ChangeRow = ReadonlyMap<string, unknown>;

/** The rows of a table's changelog, in the order of their seqs. */
export async function readChanges(store: ObjectStore, table: string): Promise<ChangeRow[]> {
  const name = `${table}_changes`;
  const lake = icebergLake({ store });
  if (!unwrapOrThrow(await lake.tables()).includes(name)) return [];
  const rows: ChangeRow[] = [];
  for (const { key } of unwrapOrThrow(await lake.scan(name)).files) {
    rows.push(...await readFile(unwrapOrThrow(await store.get(key))));
  }
  return rows.sort((a, b) => Number(a.get("_seq")) - Number(b.get("_seq")));
}

/** How far a table of the lake is; undefined where it does not say. */
export async function readWatermark(
  store: ObjectStore,
  name: string,
): Promise<Watermark | undefined> {
  return unwrapOrThrow(await icebergLake({ store }).scan(name)).watermark;
}

async function readFile(bytes: Uint8Array): Promise<ChangeRow[]> {
  const { buffer, byteOffset, length } = bytes;
  const rows: ChangeRow[] = [];
  await parquetRead({
    file: {
      byteLength: length,
      slice: (start, end) =>
        buffer.slice(byteOffset + start, byteOffset + (end ?? length)) as ArrayBuffer,
    },
    rowFormat: "object",
    compressors: { ZSTD: (input) => new Uint8Array(zlib.zstdDecompressSync(input)) },
    parsers: { timestampFromMicroseconds: (micros) => micros },
    onComplete: (read) => {
      for (const row of read) rows.push(new Map(Object.entries(row)));
    },
  });
  return rows;
}
