import {
  err,
  isIdentifier,
  LakeSyncError,
  ok,
  type Result,
  type Source,
  type SourceBatch,
  type SourceChange,
  toLakeSyncError,
} from "@lakesync/core";

/** Records in an order that never changes: each call gives them anew, from the first. */
export type Records<T> = () => Iterable<T> | AsyncIterable<T>;

/** Options of {@linkcode recordSource}. */
export interface RecordSourceOptions<T> {
  /** Names the source: an identifier. */
  readonly name: string;
  /** The records. Later ones may be added at the end; those that were read stay as they are. */
  readonly records: Records<T>;
  /**
   * What a record does.
   *
   * @param record The record.
   * @param index Its place, from 0.
   * @returns The change, its columns in wire form; undefined to pass the record over.
   */
  readonly change: (record: T, index: number) => SourceChange | undefined;
  /**
   * How many records make a batch.
   *
   * @default {2000}
   */
  readonly batchSize?: number;
}

const DEFAULT_BATCH_SIZE = 2000;

/**
 * A source of records that are at hand one after the other: a file, a list. Its cursor is the number
 * of records read, so it goes on where it was by passing over those.
 *
 * It fails with `VALIDATION_ERROR` for a cursor that is not its own, `CONFLICT` where there are fewer
 * records than were read before, `ABORTED` by its signal, and with what reading the records failed
 * with (`STORAGE_ERROR` where that has no code of its own). After a failure it ends.
 *
 * @typeParam T A record.
 * @param options Its name, its records and what they do.
 * @returns The source.
 * @throws {TypeError} Where the name is no identifier or the batch size no whole number from 1.
 *
 * @example A list as a source
 * ```ts
 * import { recordSource } from "@lakesync/adapter-sources";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const source = recordSource({
 *   name: "cities",
 *   records: () => ["Bern", "Graz", "Lyon"],
 *   change: (city, index) => ({
 *     op: "upsert",
 *     table: "cities",
 *     rowId: String(index),
 *     columns: new Map([["name", city]]),
 *   }),
 *   batchSize: 2,
 * });
 * const cursors: string[] = [];
 * for await (const batch of source.read({ cursor: undefined })) {
 *   cursors.push(unwrapOrThrow(batch).cursor);
 * }
 * assertEquals(cursors, ["2", "3"]);
 * ```
 */
export function recordSource<T>(options: RecordSourceOptions<T>): Source {
  const { name, batchSize = DEFAULT_BATCH_SIZE } = options;
  if (!isIdentifier(name)) throw new TypeError(`Cannot name a source "${name}": no identifier`);
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new TypeError(`Cannot read batches of ${batchSize} records: not a whole number from 1`);
  }
  return {
    name,
    async *read({ cursor, signal }) {
      try {
        yield* readBatches({ ...options, batchSize }, { cursor, signal });
      } catch (thrown) {
        yield err(toLakeSyncError(thrown, "STORAGE_ERROR"));
      }
    },
  };
}

async function* readBatches<T>(
  options: RecordSourceOptions<T> & { readonly batchSize: number },
  from: { cursor: string | undefined; signal: AbortSignal | undefined },
): AsyncGenerator<Result<SourceBatch>> {
  const { name, records, change, batchSize } = options;
  const start = parseCursor(name, from.cursor ?? "0");
  let count = 0;
  let changes: SourceChange[] = [];
  for await (const record of records()) {
    if (from.signal?.aborted === true) {
      throw new LakeSyncError("ABORTED", `Reading source "${name}" was stopped by its signal`);
    }
    const index = count++;
    if (index < start) continue;
    const made = change(record, index);
    if (made !== undefined) changes.push(made);
    if ((count - start) % batchSize === 0) {
      yield ok({ changes, cursor: String(count) });
      changes = [];
    }
  }
  if (count < start) {
    throw new LakeSyncError(
      "CONFLICT",
      `Cannot go on in source "${name}" after ${start} records: it has only ${count} now, so it is ` +
        "another one; read it from the beginning under another name",
    );
  }
  if ((count - start) % batchSize !== 0) yield ok({ changes, cursor: String(count) });
}

function parseCursor(name: string, cursor: string): number {
  const start = Number(cursor);
  if (!/^(?:0|[1-9][0-9]*)$/.test(cursor) || !Number.isSafeInteger(start)) {
    throw new LakeSyncError(
      "VALIDATION_ERROR",
      `Cannot read source "${name}" from cursor "${cursor}": it is not a count of records`,
    );
  }
  return start;
}
