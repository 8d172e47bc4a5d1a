import { appendFile, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { LakeSyncError } from "@lakesync/core";
import type { Cell } from "./_cells.ts";
import { ChangeList, type Changes } from "./compact_change_list.ts";
import { Scratch } from "./scratch.ts";

/** So many bytes before those of changes say how many these are. */
const HEAD = 4;

/** Changes in temporary files, one for those that are folded together. */
export class PartedChanges {
  readonly #scratch: Scratch;
  readonly #columns: number;
  readonly #groups: Set<number> = new Set();

  private constructor(scratch: Scratch, columns: number) {
    this.#scratch = scratch;
    this.#columns = columns;
  }

  /**
   * Makes room for changes. Throws a `STORAGE_ERROR`, as what follows does.
   *
   * @param columns How many columns the app has.
   */
  static async open(columns: number): Promise<PartedChanges> {
    return await guarded(async () => new PartedChanges(await Scratch.open("changes"), columns));
  }

  /** Adds changes, each to the group of its bucket. */
  async add(changes: Changes, groupOf: (bucket: number) => number): Promise<void> {
    const lists = new Map<number, ChangeList>();
    for (let row = 0; row < changes.id.length; row++) {
      const group = groupOf(changes.bucket[row]!);
      let list = lists.get(group);
      if (list === undefined) lists.set(group, list = new ChangeList(this.#columns));
      list.add(changes, row);
    }
    for (const [group, list] of lists) {
      this.#groups.add(group);
      const packed = serialize(packChanges(list));
      const bytes = new Uint8Array(HEAD + packed.length);
      new DataView(bytes.buffer).setUint32(0, packed.length);
      bytes.set(packed, HEAD);
      await guarded(() => appendFile(this.#path(group), bytes));
    }
  }

  /** The groups that have changes. */
  groups(): Iterable<number> {
    return this.#groups;
  }

  /** Reads a group, and removes it. */
  async read(group: number): Promise<ChangeList> {
    const path = this.#path(group);
    const bytes = await guarded(() => readFile(path));
    await guarded(() => rm(path));
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const list = new ChangeList(this.#columns);
    for (let start = 0; start < bytes.length;) {
      const end = start + HEAD + view.getUint32(start);
      list.addAll(unpackChanges(deserialize(bytes.subarray(start + HEAD, end)) as PackedChanges));
      start = end;
    }
    return list;
  }

  /** Removes all. */
  async close(): Promise<void> {
    await this.#scratch.close();
  }

  #path(group: number): string {
    return join(this.#scratch.directory, String(group));
  }
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LakeSyncError(
      "STORAGE_ERROR",
      `Cannot part changes in ${tmpdir()}: ${reason}; free space there, or set TMPDIR`,
      { cause },
    );
  }
}

/** Cells as they are stored: to store each text by itself takes five times as long. */
type Packed =
  /** Texts one behind the other, where each ends, -1 for a null. */
  | { readonly text: string; readonly ends: Int32Array }
  /** Texts that come again and again. */
  | { readonly values: readonly (string | null)[]; readonly places: Uint16Array }
  | { readonly longs: BigInt64Array }
  | { readonly cells: readonly Cell[] };

interface PackedChanges {
  readonly bucket: Uint16Array;
  readonly columns: readonly Packed[];
}

function packChanges({ bucket, id, op, hlc, clientId, carried, cells }: ChangeList): PackedChanges {
  return {
    bucket: Uint16Array.from(bucket),
    columns: [id, op, hlc, clientId, carried, ...cells].map(pack),
  };
}

function unpackChanges({ bucket, columns }: PackedChanges): Changes {
  const [id, op, hlc, clientId, carried, ...cells] = columns.map(unpack);
  return {
    bucket,
    id: id as ArrayLike<string>,
    op: op as ArrayLike<string>,
    hlc: hlc as ArrayLike<bigint>,
    clientId: clientId as ArrayLike<string>,
    carried: carried as ArrayLike<string | null>,
    cells,
  };
}

/** With no more different ones than this they are stored once each. */
const FEW = 64;

function pack(cells: readonly Cell[]): Packed {
  if (cells.every((cell) => typeof cell === "bigint")) return { longs: BigInt64Array.from(cells) };
  if (!cells.every((cell) => cell === null || typeof cell === "string")) return { cells };
  const known = new Map<string | null, number>();
  const places = new Uint16Array(cells.length);
  for (let i = 0; i < cells.length && known.size <= FEW; i++) {
    let place = known.get(cells[i]!);
    if (place === undefined) known.set(cells[i]!, place = known.size);
    places[i] = place;
  }
  if (known.size <= FEW) return { values: [...known.keys()], places };
  let end = 0;
  const ends = Int32Array.from(cells, (cell) => cell === null ? -1 : end += cell.length);
  return { text: cells.join(""), ends };
}

function unpack(packed: Packed): ArrayLike<Cell> {
  if ("longs" in packed) return packed.longs;
  if ("cells" in packed) return packed.cells;
  if ("values" in packed) {
    const { values, places } = packed;
    return Array.from(places, (place) => values[place]!);
  }
  const { text, ends } = packed;
  let start = 0;
  return Array.from(ends, (end) => end < 0 ? null : text.slice(start, start = end));
}
