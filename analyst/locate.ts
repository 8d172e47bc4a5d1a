import { fileURLToPath } from "node:url";
import type { LakeFile } from "@lakesync/core";

/**
 * Where DuckDB opens a data file: the path of a `file:` URL, any other URL as it is.
 *
 * @param file A data file.
 * @returns A path or URL.
 *
 * @example A lake in local files
 * ```ts
 * import { fileLocation } from "@lakesync/analyst";
 * import { assertEquals } from "@std/assert";
 *
 * const file = { url: "file:///lake/todos/a%20b.parquet", key: "", rows: 1, bytes: 1, hlc: undefined };
 * assertEquals(fileLocation(file), "/lake/todos/a b.parquet");
 * ```
 */
export function fileLocation(file: LakeFile): string {
  return file.url.startsWith("file:") ? fileURLToPath(file.url) : file.url;
}
