import type { LogSnapshot, RowWrite } from "@lakesync/core";
import { hashText } from "./log_hash.ts";
import { type PostgresPools, settled } from "./postgres_pools.ts";
import type { PooledClient } from "./postgres_driver.ts";
import type { PostgresStatements } from "./postgres_statements.ts";
import { rowFromJson } from "./row_json.ts";
import { readText, storedText } from "./sqlite_text.ts";
import { closedError } from "./store_error.ts";

/** The most rows of a chunk, and the bytes of stored states with which it ends earlier. */
const CHUNK = 500;
const CHUNK_BYTES = 2 ** 20;

/** What a snapshot is taken of. */
export interface SnapshotContext {
  readonly database: PostgresPools;
  readonly statements: PostgresStatements;
  /** Where what closes a snapshot stands while it is open. */
  readonly open: Set<() => Promise<void>>;
  /** What a reader is told. */
  readonly failed: (thrown: unknown) => Error;
}

/** Takes a snapshot: a connection with a view of its own that does not change while it is open. */
export async function openSnapshot(context: SnapshotContext): Promise<LogSnapshot> {
  const { database, statements, open, failed } = context;
  const client = await database.forSnapshot();
  let ended: Promise<void> | undefined;
  const close = () => ended ??= end(client).then(() => void open.delete(close));
  open.add(close);
  try {
    const [, { rows: [head] }, { rows: tables }] = await settled([
      client.query({ text: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" }),
      client.query(statements.head),
      client.query(statements.tables),
    ]);
    const names = tables.map(({ name }) => name!);
    return {
      position: { seq: Number(head!["seq"]), hash: hashText(Number(head!["hash"])) },
      async *rows(only) {
        for (const table of names) {
          if (only !== undefined && !only.includes(table)) continue;
          try {
            yield* tableRows(table, { client, statements, isOpen: () => ended === undefined });
          } catch (thrown) {
            throw failed(thrown);
          }
        }
      },
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

async function end(client: PooledClient): Promise<void> {
  try {
    await client.query({ text: "ROLLBACK" });
    client.release();
  } catch {
    client.release(true);
  }
}

async function* tableRows(
  table: string,
  context: { client: PooledClient; statements: PostgresStatements; isOpen: () => boolean },
): AsyncGenerator<readonly RowWrite[]> {
  const { client, statements, isOpen } = context;
  // No key is empty.
  for (let after = "";;) {
    // Its connection may be somebody else's by now.
    if (!isOpen()) throw closedError();
    const { rows } = await client.query({
      ...statements.snapshotRows,
      values: [table, storedText(after), CHUNK, CHUNK_BYTES],
    });
    if (rows.length === 0) return;
    const chunk = rows.map(({ row_id, state }) => ({
      table,
      rowId: readText(row_id!),
      state: rowFromJson(state!),
    }));
    after = chunk.at(-1)!.rowId;
    yield chunk;
  }
}
