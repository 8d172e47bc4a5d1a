import type { NewEntry } from "@lakesync/core";

/**
 * Where each entry's transaction ends.
 *
 * @param entries Entries that are appended together: whole transactions.
 * @param first The seq that the first of them gets.
 * @returns For each entry the seq of the last one of its transaction.
 */
export function txLasts(entries: readonly NewEntry[], first: number): number[] {
  const lasts = new Array<number>(entries.length);
  let last = first + entries.length - 1;
  for (let i = entries.length - 1; i >= 0; i--) {
    if (entries[i]!.txEnd) last = first + i;
    lasts[i] = last;
  }
  return lasts;
}
