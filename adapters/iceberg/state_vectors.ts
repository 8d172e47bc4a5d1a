import { crc32 } from "./_crc32.ts";
import type { DataFile } from "./manifest.ts";
import { decodePositions, encodePositions } from "./roaring.ts";

/**
 * Deletion vectors of format version 3: which rows of a data file are gone, in Puffin files.
 *
 * @see {@link https://iceberg.apache.org/puffin-spec/ | Iceberg, Puffin}
 */

const BLOB_TYPE = "deletion-vector-v1";
/** The field id of a row's position. */
const POSITION_FIELD = 2147483645;
const PUFFIN_MAGIC = Uint8Array.of(0x50, 0x46, 0x41, 0x31);
const VECTOR_MAGIC = Uint8Array.of(0xd1, 0xd3, 0x39, 0x64);
/** A vector's length before it, and its checksum behind it. */
const FRAME_BYTES = 4;

/** The vector of a file. */
export interface Vector {
  /** The file's URL. */
  readonly path: string;
  /** The bucket that it is of. */
  readonly bucket: number;
  /** The rows that are gone, in any order. */
  readonly positions: readonly number[];
}

/** What a manifest says of a vector, but for the file that it is in. */
export type VectorEntry = Omit<DataFile, "path" | "bytes">;

/** Collects vectors and makes a Puffin file of them. */
export class VectorFile {
  readonly #blobs: Uint8Array[] = [];
  readonly #entries: VectorEntry[] = [];
  /** How many bytes there are so far. */
  bytes: number = PUFFIN_MAGIC.length;

  /** How many vectors there are. */
  get count(): number {
    return this.#blobs.length;
  }

  /** Adds a file's vector: at least one position. */
  add({ path, bucket, positions }: Vector): void {
    const rising = Float64Array.from(new Set(positions)).sort();
    const blob = encodeVector([...rising]);
    this.#entries.push({
      ...NO_METRICS,
      content: 1,
      format: "PUFFIN",
      partition: bucket,
      rows: BigInt(rising.length),
      referencedDataFile: path,
      contentOffset: BigInt(this.bytes),
      contentSize: BigInt(blob.length),
      sortOrderId: null,
    });
    this.#blobs.push(blob);
    this.bytes += blob.length;
  }

  /** The file, and what a manifest says of its vectors. */
  encode(): { readonly bytes: Uint8Array; readonly entries: readonly VectorEntry[] } {
    const blobs = this.#entries.map((entry) => ({
      type: BLOB_TYPE,
      fields: [POSITION_FIELD],
      // Those of the commit, which is not made yet.
      "snapshot-id": -1,
      "sequence-number": -1,
      offset: Number(entry.contentOffset),
      length: Number(entry.contentSize),
      properties: {
        "referenced-data-file": entry.referencedDataFile,
        cardinality: String(entry.rows),
      },
    }));
    const properties = { "created-by": "LakeSync" };
    const footer = new TextEncoder().encode(JSON.stringify({ blobs, properties }));
    // The footer's length, and flags, of which none is set.
    const end = new Uint8Array(8);
    new DataView(end.buffer).setUint32(0, footer.length, true);
    return {
      bytes: joined([PUFFIN_MAGIC, ...this.#blobs, PUFFIN_MAGIC, footer, end, PUFFIN_MAGIC]),
      entries: this.#entries,
    };
  }
}

const NO_METRICS = {
  columnSizes: new Map(),
  valueCounts: new Map(),
  nullCounts: new Map(),
  lowerBounds: new Map(),
  upperBounds: new Map(),
  splitOffsets: [],
} as const;

function encodeVector(positions: readonly number[]): Uint8Array {
  const content = joined([VECTOR_MAGIC, encodePositions(positions)]);
  const head = new Uint8Array(FRAME_BYTES);
  new DataView(head.buffer).setUint32(0, content.length);
  const tail = new Uint8Array(FRAME_BYTES);
  new DataView(tail.buffer).setUint32(0, crc32(content));
  return joined([head, content, tail]);
}

/**
 * The rows that a vector says are gone.
 *
 * @param bytes The blob: the bytes of its file that its entry names.
 * @throws {RangeError} Where it is damaged.
 */
export function decodeVector(bytes: Uint8Array): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const content = bytes.subarray(FRAME_BYTES, -FRAME_BYTES);
  const whole = bytes.length > 2 * FRAME_BYTES && view.getUint32(0) === content.length &&
    VECTOR_MAGIC.every((byte, i) => content[i] === byte) &&
    view.getUint32(bytes.length - FRAME_BYTES) === crc32(content);
  if (!whole) throw new RangeError("a deletion vector is damaged: its checksum is another");
  return decodePositions(content.subarray(VECTOR_MAGIC.length));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
