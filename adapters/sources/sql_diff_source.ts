import { createHash } from "node:crypto";
import { join } from "node:path";
import {
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
import { DiffState, type Known, NumberSet } from "./_diff_state.ts";
import { SqlReader, type SqlSourceOptions } from "./_sql_reader.ts";
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

/**
 * Rows of a database that are new, changed or gone, found by reading all of them and comparing a hash of
 * each with what was there before. Needs nothing of the table but a key; costs a reading of all of
 * it. A row that changes while it is read is seen then or the next time. Memory does not depend on the
 * table, but for a bit for each row.
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
  const { name, key, state: directory, random = systemRandom } = options;
  const reader = new SqlReader(options);

  async function* read(
    from: { cursor: string | undefined; signal?: AbortSignal },
  ): AsyncGenerator<Result<SourceBatch>> {
    const place = from.cursor === undefined
      ? { id: random.uuid(), batch: 0 }
      : parsePlace(name, from.cursor);
    const state = new DiffState(join(directory, `${place.id}.db`));
    try {
      if (!state.moveTo(place.batch)) throw lost(name);
      for await (const found of differences(state, from.signal)) {
        const batch = state.note(found.map(([, known]) => known));
        const changes = found.map(([change]) => change);
        yield ok({ changes, cursor: `${place.id}.${batch}` });
        // Whoever asks for more has taken what came before.
        state.moveTo(batch);
      }
    } finally {
      state.close();
    }
  }

  /** What differs from the state, in batches. */
  async function* differences(
    state: DiffState,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly (readonly [SourceChange, Known])[]> {
    const before = state.counts();
    const seen = new NumberSet(before.last);
    let count = 0;
    let found: (readonly [SourceChange, Known])[] = [];
    let last: string | undefined;
    for (;;) {
      const after = last;
      const rows = await reader.page({
        where: (quote) =>
          after === undefined ? undefined : { text: `${quote(key)} > ?`, parameters: [after] },
        orderBy: [key],
        signal,
      });
      const known = state.look(rows.map(({ key }) => key));
      for (const row of rows) {
        const hash = hashOf(row.texts);
        const there = known.get(row.key);
        if (there !== undefined && there.no <= before.last && !seen.has(there.no)) {
          seen.add(there.no);
          count++;
        }
        if (there?.hash === hash) continue;
        found.push([reader.change(row), [row.key, hash]]);
      }
      if (found.length >= reader.batchSize) {
        yield found;
        found = [];
      }
      if (rows.length < reader.batchSize) break;
      last = rows.at(-1)!.key;
    }
    for (let no = 0; count < before.rows && no < before.last;) {
      const rows = state.from(no, reader.batchSize);
      no = rows.at(-1)?.no ?? before.last;
      for (const row of rows) {
        if (row.no > before.last || seen.has(row.no)) continue;
        found.push([reader.removal(row.key), [row.key, null]]);
      }
      if (found.length >= reader.batchSize) {
        yield found;
        found = [];
      }
    }
    if (found.length > 0) yield found;
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

function hashOf(texts: readonly (string | null)[]): string {
  return createHash("sha256").update(JSON.stringify(texts)).digest("base64").slice(0, 16);
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
