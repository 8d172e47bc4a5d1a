import { type Destination, type FlushEntry, type FlushOutcome, ok } from "@lakesync/core";

/** Options of {@linkcode onlyTables}. */
export interface OnlyTablesOptions {
  /** The tables that go there; nothing of another one does. */
  readonly tables: readonly string[];
  /**
   * Names it in stats and logs, and in what a gateway remembers of it.
   *
   * @default {undefined} as the destination is named
   */
  readonly name?: string;
}

/**
 * A destination that takes only some tables. A table that is added later gets all that the log still
 * has of it; where that is trimmed, the flush rebuilds it.
 *
 * @param destination Where they go.
 * @param options Which tables.
 * @returns The destination.
 *
 * @example Orders only
 * ```ts
 * import { jsonDestination } from "@lakesync/adapter-json";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { onlyTables } from "@lakesync/adapter-routing";
 * import { assertEquals } from "@std/assert";
 *
 * const all = jsonDestination({ store: memoryObjectStore() });
 * const orders = onlyTables(all, { tables: ["orders"], name: "orders" });
 * assertEquals(await orders.watermarks(["orders", "users"]), { ok: true, value: new Map() });
 * ```
 */
export function onlyTables(destination: Destination, options: OnlyTablesOptions): Destination {
  const taken = new Set(options.tables);
  return {
    name: options.name ?? destination.name,
    watermarks: (tables) => destination.watermarks(tables.filter((table) => taken.has(table))),
    async write(batch) {
      const outcomes = new Map<string, FlushOutcome>();
      for (const table of batch.tables.keys()) outcomes.set(table, { status: "empty" });
      const tables = new Map([...batch.tables].filter(([table]) => taken.has(table)));
      if (tables.size === 0) return ok(outcomes);
      const entries = entriesOf(batch.entries, taken);
      const written = await destination.write({ ...batch, tables, entries });
      if (!written.ok) return written;
      return ok(new Map([...outcomes, ...written.value]));
    },
    ...(destination.stats !== undefined && { stats: () => destination.stats!() }),
  };
}

/** Those entries that are of these tables; chunks that have none are left out. */
export async function* entriesOf(
  chunks: AsyncIterable<readonly FlushEntry[]>,
  tables: { has(table: string): boolean },
): AsyncGenerator<readonly FlushEntry[]> {
  for await (const chunk of chunks) {
    const entries = chunk.filter(({ delta }) => tables.has(delta.table));
    if (entries.length > 0) yield entries;
  }
}
