import { type AppendRequest, type Delta, LakeSyncError, type RowKey } from "@lakesync/core";
import { settled } from "./postgres_pools.ts";
import type { PgClient } from "./postgres_driver.ts";
import { storedHlc } from "./postgres_entry.ts";
import { deltaKey, type GroupBase } from "./postgres_group.ts";
import type { PostgresStatements } from "./postgres_statements.ts";
import { purgedStamp } from "./postgres_trim.ts";
import { readText, storedText } from "./sqlite_text.ts";
import { rowKey } from "./working_rows.ts";

/** The rows of a group of appends are in memory while it is planned: so many bytes at the most. */
const MAX_ROW_BYTES = 64 * 2 ** 20;

/**
 * Begins a transaction, takes the head's lock, and reads what a group's plans may ask for, all in
 * one round trip. (Each statement sees what was committed before it began: those behind the lock
 * see all that instances appended while this one waited.)
 *
 * @throws {LakeSyncError} `PAYLOAD_TOO_LARGE` where the rows are too large to be held in memory.
 */
export async function readGroupBase(
  requests: readonly AppendRequest[],
  context: { client: PgClient; statements: PostgresStatements; now: number },
): Promise<GroupBase> {
  const { client, statements, now } = context;
  const deltas = distinct(requests.flatMap(({ deltas }) => deltas), deltaKey);
  const rows = distinct(requests.flatMap(({ rows }) => rows), keyOf);
  const keys = [...new Set(requests.flatMap(({ values = [] }) => values))];
  const [, locked, known, states, values] = await settled([
    client.query({ text: "BEGIN ISOLATION LEVEL READ COMMITTED" }),
    client.query(statements.lock),
    deltas.length === 0 ? NOTHING : client.query({
      ...statements.duplicates,
      values: [
        deltas.map(({ clientId }) => storedText(clientId)),
        deltas.map(({ hlc }) => storedHlc(hlc)),
        deltas.map(({ deltaId }) => deltaId),
      ],
    }),
    rows.length === 0 ? NOTHING : client.query({
      ...statements.rows,
      values: [
        rows.map(({ table }) => table),
        rows.map(({ rowId }) => storedText(rowId)),
        MAX_ROW_BYTES,
      ],
    }),
    keys.length === 0
      ? NOTHING
      : client.query({ ...statements.values, values: [keys.map(storedText)] }),
  ]);
  if (states.rows[0]?.["state"] === null) {
    throw new LakeSyncError(
      "PAYLOAD_TOO_LARGE",
      `The rows that are pushed to have more than ${MAX_ROW_BYTES} bytes together: push fewer at once`,
    );
  }
  const head = locked.rows[0]!;
  return {
    seq: Number(head["seq"]),
    hash: Number(head["hash"]),
    // Instances that appended while this one waited may have read a later time.
    now: Math.max(now, Number(head["at"])),
    purged: purgedStamp(head),
    duplicates: new Map(
      known.rows.map(({ i, seq }) => [deltaKey(deltas[Number(i) - 1]!), Number(seq)]),
    ),
    rows: new Map(states.rows.map(({ i, state }) => [keyOf(rows[Number(i) - 1]!), state!])),
    values: new Map(values.rows.map(({ key, value }) => [readText(key!), readText(value!)])),
  };
}

const NOTHING = Promise.resolve({ rows: [] });

function keyOf({ table, rowId }: RowKey): string {
  return rowKey(table, rowId);
}

function distinct<T extends Delta | RowKey>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}
