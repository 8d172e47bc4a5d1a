import {
  type Clock,
  cloneRow,
  compareCodePoints,
  type DatabaseAdapter,
  type DeltaPage,
  err,
  LakeSyncError,
  type LatestStateOptions,
  mergeState,
  ok,
  type PlacedDelta,
  type Prunable,
  type QueryDeltasOptions,
  type Random,
  type Result,
  type RowState,
  type RowWrite,
  type StatePage,
  systemClock,
  systemRandom,
  type TableSchema,
  unpackHlc,
} from "@lakesync/core";
import { Moves, type MovesStore } from "./_moves.ts";

/** Options of {@linkcode lifecycleDatabase}. */
export interface LifecycleOptions {
  /** Names it in stats and logs, and what it keeps in the store. */
  readonly name: string;
  /** Where deltas come to: `sqlAdapter({ server, name })`, say. */
  readonly hot: DatabaseAdapter;
  /** How they are taken out of it: `sqlPruning(server)`, say. */
  readonly pruning: Prunable;
  /** Where rows go that were not changed for long. Nobody else writes to it. */
  readonly cold: DatabaseAdapter;
  /** A row moves when its newest stamp is older than this, in ms. */
  readonly maxAgeMs: number;
  /** Where it is kept what is being moved: the gateway's log store, say. */
  readonly store: MovesStore;
  /**
   * How many deltas are moved at once, in a commit of the cold database for each table. A lake wants many:
   * each commit is a file of it.
   *
   * @default {1000}
   */
  readonly moveDeltas?: number;
  /**
   * Tells how old a stamp is.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Names moves.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
}

/** What a run of {@linkcode LifecycleDatabase.move} did. */
export interface LifecycleReport {
  /** How many deltas it moved. */
  readonly moved: number;
}

/** Two databases that are read as one. */
export interface LifecycleDatabase extends DatabaseAdapter {
  /**
   * Moves what is old enough. It may be killed at any step and run again: what is begun is ended
   * first, by whoever meets it. Looks at all rows of the hot database.
   *
   * @param tables The tables, with their schemas of today.
   * @returns What it did; `CONFLICT` where another process moves, `ABORTED` by its signal.
   */
  move(
    tables: readonly TableSchema[],
    options?: { signal?: AbortSignal },
  ): Promise<Result<LifecycleReport>>;
}

/** How many deltas one move has, and how many deltas and rows are looked at at once. */
const PAGE = 1_000;
/** How often a page is read again that a move came into. */
const READS = 100;

/**
 * A hot and a cold database as one: deltas are written to the hot one, and a job moves the rows that
 * were not changed for long to the cold one, with their deltas. A delta is written there first and
 * then taken out; who reads on from a cursor gets each exactly once, wherever it is by then, and a
 * row's state is the merge of both. A row that changes again is in both until it is old again.
 *
 * Deltas that were moved have their place in the hot database as `seq`.
 *
 * @param options The databases and the age.
 * @returns The database. Closing it closes both.
 *
 * @example Over databases that are not there
 * ```ts
 * import { sqlAdapter, sqlPruning } from "@lakesync/adapter-database";
 * import { postgresServer } from "@lakesync/adapter-postgres";
 * import { lifecycleDatabase } from "@lakesync/adapter-routing";
 * import { ok, unwrapOrThrow } from "@lakesync/core";
 * import { memoryLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const server = async (name: string) =>
 *   unwrapOrThrow(await postgresServer({ url: `postgres://nobody@127.0.0.1:1/${name}` }));
 * const [hot, cold] = [await server("hot"), await server("cold")];
 * const database = lifecycleDatabase({
 *   name: "orders",
 *   hot: sqlAdapter({ server: hot, name: "hot" }),
 *   pruning: sqlPruning(hot),
 *   cold: sqlAdapter({ server: cold, name: "cold" }),
 *   maxAgeMs: 30 * 86_400_000,
 *   store: memoryLogStore(),
 * });
 * const moved = await database.move([]);
 * assertEquals(moved.ok || moved.error.code, "OFFLINE");
 * await database.close();
 * ```
 */
export function lifecycleDatabase(options: LifecycleOptions): LifecycleDatabase {
  return new Lifecycle(options);
}

class Lifecycle implements LifecycleDatabase {
  readonly name: string;
  readonly #options: LifecycleOptions;
  readonly #moves: Moves;

  constructor(options: LifecycleOptions) {
    const { name, pruning, cold, store, random = systemRandom } = options;
    this.name = name;
    this.#options = options;
    this.#moves = new Moves({ key: `lifecycle:${name}`, store, pruning, cold, random });
  }

  ensureSchema(
    tables: readonly TableSchema[],
    options?: { signal?: AbortSignal },
  ): ReturnType<DatabaseAdapter["ensureSchema"]> {
    return this.#options.hot.ensureSchema(tables, options);
  }

  watermarks(tables: readonly string[]): ReturnType<DatabaseAdapter["watermarks"]> {
    return this.#options.hot.watermarks(tables);
  }

  insertDeltas(
    batch: Parameters<DatabaseAdapter["insertDeltas"]>[0],
  ): ReturnType<DatabaseAdapter["insertDeltas"]> {
    return this.#options.hot.insertDeltas(batch);
  }

  async queryDeltasSince(
    after: string | undefined,
    query: QueryDeltasOptions,
  ): Promise<Result<DeltaPage>> {
    const { hot, cold } = this.#options;
    const place = parseCursor(after);
    if (!place.ok) return place;
    let { inHot, inCold } = place.value;
    for (let reads = 0; reads < READS;) {
      const before = await this.#moves.settled();
      if (!before.ok) return before;
      // What was moved first, to its end: so at a read of the hot database all that is missing there,
      // and was not read there before, is given out already.
      const moved = await cold.queryDeltasSince(inCold, query);
      if (!moved.ok) return moved;
      const isMoved = moved.value.entries.length > 0;
      const page = isMoved ? moved : await hot.queryDeltasSince(inHot, query);
      if (!page.ok) return page;
      const after = await this.#moves.settled();
      if (!after.ok) return after;
      if (after.value.moves !== before.value.moves) {
        reads++;
        continue;
      }
      const { cursor, entries, hasMore } = page.value;
      if (!isMoved) {
        inHot = cursor;
        inCold = moved.value.cursor;
        return ok({ entries, hasMore, cursor: JSON.stringify([inHot, inCold]) });
      }
      inCold = cursor;
      // What was read where it was before is not given twice.
      const unread = entries.filter(({ seq }) => seq > Number(inHot ?? 0));
      if (unread.length === 0) continue;
      const next = JSON.stringify([inHot ?? "0", inCold]);
      return ok({ entries: unread, hasMore: true, cursor: next });
    }
    const message = `Cannot read "${this.name}": rows are moved all the time, try again later`;
    return err(new LakeSyncError("CONFLICT", message));
  }

  async getLatestState(
    table: string,
    query: LatestStateOptions = {},
  ): Promise<Result<StatePage>> {
    const { limit = 1_000 } = query;
    // The hot one first: what is taken out of it is in the cold one by then.
    const hot = await this.#options.hot.getLatestState(table, query);
    if (!hot.ok) return hot;
    const cold = await this.#options.cold.getLatestState(table, query);
    if (!cold.ok) return cold;
    const states = new Map<string, RowState>();
    for (const { rowId, state } of [...hot.value.rows, ...cold.value.rows]) {
      const known = states.get(rowId);
      if (known === undefined) states.set(rowId, cloneRow(state));
      else mergeState(known, state);
    }
    // Beyond the end of a page that is not the last there may be more of the same database.
    const ends = [hot.value.next, cold.value.next].filter((next) => next !== undefined);
    const end = ends.sort(compareCodePoints)[0];
    const rows: RowWrite[] = [...states].toSorted(([a], [b]) => compareCodePoints(a, b))
      .filter(([rowId]) => end === undefined || compareCodePoints(rowId, end) <= 0)
      .map(([rowId, state]) => ({ table, rowId, state }));
    const page = rows.slice(0, limit);
    const more = end !== undefined || rows.length > limit;
    return ok({ rows: page, next: more ? page.at(-1)?.rowId : undefined });
  }

  async move(
    tables: readonly TableSchema[],
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Result<LifecycleReport>> {
    const { pruning, maxAgeMs, clock = systemClock, moveDeltas = PAGE } = this.#options;
    const oldest = clock.now() - maxAgeMs;
    const begun = await this.#moves.settled();
    if (!begun.ok) return begun;
    const newest = await pruning.newestPlace();
    if (!newest.ok) return newest;
    const through = newest.value;
    const names = tables.map(({ table }) => table);
    let moved = 0;
    let waiting: PlacedDelta[] = [];
    for (let after: number | undefined = 0; after !== undefined && names.length > 0;) {
      if (signal?.aborted === true) return err(stopped(signal));
      const page: Result<readonly PlacedDelta[]> = await pruning.deltasAfter(after, {
        tables: names,
        through,
        limit: PAGE,
      });
      if (!page.ok) return page;
      const old = await this.#oldOf(page.value, oldest);
      if (!old.ok) return old;
      waiting.push(...old.value);
      after = page.value.at(-1)?.place;
      while (waiting.length >= moveDeltas || after === undefined && waiting.length > 0) {
        const some = waiting.slice(0, moveDeltas);
        const done = await this.#moves.move(some, tables);
        if (!done.ok) return done;
        moved += some.length;
        waiting = waiting.slice(moveDeltas);
      }
    }
    // All their deltas up to there are moved; a row only becomes younger.
    for (const table of names) {
      const forgotten = await this.#forget(table, { oldest, through, signal });
      if (!forgotten.ok) return forgotten;
    }
    return ok({ moved });
  }

  async close(): Promise<void> {
    await this.#options.hot.close();
    await this.#options.cold.close();
  }

  /** Those deltas whose rows are old. */
  async #oldOf(
    deltas: readonly PlacedDelta[],
    oldest: number,
  ): Promise<Result<readonly PlacedDelta[]>> {
    const old = new Map<string, Set<string>>();
    const byTable = Map.groupBy(deltas, ({ entry }) => entry.delta.table);
    for (const [table, own] of byTable) {
      const rowIds = [...new Set(own.map(({ entry }) => entry.delta.rowId))];
      const query = { rowIds, limit: rowIds.length };
      const page = await this.#options.hot.getLatestState(table, query);
      if (!page.ok) return page;
      const rows = page.value.rows.filter(({ state }) => newestMs(state) < oldest);
      old.set(table, new Set(rows.map(({ rowId }) => rowId)));
    }
    return ok(deltas.filter(({ entry: { delta } }) => old.get(delta.table)!.has(delta.rowId)));
  }

  /** Takes the states of old rows out of the hot database. */
  async #forget(
    table: string,
    about: { oldest: number; through: number; signal: AbortSignal | undefined },
  ): Promise<Result<void>> {
    const { oldest, through, signal } = about;
    for (let after: string | undefined, more = true; more;) {
      if (signal?.aborted === true) return err(stopped(signal));
      const page = await this.#options.hot.getLatestState(table, {
        limit: PAGE,
        ...(after !== undefined && { after }),
      });
      if (!page.ok) return page;
      const rows = page.value.rows.filter(({ state }) => newestMs(state) < oldest);
      if (rows.length > 0) {
        const rowIds = rows.map(({ rowId }) => rowId);
        const done = await this.#options.pruning.removeRows(table, { rowIds, after: through });
        if (!done.ok) return done;
      }
      after = page.value.next;
      more = after !== undefined;
    }
    return ok(undefined);
  }
}

/** When a row was last changed, in ms since the Unix epoch. */
function newestMs({ life, columns }: RowState): number {
  const stamps = Array.from(columns.values(), ([, hlc]) => unpackHlc(hlc).wallMs);
  return Math.max(0, ...stamps, life === undefined ? 0 : unpackHlc(life.hlc).wallMs);
}

/** How far a reader is in each of the two. */
function parseCursor(
  cursor: string | undefined,
): Result<{ inHot: string | undefined; inCold: string | undefined }> {
  if (cursor === undefined) return ok({ inHot: undefined, inCold: undefined });
  try {
    const [inHot, inCold, ...rest] = JSON.parse(cursor) as unknown[];
    if (typeof inHot === "string" && typeof inCold === "string" && rest.length === 0) {
      return ok({ inHot, inCold });
    }
  } catch {
    // As what is no cursor.
  }
  return err(
    new LakeSyncError(
      "VALIDATION_ERROR",
      `Cannot read deltas after "${cursor}": it is no cursor of this database, begin without one`,
    ),
  );
}

function stopped(signal: AbortSignal): LakeSyncError {
  return new LakeSyncError("ABORTED", "Moving rows was stopped: run it again to go on", {
    cause: signal.reason,
  });
}
