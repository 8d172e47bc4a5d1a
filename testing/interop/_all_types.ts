/** A table of every type and what any reader must find in it. */
import {
  type ColumnChange,
  deltaId,
  type Destination,
  type FlushEntry,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { Prng } from "@lakesync/testing";

const SCHEMA: TableSchema = {
  table: "all",
  version: 1,
  columns: [
    { name: "s", type: "string", nullable: true },
    { name: "d", type: "number", nullable: true },
    { name: "i", type: "integer", nullable: true },
    { name: "b", type: "boolean", nullable: true },
    { name: "t", type: "timestamp", nullable: true },
    { name: "x", type: "bytes", nullable: true },
    { name: "j", type: "json", nullable: true },
  ],
};

/** A row as readers print it: `_seq`, `id`, `_columns`, s, d, i as text, b, t in µs as text, x as hex, j. */
export type PrintedRow = readonly (string | number | boolean | null)[];

interface Value {
  readonly change: ColumnChange;
  readonly printed: string | number | boolean | null;
}

function valuesOf(seq: number, random: Prng): readonly Value[] {
  const integer = random.pick([0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), BigInt(seq) * 10n ** 15n]);
  // From 1903 to 2243: ClickHouse's clock has an end.
  const seconds = random.int(-24_000, 100_000) * 86_400 + random.int(0, 86_399);
  const micros = BigInt(seconds) * 1_000_000n + BigInt(random.int(0, 999_999));
  const ms = Number((micros - (((micros % 1000n) + 1000n) % 1000n)) / 1000n);
  const rest = String(((micros % 1000n) + 1000n) % 1000n).padStart(3, "0");
  const bytes = random.bytes(random.int(0, 20));
  const text = random.pick(["", "plain", 'é😀 \u0001 "quoted"', `text ${seq}`, "\n\t"]);
  const double = random.pick([0, -1.5, 1e300, 5e-324, seq / 7]);
  const wire = integer >= -(2n ** 53n) && integer <= 2n ** 53n ? Number(integer) : String(integer);
  return [
    { change: { column: "s", value: text }, printed: text },
    { change: { column: "d", value: double }, printed: double },
    { change: { column: "i", value: wire }, printed: String(integer) },
    { change: { column: "b", value: seq % 3 === 0 }, printed: seq % 3 === 0 },
    {
      change: { column: "t", value: new Date(ms).toISOString().replace("Z", `${rest}Z`) },
      printed: String(micros),
    },
    {
      change: { column: "x", value: btoa(String.fromCharCode(...bytes)) },
      printed: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
        .toUpperCase(),
    },
    {
      change: { column: "j", value: { seq, list: [1, null] } },
      printed: `{"list":[1,null],"seq":${seq}}`,
    },
  ];
}

/**
 * Flushes rows of every type in batches.
 *
 * @returns What a reader must print, in the order of `_seq`.
 */
export async function writeAllTypes(destination: Destination): Promise<PrintedRow[]> {
  const random = new Prng(42);
  const printed: PrintedRow[] = [];
  const size = 100;
  for (let batch = 0; batch < 3; batch++) {
    const entries: FlushEntry[] = [];
    for (let seq = batch * size + 1; seq <= (batch + 1) * size; seq++) {
      const values = valuesOf(seq, random).map((value) => ({
        ...value,
        kind: random.pick(["set", "set", "null", "left out"] as const),
      }));
      const content = {
        op: "UPDATE" as const,
        table: "all",
        rowId: `r${seq % 40}`,
        clientId: "alice",
        hlc: String(BigInt(1_700_000_000_000 + seq) << 16n),
        columns: values.filter(({ kind }) => kind !== "left out").map(({ change, kind }) =>
          kind === "set" ? change : { ...change, value: null }
        ),
      };
      const at = Date.UTC(2026, 10, 20) + (seq % 3) * 86_400_000;
      entries.push({ seq, at, delta: { ...content, deltaId: deltaId(content) } });
      printed.push([
        seq,
        content.rowId,
        content.columns.length === 0 ? null : content.columns.map(({ column }) => column).join(),
        ...values.map(({ kind, printed }) => kind === "set" ? printed : null),
      ]);
    }
    const from = batch === 0 ? undefined : { epoch: "e", seq: batch * size };
    const outcomes = unwrapOrThrow(
      await destination.write({
        id: `b${batch}`,
        to: { epoch: "e", seq: (batch + 1) * size },
        tables: new Map([["all", { schema: SCHEMA, from }]]),
        entries: once(entries),
      }),
    );
    const outcome = outcomes.get("all");
    if (outcome?.status === "failed") throw outcome.error;
  }
  return printed;
}

async function* once(entries: readonly FlushEntry[]): AsyncGenerator<readonly FlushEntry[]> {
  yield await Promise.resolve(entries);
}
