import { decompress as unzstd } from "fzstd";

/** What of the runtime's own zlib is used, where it has it. */
interface Zlib {
  readonly gunzipSync: (bytes: Uint8Array) => Uint8Array;
  /** Runtimes before Deno 2.6 and Node.js 22.15 lack it. */
  readonly zstdCompressSync?: (bytes: Uint8Array) => Uint8Array;
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: { chunkSize: number }) => Uint8Array;
}

/** A runtime's `process`; a page has none. */
interface Runtime {
  readonly getBuiltinModule?: (name: string) => unknown;
}

// Asked for and not imported: what reads files runs in pages too, whose bundlers know no such module.
const runtime = Reflect.get(globalThis, "process") as Runtime | undefined;
const zlib = runtime?.getBuiltinModule?.("node:zlib") as Zlib | undefined;
const { zstdCompressSync, zstdDecompressSync } = zlib ?? {};

/** How data files are compressed: zstd, or snappy where the runtime has no zstd. */
export const CODEC: "ZSTD" | "SNAPPY" = zstdCompressSync === undefined ? "SNAPPY" : "ZSTD";

/** Compressors beyond those that the Parquet library has itself. */
export const COMPRESSORS: { readonly ZSTD?: (bytes: Uint8Array) => Uint8Array } =
  zstdCompressSync === undefined ? {} : { ZSTD: (bytes) => zstdCompressSync(bytes) };

/** The least that zlib takes. */
const LEAST_CHUNK = 64;
/** No page is larger; a damaged file may say so. */
const MOST_CHUNK = 64 * 1024 * 1024;

/** What unpacks pages of Parquet files, beyond what the Parquet library has itself. */
export const DECOMPRESSORS: {
  readonly GZIP?: (bytes: Uint8Array) => Uint8Array;
  readonly ZSTD: (bytes: Uint8Array, length: number) => Uint8Array;
} = {
  ...(zlib !== undefined && {
    GZIP: (bytes: Uint8Array): Uint8Array => new Uint8Array(zlib.gunzipSync(bytes)),
  }),
  ZSTD: zstdDecompressSync === undefined
    ? (bytes, length) => unzstd(bytes, new Uint8Array(Math.min(length, MOST_CHUNK)))
    // At once: by default it unpacks 16 KiB at a time, which takes half as long again. With one byte
    // more than there are it need not look for others in a second chunk, a tenth.
    : (bytes, length) =>
      zstdDecompressSync(bytes, {
        chunkSize: Math.min(Math.max(length + 1, LEAST_CHUNK), MOST_CHUNK),
      }),
};
