import { join } from "node:path";
import {
  DIGEST_BUCKETS,
  err,
  LakeSyncError,
  ok,
  type Random,
  type Result,
  type SourceBatch,
  type SourceChange,
  systemRandom,
  toLakeSyncError,
} from "@lakesync/core";
import { DiffQuery } from "./_diff_query.ts";
import { type BucketSums, DiffState, type Known } from "./_diff_state.ts";
import type { SqlSourceOptions } from "./_sql_reader.ts";
import type { SqlSource } from "./sql_cursor_source.ts";

/** Options of {@linkcode sqlDiffSource}. */
export interface SqlDiffSourceOptions extends SqlSourceOptions {
  /**
   * A directory for what its readers have of the table: a file each, of some 60 bytes a row. It has to
   * stay: a reader whose file is lost cannot go on.
   */
  readonly state: string;
  /**
   * Names readers.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
}

/** How many keys are asked for at once. */
const ASKED_KEYS = 500;
/** So many rows are read by one statement, without being put in order. */
const AT_ONCE = 20_000;

/** A row that differs from what is known. */
interface Difference {
  readonly change: SourceChange;
  readonly known: Known;
}

/**
 * Rows of a database that are new, changed or gone. The database hashes all of its rows and sums them up
 * by buckets; of buckets that do not come to what was there before, the rows are read and
 * compared. Needs nothing of the table but a key; costs the database a reading of all of it. A row
 * that changes meanwhile is seen then or the next time. Memory does not depend on the table.
 *
 * Its errors are the database's, `SCHEMA_ERROR` for a value that the table cannot have,
 * `VALIDATION_ERROR` for a cursor that is not its own, and `CONFLICT` where the state of a reader does
 * not fit its cursor: one of the two was restored or lost.
 *
 * @param options The database, what is read, and where the state is kept.
 * @returns The source.
 * @throws {TypeError} Where a name, the query or the batch size is not allowed.
 *
 * @example A database that is not there
 * ```ts
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { sqlDiffSource } from "@lakesync/adapter-sources";
 * import { defineTable, string } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import { mkdtemp } from "node:fs/promises";
 *
 * const orders = sqlDiffSource({
 *   name: "orders",
 *   open: () => postgresServer({ url: "postgres://nobody@127.0.0.1:1/shop" }),
 *   query: "SELECT * FROM orders",
 *   key: "id",
 *   to: defineTable("orders", { item: string() }).schema,
 *   state: await mkdtemp("/tmp/orders-"),
 * });
 * for await (const batch of orders.read({ cursor: undefined })) {
 *   assertEquals(batch.ok || batch.error.code, "OFFLINE");
 * }
 * await orders.close();
 * ```
 */
export function sqlDiffSource(options: SqlDiffSourceOptions): SqlSource {
  const { name, state: directory, random = systemRandom } = options;
  const query = new DiffQuery(options);
  const { reader } = query;

  async function* read(
    from: { cursor: string | undefined; signal?: AbortSignal },
  ): AsyncGenerator<Result<SourceBatch>> {
    const place = from.cursor === undefined
      ? { id: random.uuid(), batch: 0 }
      : parsePlace(name, from.cursor);
    const state = new DiffState(join(directory, `${place.id}.db`));
    try {
      if (!state.moveTo(place.batch)) throw lost(name);
      for await (const found of batched(differences(state, from.signal), reader.batchSize)) {
        const batch = state.note(found.map(({ known }) => known));
        const changes = found.map(({ change }) => change);
        yield ok({ changes, cursor: `${place.id}.${batch}` });
        // Whoever asks for more has taken what came before.
        state.moveTo(batch);
      }
    } finally {
      state.close();
    }
  }

  /** What differs from the state, a page of the table at a time. */
  async function* differences(
    state: DiffState,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly Difference[]> {
    const had = state.sums();
    const isFirst = had.rows.every((rows) => rows === 0);
    const changed = isFirst ? undefined : differing(had, await query.sums(signal));
    if (changed?.buckets.length === 0) return;
    // How many known rows were not seen, by bucket: where there are some, they are gone.
    const unseen = new Int32Array(DIGEST_BUCKETS);
    for (const bucket of changed?.buckets ?? []) unseen[bucket] = had.rows[bucket]!;
    const buckets = changed?.buckets;
    const wanted = buckets === undefined ? undefined : new Set(buckets);
    const atOnce = changed !== undefined && changed.rows <= AT_ONCE;
    let after: string | undefined;
    for (;;) {
      const page = atOnce ? undefined : { after };
      const rows = await query.rows({ buckets, page, signal });
      // Of too many buckets, all rows are read.
      const looked = rows.filter(({ bucket }) => wanted?.has(bucket) !== false);
      const known = state.look(looked.map(({ row }) => row.key));
      const found: Difference[] = [];
      for (const { row, bucket, hash } of looked) {
        const before = known.get(row.key);
        if (before !== undefined) unseen[before.bucket]! -= 1;
        if (before?.hash === hash && before.bucket === bucket) continue;
        found.push({ change: reader.change(row), known: [row.key, bucket, hash] });
      }
      yield found;
      if (atOnce || rows.length < reader.batchSize) break;
      after = rows.at(-1)!.row.key;
    }
    yield* gone(state, { buckets: buckets?.filter((bucket) => unseen[bucket]! > 0) ?? [], signal });
  }

  /** Known rows of some buckets that are not there any more. */
  async function* gone(
    state: DiffState,
    { buckets, signal }: { buckets: readonly number[]; signal: AbortSignal | undefined },
  ): AsyncGenerator<readonly Difference[]> {
    if (buckets.length === 0) return;
    for (let after = "";;) {
      const rows = state.page(buckets, { after, limit: ASKED_KEYS });
      if (rows.length === 0) return;
      after = rows.at(-1)!.key;
      const there = await query.there(rows.map(({ key }) => key), signal);
      yield rows.filter(({ key }) => !there.has(key)).map(({ key, bucket }) => ({
        change: reader.removal(key),
        known: [key, bucket, null],
      }));
    }
  }

  return {
    name,
    stateful: true,
    async *read(from) {
      try {
        yield* read(from);
      } catch (thrown) {
        yield err(toLakeSyncError(thrown, "STORAGE_ERROR"));
      }
    },
    resume: (cursor) => cursor,
    close: () => reader.close(),
  };
}

/** The buckets whose rows do not come to the same, and how many rows these have now. */
function differing(had: BucketSums, have: BucketSums): { buckets: number[]; rows: number } {
  const buckets: number[] = [];
  let rows = 0;
  for (let bucket = 0; bucket < DIGEST_BUCKETS; bucket++) {
    const same = had.rows[bucket] === have.rows[bucket] && had.sums[bucket] === have.sums[bucket];
    if (same) continue;
    buckets.push(bucket);
    rows += have.rows[bucket]!;
  }
  return { buckets, rows };
}

/** Lists as batches of so many items. */
async function* batched<T>(
  lists: AsyncIterable<readonly T[]>,
  size: number,
): AsyncGenerator<readonly T[]> {
  let waiting: readonly T[] = [];
  for await (const list of lists) {
    waiting = waiting.length === 0 ? list : [...waiting, ...list];
    for (; waiting.length >= size; waiting = waiting.slice(size)) yield waiting.slice(0, size);
  }
  if (waiting.length > 0) yield waiting;
}

function parsePlace(name: string, cursor: string): { id: string; batch: number } {
  const [, id, batch] = /^([0-9a-f-]{36})\.([1-9][0-9]{0,14})$/.exec(cursor) ?? [];
  if (id !== undefined && batch !== undefined) return { id, batch: Number(batch) };
  throw new LakeSyncError(
    "VALIDATION_ERROR",
    `Cannot read source "${name}" from cursor "${cursor}": it is not one of its own`,
  );
}

function lost(name: string): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Cannot go on in source "${name}": its state is not where its reader is, restore both from one ` +
      "backup, or read it from the beginning under another name",
  );
}
