import {
  type Clock,
  type Destination,
  err,
  type FlushBatch,
  type FlushEntry,
  HybridClock,
  indexTables,
  LakeSyncError,
  type LogStore,
  ok,
  type Random,
  type Result,
  type Source,
  type SourceBatch,
  systemClock,
  systemRandom,
  type TableSchema,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";
import { CopiedRecords } from "./_copied_records.ts";
import { type CopyPlace, CopyPlaces } from "./_copy_place.ts";

/** Options of {@linkcode copySource}. */
export interface CopySourceOptions {
  /** The table that all records go to. */
  readonly table: TableSchema;
  /** Where the copy's place is kept: a log store, or anything that keeps a text durably. */
  readonly places: Pick<LogStore, "getValue" | "setValue">;
  /**
   * How many records one commit has, some thousands more or less.
   *
   * @default {250_000}
   */
  readonly commitRecords?: number;
  /**
   * Makes stamps.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Names what it commits.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
  /**
   * Called after each commit.
   *
   * @default {undefined} nobody is told
   */
  readonly onCommit?: (report: CopyReport) => void;
  /** Stops it between commits; the next call goes on there. */
  readonly signal?: AbortSignal;
}

/** What was copied. */
export interface CopyReport {
  /** How many records, each as one delta. */
  readonly records: number;
}

/** How many seqs a commit has: what it does not use is left out. */
const COMMIT_SEQS = 2 ** 21;
const COMMIT_RECORDS = 250_000;

/**
 * Copies what a source has straight into a destination, without a log between: each record once,
 * through crashes and lost answers. What is kept is one place. It is written before a commit, with the
 * commit's watermark in it; whether the destination has that watermark then tells whether the commit
 * took place. Called again it goes on behind what was copied, so it also copies what is new.
 *
 * Every `upsert` becomes an INSERT with the columns that the record names, so records have to be whole
 * rows: those of `sqlCursorSource`, of a file. The source is read by its exact cursor. A
 * source that keeps something for its readers (`sqlDiffSource`) cannot be copied.
 *
 * @param source The source.
 * @param to The destination, whose table only this copy writes to.
 * @param options The table, and where the place is kept.
 * @returns What was copied. The source's or the destination's failure, `SCHEMA_ERROR` for a record
 * that does not fit the table, `CONFLICT` where the destination's table has something of anybody else:
 * what was committed before stays.
 * @throws {TypeError} Where `commitRecords` is not a whole number from 1 to 1,000,000.
 *
 * @example A file into a lake in memory
 * ```ts
 * import { icebergDestination } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { copySource, recordSource } from "@lakesync/adapter-sources";
 * import { defineTable, ok, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const todos = defineTable("todos", { title: string() });
 * const source = recordSource({
 *   name: "todos",
 *   // deno-lint-ignore require-await -- a file would wait
 *   records: async function* () {
 *     yield "buy milk";
 *   },
 *   change: (title, index) => ({
 *     op: "upsert",
 *     table: "todos",
 *     rowId: `t${index}`,
 *     columns: new Map([["title", title]]),
 *   }),
 * });
 * const kept = new Map<string, string | null>();
 * const places = {
 *   getValue: (key: string) => Promise.resolve(ok(kept.get(key) ?? undefined)),
 *   setValue: (key: string, value: string | null) => Promise.resolve(ok(void kept.set(key, value))),
 * };
 * const lake = icebergDestination({ store: memoryObjectStore() });
 * const copied = await copySource(source, lake, { table: todos.schema, places });
 * assertEquals(unwrapOrThrow(copied).records, 1);
 * ```
 */
export async function copySource(
  source: Source & { readonly stateful?: boolean },
  to: Destination,
  options: CopySourceOptions,
): Promise<Result<CopyReport>> {
  const { commitRecords = COMMIT_RECORDS } = options;
  if (!Number.isSafeInteger(commitRecords) || commitRecords < 1 || commitRecords > 1_000_000) {
    throw new TypeError(
      `Cannot commit ${commitRecords} records: not a whole number from 1 to 1,000,000`,
    );
  }
  if (source.stateful === true) {
    return err(
      new LakeSyncError(
        "VALIDATION_ERROR",
        `Cannot copy source "${source.name}": it keeps something for its reader, read it by a flow`,
      ),
    );
  }
  const copy = new Copy(source, to, { ...options, commitRecords });
  try {
    return ok(await copy.run());
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "INTERNAL"));
  }
}

class Copy {
  readonly #source: Source;
  readonly #to: Destination;
  readonly #options: CopySourceOptions & { readonly commitRecords: number };
  readonly #places: CopyPlaces;
  readonly #epoch: string;
  #records = 0;

  constructor(
    source: Source,
    to: Destination,
    options: CopySourceOptions & { readonly commitRecords: number },
  ) {
    const { places, random = systemRandom, table } = options;
    this.#source = source;
    this.#to = to;
    this.#options = options;
    this.#places = new CopyPlaces(`copy:${source.name}:${to.name}:${table.table}`, places);
    // Of this call alone: no other one gives the same watermark to something else.
    this.#epoch = random.uuid();
  }

  async run(): Promise<CopyReport> {
    const { signal } = this.#options;
    let place = await this.#places.open(await this.#watermark());
    const reading = this.#source.read({
      cursor: place.cursor,
      ...(signal !== undefined && { signal }),
    })[Symbol.asyncIterator]();
    try {
      for (let next: CopyPlace | undefined = place; next !== undefined;) {
        if (signal?.aborted === true) throw stopped(this.#source, signal);
        place = next;
        next = await this.#commit(place, reading);
      }
    } finally {
      await reading.return?.();
    }
    return { records: this.#records };
  }

  /** Copies as much as a commit has; undefined where the source is at its end. */
  async #commit(
    place: CopyPlace,
    reading: AsyncIterator<Result<SourceBatch>>,
  ): Promise<CopyPlace | undefined> {
    const { table, signal, onCommit } = this.#options;
    const to: Watermark = { epoch: this.#epoch, seq: place.seq + COMMIT_SEQS };
    const copied: { next: CopyPlace | undefined; records: number } = {
      next: undefined,
      records: 0,
    };
    const batch: FlushBatch = {
      id: `${to.epoch}-${to.seq}`,
      to,
      tables: new Map([[table.table, { schema: table, from: place.mark }]]),
      entries: this.#entries(reading, { place, to, copied }),
      ...(signal !== undefined && { signal }),
    };
    const written = await this.#to.write(batch);
    if (!written.ok) throw written.error;
    const outcome = written.value.get(table.table);
    if (outcome?.status === "failed") throw outcome.error;
    if (outcome?.status === "moved") throw moved(this.#to, table);
    const { next, records } = copied;
    if (next === undefined) return undefined;
    await this.#places.done(next);
    this.#records += records;
    if (records > 0) onCommit?.({ records: this.#records });
    return next;
  }

  /** The entries of a commit. When they end, its place is kept: only then the destination commits. */
  async *#entries(
    reading: AsyncIterator<Result<SourceBatch>>,
    { place, to, copied }: {
      place: CopyPlace;
      to: Watermark;
      copied: { next: CopyPlace | undefined; records: number };
    },
  ): AsyncGenerator<readonly FlushEntry[]> {
    const { table, clock = systemClock, commitRecords } = this.#options;
    const stamps = new HybridClock({
      clock,
      ...(place.hlc !== undefined && { last: place.hlc }),
    });
    const records = new CopiedRecords({
      source: this.#source.name,
      table: indexTables([table]).get(table.table)!,
      stamps,
      clock,
      seq: place.seq,
    });
    let { cursor } = place;
    while (records.count < commitRecords) {
      const read = await reading.next();
      if (read.done === true) break;
      if (!read.value.ok) throw read.value.error;
      cursor = read.value.value.cursor;
      const entries = records.entries(read.value.value.changes);
      if (entries.length > 0) yield entries;
    }
    if (cursor === place.cursor) return;
    const common = { cursor, hlc: stamps.last };
    copied.records = records.count;
    copied.next = records.count === 0
      ? { ...place, ...common }
      : { mark: to, seq: to.seq, ...common };
    if (records.count > 0) await this.#places.intend(copied.next);
  }

  async #watermark(): Promise<Watermark | undefined> {
    const { table } = this.#options.table;
    const marks = await this.#to.watermarks([table]);
    if (!marks.ok) throw marks.error;
    return marks.value.get(table);
  }
}

function stopped({ name }: Source, signal: AbortSignal): LakeSyncError {
  return new LakeSyncError(
    "ABORTED",
    `The copy of "${name}" was stopped: start it again to go on`,
    {
      cause: signal.reason,
    },
  );
}

function moved({ name }: Destination, { table }: TableSchema): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Cannot copy to "${table}" in "${name}": somebody else writes to it, stop one of the two`,
    { details: { table } },
  );
}
