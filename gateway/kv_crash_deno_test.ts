import { assert, assertEquals } from "@std/assert";
import {
  type Delta,
  type LogSnapshot,
  type LogStore,
  type Scheduler,
  unwrapOrThrow,
} from "@lakesync/core";
import { appendRequest, insertTodo, makeDelta, test } from "@lakesync/testing";
import {
  addWrites,
  type KvDatabase,
  type KvKey,
  type KvWrite,
  splitWrites,
} from "./kv_database.ts";
import { openDenoKv } from "./kv_open_deno.ts";
import { kvLogStore } from "./store_kv.ts";
import {
  checkLog,
  checkNoGarbage,
  mergeAll,
  readDeltas,
  readSnapshot,
  readState,
} from "./testdata/check_kv.ts";
import { dyingKv } from "./testdata/dying_kv.ts";
import { strictKv } from "./testdata/strict_kv.ts";
import { nextTurn } from "./turn.ts";

/** Waits for nothing: what others would do meanwhile they do at once. */
const scheduler: Scheduler = { delay: () => new Promise((resolve) => nextTurn(resolve)) };

interface Push {
  readonly clientId: string;
  readonly deltas: readonly Delta[];
}

const note = (n: number, hlc: number, value: string, clientId = "bob"): Delta =>
  makeDelta({
    op: n === 0 ? "INSERT" : "UPDATE",
    table: "notes",
    rowId: "long",
    clientId,
    hlc: String(hlc),
    columns: [{ column: `part${n}`, value }],
  });
const gone = (rowId: string, hlc: number): Delta =>
  makeDelta({
    op: "DELETE",
    table: "todos",
    rowId,
    clientId: "bob",
    hlc: String(hlc),
    columns: [],
  });

/** More rows than an atomic takes. */
const MANY = 920;
const many = (hlc: number): Delta[] =>
  Array.from({ length: MANY }, (_, i) => insertTodo(`row-${i}`, hlc + i, "alice"));
/** Small ones, one with more rows than an atomic takes, some with more bytes, and what undoes them. */
const PUSHES: readonly Push[] = [
  { clientId: "bob", deltas: [insertTodo("a", 10, "bob"), insertTodo("b", 11, "bob")] },
  { clientId: "alice", deltas: many(100) },
  // Pushed by another than its maker, with a stamp below that maker's greatest one.
  { clientId: "carol", deltas: [insertTodo("late", 50, "alice")] },
  { clientId: "bob", deltas: [gone("a", 2_000), note(0, 2_001, "x".repeat(900_000))] },
  { clientId: "bob", deltas: [note(1, 2_002, "ö".repeat(40_000))] },
  // The large row first: it is written before the last of the atomics that this takes.
  { clientId: "alice", deltas: [note(2, 4_999, "y".repeat(9_000), "alice"), ...many(5_000)] },
  { clientId: "bob", deltas: [gone("b", 2_003)] },
  { clientId: "bob", deltas: [insertTodo("b", 2_004, "bob"), gone("row-7", 2_005)] },
];
/** The pushes that are there before the snapshot. */
const BEFORE_SNAPSHOT = 2;
/** A place between two entries of one chunk. */
const TRIM = MANY + 4;
const VALUE = "v".repeat(150_000);

async function open(kv: KvDatabase, now = 1_000_000): Promise<LogStore> {
  return unwrapOrThrow(await kvLogStore({ kv, scheduler, clock: { now: () => now } }));
}

/** Pushes with table keys, as a gateway does. */
async function push(store: LogStore, { clientId, deltas }: Push): Promise<boolean> {
  return (await store.append(appendRequest(deltas, { clientId }))).ok;
}

/** Everything that writes, once; ends where the process dies. Tells how many pushes were answered. */
async function live(
  kv: KvDatabase,
  onSnapshot: () => Promise<void> = () => Promise.resolve(),
): Promise<number> {
  let answered = 0;
  try {
    const store = await open(kv);
    for (const request of PUSHES) {
      if (!await push(store, request)) break;
      answered++;
      if (answered === BEFORE_SNAPSHOT) {
        await onSnapshot();
        // A snapshot over the changes that follow, left open by the one that dies.
        unwrapOrThrow(await store.snapshot());
        unwrapOrThrow(await store.setValue("k", VALUE));
      }
    }
    unwrapOrThrow(await store.setValue("k", null));
    await store.close();
  } catch {
    // It died.
  }
  return answered;
}

async function memoryKv(): Promise<KvDatabase> {
  return strictKv(unwrapOrThrow(await openDenoKv({ path: ":memory:" })));
}

/** A trim; false where the process died. */
async function trim(kv: KvDatabase): Promise<boolean> {
  try {
    const store = await open(kv);
    const trimmed = await store.trim({ through: TRIM });
    await store.close();
    return trimmed.ok;
  } catch {
    return false;
  }
}

/** A database with the same contents. */
async function copyOf(kv: KvDatabase): Promise<KvDatabase> {
  const copy = await memoryKv();
  const writes: KvWrite[] = [];
  for await (const { key, value } of kv.list({ start: [], end: [true] }, { batchSize: 500 })) {
    writes.push({ key: key as KvKey, value });
  }
  for (const run of splitWrites(writes)) await addWrites(copy.atomic(), run).commit();
  return copy;
}

for (const done of [false, true]) {
  test({
    name: `a KV log whose process dies ${
      done ? "after" : "before"
    } any of its writes keeps each answered push once and the others whole or not at all`,
    timeoutMs: 360_000,
  }, async () => {
    const whole = await memoryKv();
    const counting = dyingKv(whole, { at: Infinity, done });
    assertEquals(await live(counting), PUSHES.length);
    const { writes } = counting;
    whole.close();
    assert(writes > 20, `${writes} writes`);
    for (let at = 1; at <= writes; at++) {
      const kv = await memoryKv();
      // Another instance has a snapshot, and reads it behind all that the crash leaves to be done.
      const store = await open(kv);
      let snapshot: LogSnapshot | undefined;
      const onSnapshot = async (): Promise<void> => {
        snapshot = unwrapOrThrow(await store.snapshot());
      };
      const answered = await live(dyingKv(kv, { at, done }), onSnapshot);
      const there = await readDeltas(store);
      // Whole pushes, in order, and all that were answered.
      let pushes = 0;
      for (let rest = there.length; rest > 0; rest -= PUSHES[pushes++]!.deltas.length) {
        assert(pushes < PUSHES.length);
      }
      assert(pushes === answered || pushes === answered + 1, `${pushes} of ${answered}`);
      const expected = PUSHES.flatMap(({ deltas }) => deltas);
      assertEquals(there, expected.slice(0, there.length), `write ${at}`);
      // All are repeated, as clients do that lost an answer: those that are there are not appended.
      for (const request of PUSHES) assert(await push(store, request), `write ${at}`);
      if (snapshot !== undefined) {
        const rows = await readSnapshot(snapshot);
        const then = PUSHES.slice(0, BEFORE_SNAPSHOT).flatMap(({ deltas }) => deltas);
        assertEquals(rows, mergeAll(then), `write ${at}`);
      }
      assertEquals(await checkLog(store), expected);
      await store.close();
      // An hour later nothing is left of the crash.
      const later = await open(kv, 1_000_000 + 3_600_000);
      unwrapOrThrow(await later.setValue("k", null));
      unwrapOrThrow(await later.trim({ through: 0 }));
      await checkNoGarbage(kv);
      await checkLog(later);
      await later.close();
      kv.close();
    }
  });

  test({
    name: `a KV log whose process dies ${
      done ? "after" : "before"
    } any write of a trim goes on with it later, and forgets no row and no last push`,
    timeoutMs: 360_000,
  }, async () => {
    const whole = await memoryKv();
    assertEquals(await live(whole), PUSHES.length);
    const counting = dyingKv(await copyOf(whole), { at: Infinity, done });
    assert(await trim(counting));
    const { writes } = counting;
    assert(writes >= 20, `${writes} writes of a trim`);
    const expected = mergeAll(PUSHES.flatMap(({ deltas }) => deltas));
    for (let at = 1; at <= writes; at++) {
      const kv = await copyOf(whole);
      assertEquals(await trim(dyingKv(kv, { at, done })), false);
      const store = await open(kv, 1_000_000 + 3_600_000);
      const head = unwrapOrThrow(await store.head()).seq;
      const repeatLast = async (): Promise<void> => {
        for (const last of [PUSHES[5]!, PUSHES[2]!, PUSHES[7]!]) assert(await push(store, last));
        assertEquals(unwrapOrThrow(await store.head()).seq, head, `write ${at}`);
      };
      // Carol's last push is behind the trim, alice's and bob's are not.
      await repeatLast();
      unwrapOrThrow(await store.trim({ through: TRIM }));
      await repeatLast();
      const state = await readState(store);
      for (const [key, row] of expected) {
        if (row.life?.alive === true) assertEquals(state.get(key), row);
      }
      assertEquals(state.has("todos/a"), false, "a dead row behind the trim");
      assertEquals((await readDeltas(store, TRIM)).length, head - TRIM);
      unwrapOrThrow(await store.trim({ through: head }));
      await repeatLast();
      await checkNoGarbage(kv);
      await store.close();
      kv.close();
    }
    whole.close();
  });
}
