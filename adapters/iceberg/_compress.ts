import * as zlib from "node:zlib";

// Looked up by name: runtimes before Deno 2.6 and Node.js 22.15 lack it.
const zstd: unknown = Reflect.get(zlib, "zstdCompressSync");

/** How data files are compressed: zstd, or snappy where the runtime has no zstd. */
export const CODEC: "ZSTD" | "SNAPPY" = typeof zstd === "function" ? "ZSTD" : "SNAPPY";

/** Compressors beyond those that the Parquet library has itself. */
export const COMPRESSORS: { readonly ZSTD?: (bytes: Uint8Array) => Uint8Array } =
  typeof zstd === "function" ? { ZSTD: (bytes) => zstd(bytes) as Uint8Array } : {};
