// What the children of kv_kill_deno_test.ts push.
import { type Delta, packHlc } from "@lakesync/core";
import { makeDelta, Prng } from "@lakesync/testing";

/** A client's n-th push, always the same: mostly small, at times more than an atomic of KV takes. */
export function makePush(clientId: string, n: number): Delta[] {
  const prng = new Prng(n);
  const count = prng.chance(0.15) ? prng.int(900, 1_100) : prng.int(1, 30);
  const large = prng.chance(0.1);
  return Array.from({ length: count }, (_, i) => {
    // Rows are shared, so that each write is on top of others'.
    const rowId = `row-${prng.int(0, 1_500)}`;
    const title = large && i === 0 ? "x".repeat(800_000) : `${clientId} ${n}.${i}`;
    return makeDelta({
      op: prng.chance(0.1) ? "DELETE" : "INSERT",
      table: "todos",
      rowId,
      clientId,
      hlc: packHlc({ wallMs: 1_700_000_000_000 + n * 2_000 + i, counter: 0 }),
      columns: [{ column: "title", value: title }],
    });
  }).map((delta) => delta.op === "DELETE" ? makeDelta({ ...delta, columns: [] }) : delta);
}
