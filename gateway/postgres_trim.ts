import { compareStamps, type Stamp } from "@lakesync/core";
import type { PgClient, PgRow } from "./postgres_driver.ts";
import { settled } from "./postgres_pools.ts";
import type { PostgresStatements } from "./postgres_statements.ts";
import { rowFromJson } from "./row_json.ts";
import { greatestStamp } from "./row_stamp.ts";
import { readText, storedText } from "./sqlite_text.ts";

/** So many entries go in one commit, so that no append waits long behind a trim. */
const STEP = 10_000;

/**
 * Removes some entries, and the dead and lifeless rows whose last entry is among them, in one
 * transaction that holds the head's lock.
 *
 * @param client A connection.
 * @param statements The log's statements.
 * @param through The last seq that may go.
 * @returns Whether there is more to remove.
 */
export async function trimStep(
  client: PgClient,
  statements: PostgresStatements,
  through: number,
): Promise<boolean> {
  const [, { rows: [head] }] = await settled([
    client.query({ text: "BEGIN ISOLATION LEVEL READ COMMITTED" }),
    client.query(statements.lock),
  ]);
  const trimmed = Number(head!["trimmed_seq"]);
  const last = Math.min(through, Number(head!["seq"]));
  const end = await txEndOfStep(client, statements, { trimmed, last });
  if (end === undefined) {
    await client.query({ text: "ROLLBACK" });
    return false;
  }
  const seq = Number(end["seq"]);
  const range = [trimmed, seq];
  const [, { rows: gone }] = await settled([
    client.query({ ...statements.keepLastPushes, values: range }),
    client.query({ ...statements.goneRows, values: range }),
  ]);
  const purged = greatestOf(gone, purgedStamp(head!));
  await settled([
    client.query({
      ...statements.deleteRows,
      values: [gone.map(({ tbl }) => tbl!), gone.map(({ row_id }) => row_id!)],
    }),
    client.query({ ...statements.deleteKeys, values: [seq] }),
    client.query({ ...statements.deleteLog, values: [seq] }),
    client.query({
      ...statements.setTrimmed,
      values: [
        seq,
        end["hash"]!,
        purged?.hlc ?? null,
        purged === undefined ? null : storedText(purged.clientId),
      ],
    }),
    client.query({ text: "COMMIT" }),
  ]);
  return seq < last;
}

/** The last end of a transaction within a step; of a transaction longer than that, its own. */
async function txEndOfStep(
  client: PgClient,
  statements: PostgresStatements,
  { trimmed, last }: { trimmed: number; last: number },
): Promise<PgRow | undefined> {
  const step = Math.min(last, trimmed + STEP);
  const { rows: [end] } = await client.query({ ...statements.trimEnd, values: [step] });
  if (end !== undefined || step === last) return end;
  const { rows: [next] } = await client.query({ ...statements.nextTxEnd, values: [step] });
  return next !== undefined && Number(next["seq"]) <= last ? next : undefined;
}

/** The greatest purged stamp that a head's row has. */
export function purgedStamp(head: PgRow): Stamp | undefined {
  const { purged_hlc: hlc, purged_client: clientId } = head;
  if (typeof hlc !== "string" || typeof clientId !== "string") return undefined;
  return { hlc, clientId: readText(clientId) };
}

function greatestOf(gone: readonly PgRow[], purged: Stamp | undefined): Stamp | undefined {
  for (const { state } of gone) {
    const stamp = greatestStamp(rowFromJson(state!));
    if (purged === undefined || compareStamps(stamp, purged) > 0) purged = stamp;
  }
  return purged;
}
