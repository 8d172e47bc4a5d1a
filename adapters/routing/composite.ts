import {
  type Destination,
  err,
  type FlushOutcome,
  type FlushTable,
  LakeSyncError,
  ok,
  type Result,
  type TableJobStats,
  toLakeSyncError,
  type Watermark,
} from "@lakesync/core";
import { Lockstep } from "./_lockstep.ts";
import { entriesOf } from "./only_tables.ts";

/** Tables and where they go. */
export interface Route {
  /** The tables, each in one route only. */
  readonly tables: readonly string[];
  /** Where they go. */
  readonly to: Destination;
}

/** Options of {@linkcode compositeDestination}. */
export interface CompositeOptions {
  /** Names it in stats and logs. */
  readonly name: string;
  /** Which tables go where. */
  readonly routes: readonly Route[];
  /**
   * Where all other tables go.
   *
   * @default {undefined} nowhere
   */
  readonly default?: Destination;
}

/**
 * One destination made of several: each table goes to one of them, all are written at the same time,
 * and a batch is read once, a chunk at a time. What one of them fails with is the outcome of its own
 * tables; those of the others are committed. It is only as fast as its slowest: destinations that are
 * not to wait for each other are given to the gateway one by one.
 *
 * @param options The routes.
 * @returns The destination.
 * @throws {TypeError} Where a table has two routes.
 *
 * @example Orders to one place, the rest to another
 * ```ts
 * import { jsonDestination } from "@lakesync/adapter-json";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { compositeDestination } from "@lakesync/adapter-routing";
 * import { assertEquals } from "@std/assert";
 *
 * const destination = compositeDestination({
 *   name: "everything",
 *   routes: [{ tables: ["orders"], to: jsonDestination({ store: memoryObjectStore() }) }],
 *   default: jsonDestination({ store: memoryObjectStore() }),
 * });
 * assertEquals(await destination.watermarks(["orders"]), { ok: true, value: new Map() });
 * ```
 */
export function compositeDestination(options: CompositeOptions): Destination {
  const { name, routes } = options;
  const places = new Map<string, Destination>();
  for (const { tables, to } of routes) {
    for (const table of tables) {
      if (places.has(table)) throw new TypeError(`Cannot route table "${table}" twice`);
      places.set(table, to);
    }
  }
  const placeOf = (table: string) => places.get(table) ?? options.default;
  return {
    name,
    async watermarks(tables) {
      const found = new Map<string, Watermark>();
      for (const [place, own] of Map.groupBy(tables, placeOf)) {
        const marks = place === undefined ? ok(new Map()) : await place.watermarks(own);
        if (!marks.ok) return marks;
        for (const [table, mark] of marks.value) found.set(table, mark);
      }
      return ok(found);
    },
    async write(batch) {
      const outcomes = new Map<string, FlushOutcome>();
      const parts = new Map<Destination, Map<string, FlushTable>>();
      for (const [table, part] of batch.tables) {
        outcomes.set(table, { status: "empty" });
        const place = placeOf(table);
        if (place === undefined) continue;
        if (!parts.has(place)) parts.set(place, new Map());
        parts.get(place)!.set(table, part);
      }
      const lockstep = new Lockstep(batch.entries);
      const writes = [...parts].map(([place, tables]) => {
        const { chunks, leave } = lockstep.reader();
        return { place, part: { ...batch, tables, entries: entriesOf(chunks, tables) }, leave };
      });
      await Promise.all(writes.map(async ({ place, part, leave }) => {
        const written = await write(place, part);
        leave();
        for (const table of part.tables.keys()) {
          outcomes.set(
            table,
            written.ok
              ? written.value.get(table) ?? unanswered(place, table)
              : { status: "failed", error: written.error },
          );
        }
      }));
      return ok(outcomes);
    },
    async stats() {
      let done = 0;
      const tables = new Map<string, TableJobStats>();
      for (const place of new Set([...places.values(), options.default])) {
        const stats = await place?.stats?.();
        if (stats?.ok !== true) continue;
        done += stats.value.done;
        for (const [table, state] of stats.value.tables) {
          if (placeOf(table) === place) tables.set(table, state);
        }
      }
      return ok({ done, tables });
    },
  };
}

async function write(
  place: Destination,
  batch: Parameters<Destination["write"]>[0],
): Promise<Result<ReadonlyMap<string, FlushOutcome>>> {
  try {
    return await place.write(batch);
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "INTERNAL"));
  }
}

function unanswered(place: Destination, table: string): FlushOutcome {
  const message = `Destination "${place.name}" gave no outcome for table "${table}"`;
  return { status: "failed", error: new LakeSyncError("INTERNAL", message) };
}
