import type { JsonValue } from "@lakesync/core";
import { corrupt, readFileChunks } from "./_file.ts";
import { splitJsonArray } from "./_json_split.ts";
import type { Records } from "./record_source.ts";

/**
 * The items of a file that is one JSON array (UTF-8). It is read when it is iterated, in memory
 * bounded by its largest item.
 *
 * @param path The file.
 * @returns The items. Iterating throws a `LakeSyncError`: `NOT_FOUND`, `STORAGE_ERROR`, or `CORRUPT`
 * where the file is not a JSON array; the items before the damage have come by then.
 *
 * @example A file as a source
 * ```ts
 * import { jsonRecords, recordSource } from "@lakesync/adapter-sources";
 * import type { JsonValue, Source } from "@lakesync/core";
 *
 * function flights(path: string): Source {
 *   return recordSource({
 *     name: "flights",
 *     records: jsonRecords(path),
 *     change: (flight, index) => ({
 *       op: "upsert",
 *       table: "flights",
 *       rowId: String(index),
 *       columns: new Map(Object.entries(flight as { [column: string]: JsonValue })),
 *     }),
 *   });
 * }
 *
 * console.assert(flights("flights-200k.json").name === "flights");
 * ```
 */
export function jsonRecords(path: string): Records<JsonValue> {
  return () => readJson(path);
}

async function* readJson(path: string): AsyncGenerator<JsonValue> {
  let items = 0;
  try {
    for await (const texts of splitJsonArray(decode(readFileChunks(path)))) {
      for (const text of texts) {
        yield JSON.parse(text) as JsonValue;
        items++;
      }
    }
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError || thrown instanceof TypeError)) throw thrown;
    throw corrupt(path, {
      reason: `it is not a JSON array, see after item ${items}: ${thrown.message}`,
      cause: thrown,
    });
  }
}

/** Throws `TypeError` where the bytes are not UTF-8. */
async function* decode(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}
