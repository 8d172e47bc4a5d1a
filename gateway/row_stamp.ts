import { compareStamps, type RowState, type Stamp } from "@lakesync/core";

/**
 * The greatest stamp in a row's state: what a purge of the row must remember.
 *
 * @param state A state with at least one register.
 * @returns The stamp.
 */
export function greatestStamp(state: RowState): Stamp {
  let greatest: Stamp = state.life ?? { hlc: "0", clientId: "" };
  for (const [, hlc, clientId] of state.columns.values()) {
    const stamp = { hlc, clientId };
    if (compareStamps(stamp, greatest) > 0) greatest = stamp;
  }
  return { hlc: greatest.hlc, clientId: greatest.clientId };
}
