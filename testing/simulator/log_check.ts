import { type Delta, type LogStore, unwrapOrThrow } from "@lakesync/core";
import type { Line } from "./line.ts";

/** Holds a gateway's store in the end to the log as it was seen to become durable. */
export async function checkStore(
  store: LogStore,
  line: Line,
  violate: (promise: string, details: string) => void,
): Promise<void> {
  const { head, trimmed, rows } = unwrapOrThrow(await store.stats());
  if (head !== line.head) violate("the log has no gaps", `${head} of ${line.head}`);
  const shown = line.rowsAt(line.head);
  for (const [table, count] of rows) {
    if (count === (shown.get(table)?.size ?? 0)) continue;
    violate("a gateway has the oracle's rows", `it counts ${count} in ${table}`);
  }
  for (const { seq, json } of unwrapOrThrow(await store.read(trimmed, { limit: 1_000_000 }))) {
    const { deltaId } = JSON.parse(json) as Delta;
    if (line.entries[seq - 1]?.delta.deltaId === deltaId) continue;
    violate("the log stays what it was", `seq ${seq} is ${json}`);
  }
}
