import type { Delta, SqlTransaction } from "@lakesync/core";
import { OwnState } from "./_own.ts";
import { recallDelta } from "./_recent_deltas.ts";

/** Own deltas that were looked for. */
export interface FoundOwn {
  /** By their ids. */
  readonly deltas: ReadonlyMap<string, Delta>;
  /** Their places. */
  readonly ords: readonly number[];
}

/** Own deltas that are looked through together. */
const CHUNK = 1_000;

const SELECT =
  "SELECT ord, json FROM lakesync_own_state CROSS JOIN lakesync_own_json USING (ord) " +
  "WHERE state < 4";

/**
 * The deltas on top of the base that have these ids; undefined where one of them is not there.
 *
 * There is no index of ids, which are random: each would cost more than all else that is kept of a
 * delta. Own deltas come back in the log's order, in which the accepted ones are known, so those that a
 * page has are the first of these. Only where it comes before its push's answer, or that was
 * lost, all that are on top are looked through.
 */
export async function findOnTop(
  tx: SqlTransaction,
  ids: ReadonlySet<string>,
): Promise<FoundOwn | undefined> {
  const deltas = new Map<string, Delta>();
  const ords: number[] = [];
  const look = (rows: readonly { readonly [column: string]: unknown }[]): boolean => {
    for (const { ord, json } of rows) {
      const delta = recallDelta(json as string);
      if (!ids.has(delta.deltaId) || deltas.has(delta.deltaId)) continue;
      deltas.set(delta.deltaId, delta);
      ords.push(ord as number);
    }
    return deltas.size === ids.size;
  };
  const accepted = `${SELECT} AND state = ${OwnState.ACCEPTED} ORDER BY seq, ord LIMIT ?`;
  if (look(await tx.all(accepted, [ids.size]))) return { deltas, ords };
  for (let state = 0; state < OwnState.SETTLED; state++) {
    for (let after = 0;;) {
      const rows = await tx.all(`${SELECT} AND state = ? AND ord > ? ORDER BY ord LIMIT ${CHUNK}`, [
        state,
        after,
      ]);
      if (look(rows)) return { deltas, ords };
      if (rows.length < CHUNK) break;
      after = rows.at(-1)!.ord as number;
    }
  }
  return undefined;
}
