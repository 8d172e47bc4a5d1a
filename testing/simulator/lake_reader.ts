import { parquetRead } from "hyparquet";
import * as zlib from "node:zlib";
import { type Catalogue, icebergLake } from "@lakesync/adapter-iceberg";
import { type LakeFile, type Result, unwrapOrThrow, type Watermark } from "@lakesync/core";

/** A row of a table in the lake, by column; stamps and timestamps are bigints. */
export type LakeRow = ReadonlyMap<string, unknown>;

/** The branch of the rows that do not show, as docs/lake.md has it. */
const HIDDEN_BRANCH = "lakesync_hidden";

/** The rows of a table's changelog at a snapshot, by default the newest, in the order of their seqs. */
export async function readChanges(
  lake: Catalogue,
  table: string,
  snapshotId?: bigint,
): Promise<LakeRow[]> {
  const rows = await readTable(lake, `${table}_changes`, snapshotId);
  return rows.sort((a, b) => Number(a.get("_seq")) - Number(b.get("_seq")));
}

/** The rows of a table at a snapshot; none where there is no table. */
export async function readTable(
  lake: Catalogue,
  name: string,
  snapshotId?: bigint,
): Promise<LakeRow[]> {
  const scan = await icebergLake({ catalogue: lake }).scan(
    name,
    snapshotId === undefined ? {} : { snapshotId },
  );
  if (!scan.ok && scan.error.code === "NOT_FOUND" && snapshotId === undefined) return [];
  const rows: LakeRow[] = [];
  for (const file of unwrapOrThrow(scan).files) {
    const bytes = unwrapOrThrow(await lake.store.get(file.key));
    const read = await readOnce(lake, { key: file.key, bytes });
    const gone = await goneOf(file);
    rows.push(...read.filter((_, place) => !gone.has(place)));
  }
  return rows;
}

/** A snapshot that a table remembers. */
export interface Remembered {
  readonly id: bigint;
  readonly watermark: Watermark | undefined;
}

/** The snapshots that a table of the lake remembers, by branch; the newest of each is the last. */
export async function snapshotsOf(
  lake: Catalogue,
  name: string,
): Promise<{ readonly main: readonly Remembered[]; readonly hidden: bigint | undefined }> {
  const version = unwrapOrThrow(await lake.load(name));
  if (version === undefined) return { main: [], hidden: undefined };
  const { metadata } = version;
  const byId = new Map(metadata.snapshots.map((one) => [one["snapshot-id"], one]));
  const main: Remembered[] = [];
  let id = metadata["current-snapshot-id"];
  for (let one = byId.get(id ?? 0n); one !== undefined; one = byId.get(id ?? 0n)) {
    const epoch = one.summary["lakesync.epoch"];
    const seq = Number(one.summary["lakesync.seq"]);
    main.unshift({
      id: one["snapshot-id"],
      watermark: epoch === undefined ? undefined : { epoch, seq },
    });
    id = one["parent-snapshot-id"];
  }
  return { main, hidden: metadata.refs?.[HIDDEN_BRANCH]?.["snapshot-id"] };
}

/** How far a table of the lake is; undefined where it does not say. */
export async function readWatermark(
  lake: Catalogue,
  name: string,
): Promise<Watermark | undefined> {
  return unwrapOrThrow(await icebergLake({ catalogue: lake }).scan(name)).watermark;
}

/** The places of the rows in a file that are gone. */
async function goneOf(file: LakeFile): Promise<ReadonlySet<number>> {
  const { gone } = file as LakeFile & { gone?: () => Promise<Result<readonly number[]>> };
  return new Set(gone === undefined ? [] : unwrapOrThrow(await gone()));
}

/** What was read of a lake's files, by their keys: a file stays as it is. */
const known: WeakMap<Catalogue, Map<string, readonly LakeRow[]>> = new WeakMap();

async function readOnce(
  lake: Catalogue,
  { key, bytes }: { key: string; bytes: Uint8Array },
): Promise<readonly LakeRow[]> {
  let files = known.get(lake);
  if (files === undefined) known.set(lake, files = new Map());
  let rows = files.get(key);
  if (rows === undefined) files.set(key, rows = await readFile(bytes));
  return rows;
}

async function readFile(bytes: Uint8Array): Promise<LakeRow[]> {
  const { buffer, byteOffset, length } = bytes;
  const rows: LakeRow[] = [];
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
