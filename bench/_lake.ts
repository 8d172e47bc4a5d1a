import { icebergDestination } from "@lakesync/adapter-iceberg";
import { type Delta, type FlushEntry, type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import { todos } from "./_workload.ts";

const CHUNK = 5_000;
/** So many deltas at most are one flush. */
const FLUSH = 500_000;

/**
 * Flushes deltas straight into a lake, as a gateway's log would give them.
 *
 * @param store The lake.
 * @param options How many are there, how many come, and each by its place among all.
 */
export async function fillLake(
  store: ObjectStore,
  options: { from: number; count: number; make: (place: number) => Delta; size?: number },
): Promise<void> {
  const { make, size = FLUSH } = options;
  const destination = icebergDestination({ store });
  const end = options.from + options.count;
  for (let from = options.from; from < end; from += size) {
    const to = Math.min(end, from + size);
    const outcomes = unwrapOrThrow(
      await destination.write({
        id: `batch ${from}`,
        to: { epoch: "bench", seq: to },
        tables: new Map([["todos", {
          schema: todos.schema,
          from: from === 0 ? undefined : { epoch: "bench", seq: from },
        }]]),
        entries: entriesOf(from, { to, make }),
      }),
    );
    const outcome = outcomes.get("todos");
    if (outcome?.status !== "committed") throw new Error(`Cannot flush: ${outcome?.status}`);
  }
}

async function* entriesOf(
  from: number,
  { to, make }: { to: number; make: (place: number) => Delta },
): AsyncGenerator<FlushEntry[]> {
  const at = Date.now();
  for (let start = from; start < to; start += CHUNK) {
    await Promise.resolve();
    yield Array.from({ length: Math.min(CHUNK, to - start) }, (_, i) => {
      const place = start + i;
      return { seq: place + 1, at, delta: make(place) };
    });
  }
}

/** The key of a row: a hash of its place, so that rows lie in no order. */
export function rowIdOf(place: number): string {
  const part = (salt: number) =>
    (Math.imul(place + salt, 0x9e37_79b1) ^ Math.imul(place, 0x85eb_ca6b) >>> 7) >>> 0;
  const hex = (value: number) => value.toString(16).padStart(8, "0");
  return `${hex(part(1))}-${hex(part(2)).slice(4)}-4${hex(place).slice(0, 3)}-8abc-${hex(place)}${
    hex(part(3)).slice(4)
  }`;
}

/** A stamp that rises with the place. */
const stampOf = (place: number): string => String(BigInt(1_790_000_000_000 + place) << 16n);

/** The INSERT of a row. */
export function insertAt(place: number): Delta {
  return {
    op: "INSERT",
    table: "todos",
    rowId: rowIdOf(place),
    clientId: `client-${place % 8}`,
    hlc: stampOf(place),
    columns: [
      { column: "title", value: `a title of it ${place}` },
      { column: "done", value: false },
      { column: "n", value: place % 10_000 },
    ],
    deltaId: "",
  };
}

/** An UPDATE of one column of some row. */
export function updateAt(place: number, rows: number): Delta {
  return {
    ...insertAt(place),
    op: "UPDATE",
    // A prime, so that no row comes twice before all have come.
    rowId: rowIdOf(place * 1_000_003 % rows),
    columns: [{ column: "done", value: true }],
  };
}
