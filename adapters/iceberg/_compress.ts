import * as zlib from "node:zlib";

// Looked up by name: runtimes before Deno 2.6 and Node.js 22.15 lack it.
const zstd: unknown = Reflect.get(zlib, "zstdCompressSync");

/** How data files are compressed: zstd, or snappy where the runtime has no zstd. */
export const CODEC: "ZSTD" | "SNAPPY" = typeof zstd === "function" ? "ZSTD" : "SNAPPY";

/** Compressors beyond those that the Parquet library has itself. */
export const COMPRESSORS: { readonly ZSTD?: (bytes: Uint8Array) => Uint8Array } =
  typeof zstd === "function" ? { ZSTD: (bytes) => zstd(bytes) as Uint8Array } : {};

/** The least that zlib takes. */
const LEAST_CHUNK = 64;
/** No page is larger; a damaged file may say so. */
const MOST_CHUNK = 64 * 1024 * 1024;

// Looked up by name, too.
const unzstd: unknown = Reflect.get(zlib, "zstdDecompressSync");

/** What unpacks pages of Parquet files, beyond what the Parquet library has itself. */
export const DECOMPRESSORS: {
  readonly GZIP: (bytes: Uint8Array) => Uint8Array;
  readonly ZSTD?: (bytes: Uint8Array, length: number) => Uint8Array;
} = {
  GZIP: (bytes) => new Uint8Array(zlib.gunzipSync(bytes)),
  ...(typeof unzstd === "function" && {
    // At once: by default it unpacks 16 KiB at a time, which takes half as long again. With one byte
    // more than there are it need not look for others in a second chunk, a tenth.
    ZSTD: (bytes: Uint8Array, length: number): Uint8Array =>
      unzstd(bytes, {
        chunkSize: Math.min(Math.max(length + 1, LEAST_CHUNK), MOST_CHUNK),
      }) as Uint8Array,
  }),
};
