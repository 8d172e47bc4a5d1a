import {
  type Clock,
  type Delta,
  deltaId,
  HybridClock,
  type SqlTransaction,
  unpackHlc,
} from "@lakesync/core";
import type { LocalTable } from "./_local_table.ts";
import { OwnState, utf8Bytes } from "./_own.ts";
import { showTouched, TouchedRows } from "./_show.ts";
import { type ClientState, maxHlc } from "./_state.ts";

/**
 * Stamps every unsent delta anew, in the order of making (PROTOCOL, section 4, *Clocks*): shifted by
 * what the offset has changed since it was stamped, above every stamp accepted or received. The
 * high-water mark then falls back to the greatest stamp that stays in use.
 *
 * Changes `state`, which the caller writes.
 *
 * @returns The rows that may show differently.
 */
export async function restampUnsent(
  tx: SqlTransaction,
  state: ClientState,
  options: { tables: ReadonlyMap<string, LocalTable>; now: number },
): Promise<TouchedRows> {
  const rows = await tx.all(
    "SELECT ord, offset_ms, json FROM (SELECT * FROM lakesync_own_state WHERE state < 4) " +
      "CROSS JOIN lakesync_own_json USING (ord) " +
      "WHERE state < 3 AND state = ? ORDER BY ord",
    [OwnState.UNSENT],
  );
  let wallMs = 0;
  const clock: Clock = { now: () => wallMs };
  const hybrid = new HybridClock({
    clock,
    ...(state.seen !== undefined && { last: state.seen }),
  });
  const touched = new TouchedRows();
  const updates = rows.map(({ ord, offset_ms, json }) => {
    const old = JSON.parse(json as string) as Delta;
    const shifted = unpackHlc(old.hlc).wallMs + state.offsetMs - (offset_ms as number);
    // Nothing was made after now, though a device's clock that was set meanwhile makes it look so.
    wallMs = Math.min(shifted, options.now + state.offsetMs);
    const content: Delta = { ...old, hlc: hybrid.now() };
    const delta: Delta = { ...content, deltaId: deltaId(content) };
    const text = JSON.stringify(delta);
    touched.add(delta.table, delta.rowId);
    return { ord: ord as number, text };
  });
  await tx.runMany(
    "UPDATE lakesync_own_state SET bytes = ?, offset_ms = ?, tries = 0 WHERE ord = ?",
    updates.map(({ ord, text }) => [utf8Bytes(text), state.offsetMs, ord]),
  );
  await tx.runMany(
    "UPDATE lakesync_own_json SET json = ? WHERE ord = ?",
    updates.map(({ ord, text }) => [text, ord]),
  );
  state.hlc = maxHlc(state.seen, hybrid.last);
  await showTouched(tx, options.tables, touched);
  return touched;
}
