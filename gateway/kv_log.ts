import { cutBytes, joinBytes, readPieces } from "./kv_blob.ts";
import {
  deltaOf,
  type KvChunk,
  type KvLogEntry,
  type PackedChunk,
  unpackChunk,
} from "./kv_chunk.ts";
import { type KvWrite, VALUE_BYTES } from "./kv_database.ts";
import type { KvContext } from "./kv_head.ts";

/** Where the chunks of an append are that did not fit into one atomic. */
export interface KvDirectory {
  /** The blob that has them one after the other. */
  readonly id: string;
  /** How many pieces the blob has. */
  readonly pieces: number;
  /** The first chunk's first seq. */
  readonly first: number;
  /** For each chunk how many entries and how many pieces it has: `"12:1,1:18"`. A text, to be short. */
  readonly chunks: string;
}

/** What stands under a seq in the log. */
export interface KvLogRecord {
  /** The seq of its last entry. */
  readonly last: number;
  /** Where its chunks are, where it is not a chunk itself. */
  readonly directory: KvDirectory | undefined;
  /** Its chunks; it ends early where some are gone. */
  chunks(): AsyncGenerator<KvChunk>;
}

/** So many chunks are kept in memory as they were read. */
const CACHED = 64;
/** So many records of the log are read at once. */
const BATCH = 8;

/** Reads the log. Chunks never change, so those read last are kept. */
export class KvLog {
  readonly #context: KvContext;
  readonly #cache = new Map<number, KvChunk>();
  readonly #ids = new WeakMap<KvChunk, Map<string, KvLogEntry>>();

  constructor(context: KvContext) {
    this.#context = context;
  }

  /** The chunk that has a seq; undefined where there is none. */
  async chunkAt(seq: number): Promise<KvChunk | undefined> {
    for await (const chunk of this.#chunksFrom(seq, 1)) return chunk;
    return undefined;
  }

  /** The entry of a seq; undefined where there is none. */
  async entryAt(seq: number): Promise<KvLogEntry | undefined> {
    const chunk = await this.chunkAt(seq);
    return chunk?.entries[seq - chunk.last - 1 + chunk.entries.length];
  }

  /**
   * Entries of consecutive seqs, in the chunks' portions. It ends early where entries are gone.
   *
   * @param after The seq before the first.
   * @param through The last seq.
   */
  async *read(after: number, through: number): AsyncGenerator<readonly KvLogEntry[]> {
    let next = after + 1;
    if (next > through) return;
    for await (const { entries, last } of this.#chunksFrom(next, BATCH)) {
      const first = last - entries.length + 1;
      if (first > next) return;
      yield entries.slice(next - first, through - first + 1);
      next = last + 1;
      if (next > through) return;
    }
  }

  /**
   * The records from a seq on, with their chunks from there on.
   *
   * @param seq The seq.
   * @param batchSize So many records are read at once.
   */
  async *records(seq: number, batchSize: number = BATCH): AsyncGenerator<KvLogRecord> {
    const { kv, keys } = this.#context;
    const only = batchSize === 1 ? { limit: 1 } : {};
    for await (const { key, value } of kv.list(keys.logFrom(seq), { batchSize, ...only })) {
      const last = key.at(-1) as number;
      if (value instanceof Uint8Array) {
        yield { last, directory: undefined, chunks: () => this.#inline(last, value) };
      } else {
        const directory = value as KvDirectory;
        yield { last, directory, chunks: () => this.#chunksOf(directory, seq) };
      }
    }
  }

  /** The entry of a delta in a chunk. */
  entryOf(chunk: KvChunk, deltaId: string): KvLogEntry | undefined {
    let ids = this.#ids.get(chunk);
    if (ids === undefined) {
      ids = new Map(chunk.entries.map((item) => [deltaOf(item).deltaId, item]));
      this.#ids.set(chunk, ids);
    }
    return ids.get(deltaId);
  }

  async *#chunksFrom(seq: number, batchSize: number): AsyncGenerator<KvChunk> {
    for await (const record of this.records(seq, batchSize)) yield* record.chunks();
  }

  async *#inline(last: number, bytes: Uint8Array): AsyncGenerator<KvChunk> {
    yield this.#unpack(last, bytes);
  }

  async *#chunksOf(directory: KvDirectory, seq: number): AsyncGenerator<KvChunk> {
    const { id, first, chunks } = directory;
    let piece = 0;
    let last = first - 1;
    for (const chunk of chunks.split(",")) {
      const [entries = 0, pieces = 0] = chunk.split(":").map(Number);
      last += entries;
      if (last >= seq) {
        const cached = this.#cache.get(last);
        if (cached !== undefined) yield cached;
        else {
          const { keys } = this.#context;
          const names = Array.from({ length: pieces }, (_, i) => keys.blob(id, piece + i));
          const read = await readPieces(this.#context, names);
          if (read === undefined) return;
          yield this.#unpack(last, joinBytes(read));
        }
      }
      piece += pieces;
    }
  }

  #unpack(last: number, bytes: Uint8Array): KvChunk {
    const cached = this.#cache.get(last);
    const chunk = cached ?? unpackChunk(bytes);
    if (bytes.length > VALUE_BYTES) return chunk;
    this.#cache.delete(last);
    this.#cache.set(last, chunk);
    if (this.#cache.size > CACHED) this.#cache.delete(this.#cache.keys().next().value!);
    return chunk;
  }
}

/** The chunks as values of the log itself; undefined where one is too large for that. */
export function inlineChunks(
  { keys }: KvContext,
  chunks: readonly PackedChunk[],
): KvWrite[] | undefined {
  if (chunks.some(({ bytes }) => bytes.length > VALUE_BYTES)) return undefined;
  return chunks.map(({ last, bytes }) => ({ key: keys.log(last), value: bytes }));
}

/** The chunks as pieces of a blob, and what its directory says of them. */
export function blobOfChunks(
  chunks: readonly PackedChunk[],
): { pieces: Uint8Array[]; directory: Omit<KvDirectory, "id"> } {
  const cut = chunks.map(({ bytes }) => cutBytes(bytes));
  const pieces = cut.flat();
  return {
    pieces,
    directory: {
      pieces: pieces.length,
      first: chunks[0]!.entries[0]!.entry.seq,
      chunks: chunks.map(({ entries }, i) => `${entries.length}:${cut[i]!.length}`).join(","),
    },
  };
}
