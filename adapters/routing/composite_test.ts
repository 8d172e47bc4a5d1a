import {
  type Destination,
  err,
  type FlushBatch,
  type FlushEntry,
  type FlushOutcome,
  LakeSyncError,
  ok,
  type TableSchema,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import { makeDelta, test } from "@lakesync/testing";
import { assertEquals, assertThrows } from "@std/assert";
import { compositeDestination } from "./composite.ts";
import { onlyTables } from "./only_tables.ts";

/** Keeps what it is given, or does what it is told instead. */
class Kept implements Destination {
  readonly name: string;
  readonly seqs: number[] = [];
  readonly marks = new Map<string, Watermark>();
  asked: readonly string[] = [];
  fault: ((batch: FlushBatch) => ReturnType<Destination["write"]>) | undefined;

  constructor(name: string) {
    this.name = name;
  }

  watermarks(tables: readonly string[]): ReturnType<Destination["watermarks"]> {
    this.asked = tables;
    return Promise.resolve(
      ok(new Map([...this.marks].filter(([table]) => tables.includes(table)))),
    );
  }

  async write(batch: FlushBatch): ReturnType<Destination["write"]> {
    if (this.fault !== undefined) return await this.fault(batch);
    const outcomes = new Map<string, FlushOutcome>();
    for (const table of batch.tables.keys()) outcomes.set(table, { status: "empty" });
    for await (const chunk of batch.entries) {
      for (const { seq, delta: { table } } of chunk) {
        this.seqs.push(seq);
        this.marks.set(table, batch.to);
        outcomes.set(table, { status: "committed", deltas: 1, objects: 1, bytes: 1 });
      }
    }
    return ok(outcomes);
  }
}

const NAMES = ["a", "b", "__proto__"];

/** Chunks of one entry a table, and how many of them were read. */
function batchOf(chunks: number): { batch: FlushBatch; read: () => number } {
  let read = 0;
  const entry = (seq: number): FlushEntry => ({
    seq,
    at: seq,
    delta: makeDelta({
      op: "DELETE",
      table: NAMES[(seq - 1) % 3]!,
      rowId: `r${seq}`,
      clientId: "alice",
      columns: [],
      hlc: String(seq),
    }),
  });
  async function* entries() {
    for (; read < chunks;) {
      await Promise.resolve();
      read++;
      yield [entry(read * 3 - 2), entry(read * 3 - 1), entry(read * 3)];
    }
  }
  const schema = (table: string): TableSchema => ({ table, version: 1, columns: [] });
  const tables = new Map(NAMES.map((name) => [name, { schema: schema(name), from: undefined }]));
  const to = { epoch: "e", seq: chunks * 3 };
  return { batch: { id: "batch", to, tables, entries: entries() }, read: () => read };
}

const statuses = (outcomes: ReadonlyMap<string, FlushOutcome>) =>
  NAMES.map((table) => outcomes.get(table)?.status);

function composite(): { a: Kept; rest: Kept; both: Destination } {
  const a = new Kept("a");
  const rest = new Kept("rest");
  const routes = [{ tables: ["a"], to: a }];
  return { a, rest, both: compositeDestination({ name: "both", routes, default: rest }) };
}

test("each table of a batch goes to its destination, all others to the default", async () => {
  const { a, rest, both } = composite();
  const { batch } = batchOf(3);
  const outcomes = unwrapOrThrow(await both.write(batch));
  assertEquals(statuses(outcomes), ["committed", "committed", "committed"]);
  assertEquals([a.seqs, rest.seqs], [[1, 4, 7], [2, 3, 5, 6, 8, 9]]);
  assertEquals([...unwrapOrThrow(await both.watermarks(NAMES)).keys()].sort(), [
    "__proto__",
    "a",
    "b",
  ]);
  assertEquals([a.asked, rest.asked], [["a"], ["b", "__proto__"]]);
});

test("without a default, a table that no route names goes nowhere", async () => {
  const a = new Kept("a");
  const one = compositeDestination({ name: "one", routes: [{ tables: ["a"], to: a }] });
  const outcomes = unwrapOrThrow(await one.write(batchOf(1).batch));
  assertEquals(statuses(outcomes), ["committed", "empty", "empty"]);
  assertEquals(
    unwrapOrThrow(await one.watermarks(NAMES)),
    new Map([["a", { epoch: "e", seq: 3 }]]),
  );
});

test("a destination that fails at once, throws or stops half-way fails its own tables only", async () => {
  const failure = new LakeSyncError("OFFLINE", "Not there");
  const faults: NonNullable<Kept["fault"]>[] = [
    () => Promise.resolve(err(failure)),
    () => Promise.reject(failure),
    async ({ entries }) => {
      for await (const _ of entries) return err(failure);
      return ok(new Map());
    },
  ];
  for (const fault of faults) {
    const { a, rest, both } = composite();
    a.fault = fault;
    const outcomes = unwrapOrThrow(await both.write(batchOf(3).batch));
    assertEquals(statuses(outcomes), ["failed", "committed", "committed"]);
    assertEquals(outcomes.get("a"), { status: "failed", error: failure });
    assertEquals(rest.seqs, [2, 3, 5, 6, 8, 9]);
  }
});

test("a destination that gives no outcome for a table has failed there", async () => {
  const { a, both } = composite();
  a.fault = () => Promise.resolve(ok(new Map()));
  const outcomes = unwrapOrThrow(await both.write(batchOf(1).batch));
  assertEquals(statuses(outcomes), ["failed", "committed", "committed"]);
});

test("a failure to read the log fails the tables of all destinations", async () => {
  const { both } = composite();
  // deno-lint-ignore require-yield -- it fails before it has anything
  async function* entries(): AsyncGenerator<readonly FlushEntry[]> {
    await Promise.resolve();
    throw new LakeSyncError("STORAGE_ERROR", "No log");
  }
  const outcomes = unwrapOrThrow(await both.write({ ...batchOf(1).batch, entries: entries() }));
  assertEquals(statuses(outcomes), ["failed", "failed", "failed"]);
});

test("the slower destination is waited for: no more than a chunk is held", async () => {
  const { a, both } = composite();
  const { batch, read } = batchOf(50);
  let most = 0;
  a.fault = async ({ entries }) => {
    let taken = 0;
    for await (const _ of entries) {
      taken++;
      for (let i = 0; i < 20; i++) await Promise.resolve();
      most = Math.max(most, read() - taken);
    }
    return ok(new Map([["a", { status: "empty" }]]));
  };
  unwrapOrThrow(await both.write(batch));
  assertEquals([most, read()], [0, 50]);
});

test("a table cannot have two routes", () => {
  const to = new Kept("a");
  const routes = [{ tables: ["a"], to }, { tables: ["a"], to }];
  assertThrows(() => compositeDestination({ name: "x", routes }), TypeError, 'table "a" twice');
});

test("onlyTables() passes on its tables alone, under its own name", async () => {
  const kept = new Kept("kept");
  const only = onlyTables(kept, { tables: ["a", "c"], name: "mine" });
  assertEquals([only.name, onlyTables(kept, { tables: [] }).name], ["mine", "kept"]);
  const outcomes = unwrapOrThrow(await only.write(batchOf(2).batch));
  assertEquals(statuses(outcomes), ["committed", "empty", "empty"]);
  assertEquals(kept.seqs, [1, 4]);
  assertEquals([...unwrapOrThrow(await only.watermarks(NAMES)).keys()], ["a"]);
  kept.fault = () => Promise.reject(new Error("not to be asked"));
  const none = onlyTables(kept, { tables: ["c"] });
  assertEquals(statuses(unwrapOrThrow(await none.write(batchOf(1).batch))), [
    "empty",
    "empty",
    "empty",
  ]);
});

test("composite and route pass on what destinations tell of what they do behind flushes", async () => {
  const a = new Kept("a");
  const rest = new Kept("rest");
  const error = new LakeSyncError("CONFLICT", "another type");
  const telling = (kept: Kept, done: number): Destination => ({
    name: kept.name,
    watermarks: (tables) => kept.watermarks(tables),
    write: (batch) => kept.write(batch),
    stats: () =>
      Promise.resolve(
        ok({ done, tables: new Map([["a", { waiting: true, attempts: done, error }]]) }),
      ),
  });
  const both = compositeDestination({
    name: "both",
    routes: [{ tables: ["a"], to: telling(a, 1) }, { tables: ["b"], to: new Kept("mute") }],
    default: telling(rest, 2),
  });
  const told = ok({ done: 3, tables: new Map([["a", { waiting: true, attempts: 1, error }]]) });
  assertEquals(await both.stats?.(), told);
  assertEquals(await onlyTables(both, { tables: ["a"] }).stats?.(), told);
  assertEquals(onlyTables(a, { tables: ["a"] }).stats, undefined);
});
