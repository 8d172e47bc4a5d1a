import { pipeline, Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { corrupt, readFileChunks } from "./_file.ts";
import type { Records } from "./record_source.ts";

/** A line of a CSV file: its texts by the names in the first line. Its prototype is null. */
export type CsvRecord = { readonly [column: string]: string };

/** Options of {@linkcode csvRecords}. */
export interface CsvRecordsOptions {
  /**
   * What stands between fields.
   *
   * @default {","}
   */
  readonly delimiter?: string;
}

/**
 * The records of a CSV file (RFC 4180, UTF-8 with or without a byte order mark) whose first line
 * names the columns. It is read when it is iterated, in bounded memory.
 *
 * @param path The file.
 * @param options How it is written.
 * @returns The records. Iterating throws a `LakeSyncError`: `NOT_FOUND`, `STORAGE_ERROR`, or
 * `CORRUPT` where a line is not CSV or has more or fewer fields than the first.
 * @see {@link https://www.rfc-editor.org/rfc/rfc4180 | RFC 4180}
 *
 * @example Count the lines of a file
 * ```ts
 * import { csvRecords } from "@lakesync/adapter-sources";
 *
 * async function count(path: string): Promise<number> {
 *   let lines = 0;
 *   for await (const _ of csvRecords(path)()) lines++;
 *   return lines;
 * }
 *
 * console.assert(typeof count === "function");
 * ```
 */
export function csvRecords(path: string, options: CsvRecordsOptions = {}): Records<CsvRecord> {
  const { delimiter = "," } = options;
  return () => readCsv(path, delimiter);
}

async function* readCsv(path: string, delimiter: string): AsyncGenerator<CsvRecord> {
  const parser = parse({ bom: true, delimiter });
  // A failure of the file ends the parser with it, so it comes out of the loop below.
  pipeline(Readable.from(readFileChunks(path)), parser, () => {});
  let header: readonly string[] | undefined;
  try {
    for await (const line of parser) {
      const fields = line as string[];
      if (header === undefined) {
        header = fields;
        const twice = header.find((name, i) => fields.indexOf(name) < i);
        if (twice !== undefined) {
          throw corrupt(path, { reason: `its first line names column "${twice}" twice` });
        }
        continue;
      }
      const record: { [column: string]: string } = Object.create(null);
      for (const [i, name] of header.entries()) record[name] = fields[i]!;
      yield record;
    }
  } catch (thrown) {
    throw thrown instanceof CsvError
      ? corrupt(path, { reason: thrown.message, cause: thrown })
      : thrown;
  }
}
