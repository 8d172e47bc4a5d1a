import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Delta, type LogStore, unwrapOrThrow } from "@lakesync/core";
import { appendRequest, insertTodo, makeDelta, test } from "@lakesync/testing";
import { packChunks, unpackChunk } from "./kv_chunk.ts";
import { addWrites, type KvDatabase, splitWrites } from "./kv_database.ts";
import { openDenoKv } from "./kv_open_deno.ts";
import { kvLogStore } from "./store_kv.ts";
import { checkLog, checkNoGarbage, readState } from "./testdata/check_kv.ts";
import { type KvPeaks, strictKv } from "./testdata/strict_kv.ts";

interface Opened {
  readonly kv: KvDatabase & { readonly peaks: KvPeaks };
  readonly time: { now: number };
  store(): Promise<LogStore>;
}

/** A database with Deno Deploy's limits, and stores in it. */
async function withKv(body: (opened: Opened) => Promise<void>): Promise<void> {
  const kv = strictKv(unwrapOrThrow(await openDenoKv({ path: ":memory:" })));
  const time = { now: 1_000_000 };
  const stores: LogStore[] = [];
  try {
    await body({
      kv,
      time,
      async store() {
        const store = unwrapOrThrow(await kvLogStore({ kv, clock: { now: () => time.now } }));
        stores.push(store);
        return store;
      },
    });
  } finally {
    for (const store of stores) await store.close();
    kv.close();
  }
}

const write = (rowId: string, hlc: number, column: string, value: string): Delta =>
  makeDelta({
    op: hlc === 1 ? "INSERT" : "UPDATE",
    table: "notes",
    rowId,
    clientId: "alice",
    hlc: String(hlc),
    columns: [{ column, value }],
  });

test({
  name:
    "a push of 3,000 rows, with keys and texts of the worst kind, stays within Deno Deploy's limits",
  timeoutMs: 360_000,
}, () =>
  withKv(async ({ kv, store: open }) => {
    const store = await open();
    // 256 bytes of the letters that take most room in a key, and texts that take more than they count.
    const rowId = (i: number): string => `${"\0".repeat(246)}${String(i).padStart(10, "0")}`;
    const deltas = Array.from({ length: 3_000 }, (_, i) =>
      makeDelta({
        op: "INSERT",
        table: "t".repeat(63),
        rowId: rowId(i),
        clientId: "c".repeat(1_024),
        columns: [{ column: "text", value: i === 0 ? "€".repeat(340_000) : "€\u{1F600}" }],
        hlc: String(i + 1),
      }));
    unwrapOrThrow(await store.append(appendRequest(deltas, { oneTransaction: true })));
    assertEquals((await checkLog(store)).length, 3_000);
    // The same again, out of order: each is looked up, none is appended.
    const again = await store.append(appendRequest(deltas.toReversed()));
    assertEquals(unwrapOrThrow(again).head.seq, 3_000);
    unwrapOrThrow(await store.trim({ through: 3_000 }));
    const kept = await store.append(appendRequest(deltas));
    assertEquals(unwrapOrThrow(kept).head.seq, 3_000, "the last push is known behind the trim");
    await checkNoGarbage(kv);
    assert(kv.peaks.writes > 500, "the limits were come near to");
  }));

test("a row of several MiB is changed, read in a snapshot and removed whole", () =>
  withKv(async ({ kv, store: open }) => {
    const store = await open();
    for (let n = 1; n <= 4; n++) {
      const delta = write("long", n, `part${n}`, `${n}`.repeat(700_000));
      unwrapOrThrow(await store.append(appendRequest([delta])));
    }
    const snapshot = unwrapOrThrow(await store.snapshot());
    const gone = makeDelta({ ...write("long", 5, "x", ""), op: "DELETE", columns: [] });
    unwrapOrThrow(await store.append(appendRequest([gone])));
    unwrapOrThrow(await store.trim({ through: 5 }));
    const rows: string[] = [];
    for await (const chunk of snapshot.rows()) {
      for (const { state } of chunk) {
        rows.push(...[...state.columns.values()].map(([value]) => String(value)));
      }
    }
    assertEquals(
      rows.map((text) => [text[0], text.length]),
      [1, 2, 3, 4].map((n) => [`${n}`, 700_000]),
    );
    await snapshot.close();
    assertEquals((await readState(store)).size, 0);
    await checkNoGarbage(kv);
  }));

test("a push whose rows are too large for memory is refused, and halves of it are taken", () =>
  withKv(async ({ store: open }) => {
    const store = await open();
    const rows = Array.from({ length: 17 }, (_, i) => `row-${i}`);
    for (let n = 1; n <= 4; n++) {
      for (const row of rows) {
        const delta = write(row, n, `part${n}`, "x".repeat(1_000_000));
        unwrapOrThrow(await store.append(appendRequest([delta])));
      }
    }
    const small = rows.map((row) => write(row, 100, "title", "y"));
    const refused = await store.append(appendRequest(small));
    assertEquals(refused.ok || refused.error.code, "PAYLOAD_TOO_LARGE");
    assertEquals(unwrapOrThrow(await store.head()).seq, 68);
    unwrapOrThrow(await store.append(appendRequest(small.slice(0, 8))));
    unwrapOrThrow(await store.append(appendRequest(small.slice(8))));
    assertEquals(unwrapOrThrow(await store.head()).seq, 85);
  }));

test("a snapshot that nobody reads from for five minutes fails when it is read again", () =>
  withKv(async ({ time, store: open }) => {
    const store = await open();
    const deltas = Array.from({ length: 1_200 }, (_, i) => insertTodo(`r${i}`, i + 1));
    unwrapOrThrow(await store.append(appendRequest(deltas)));
    const [kept, lost] = [await store.snapshot(), await store.snapshot()].map(unwrapOrThrow);
    const reading = kept!.rows()[Symbol.asyncIterator]();
    const stalled = lost!.rows()[Symbol.asyncIterator]();
    let rows = 0;
    for (let i = 0; i < 3; i++) {
      // Read from every four minutes, it holds for as long as that takes.
      rows += (await reading.next()).value?.length ?? 0;
      if (i === 0) await stalled.next();
      time.now += 4 * 60_000;
      unwrapOrThrow(await (await open()).trim({ through: 0 }));
    }
    assertEquals(rows, 1_200);
    const failure: unknown = await stalled.next().then(() => undefined, (thrown) => thrown);
    assertEquals((failure as { code?: string } | undefined)?.code, "STORAGE_ERROR");
  }));

test("stores under different prefixes of one database know nothing of each other", () =>
  withKv(async ({ kv }) => {
    const [a, b] = await Promise.all(
      ["a", "b"].map(async (id) =>
        unwrapOrThrow(await kvLogStore({ kv, prefix: ["gateways", id] }))
      ),
    );
    unwrapOrThrow(await a!.append(appendRequest([insertTodo("r", 1)])));
    assertEquals(unwrapOrThrow(await b!.head()).seq, 0);
    assert(a!.epoch !== b!.epoch);
    await a!.close();
    unwrapOrThrow(await b!.append(appendRequest([insertTodo("r", 1)])));
    await b!.close();
  }));

test("a value of more than 64 KiB is set, replaced and removed without a rest", () =>
  withKv(async ({ kv, store: open }) => {
    const store = await open();
    for (const value of ["ä".repeat(100_000), "b".repeat(200_000), "short", "c".repeat(70_000)]) {
      unwrapOrThrow(await store.setValue("schema", value));
      assertEquals(unwrapOrThrow(await (await open()).getValue("schema")), value);
      await checkNoGarbage(kv);
    }
    unwrapOrThrow(await store.setValue("schema", null));
    assertEquals(unwrapOrThrow(await store.getValue("schema")), undefined);
    await checkNoGarbage(kv);
  }));

test("writes are divided so that each run fits into an atomic of Deno Deploy, in order", async () => {
  const key = fc.array(fc.string({ unit: "binary", maxLength: 300 }), {
    minLength: 1,
    maxLength: 3,
  });
  const value = fc.oneof(
    fc.integer({ min: 0, max: 60_000 }).map((size) => new Uint8Array(size)),
    fc.constant(undefined),
    fc.string({ unit: "binary", maxLength: 5_000 }),
  );
  const writes = fc.array(fc.record({ key, value }), { maxLength: 1_500, size: "max" });
  await withKv(async ({ kv }) => {
    await fc.assert(
      fc.asyncProperty(writes, async (given) => {
        const runs = splitWrites(given);
        assertEquals(runs.flat(), given);
        for (const run of runs) {
          assertEquals((await addWrites(kv.atomic(), run).commit()).ok, true);
        }
      }),
      { seed: 42, numRuns: 6 },
    );
  });
});

test("a chunk is read as it was packed, whatever its texts are", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
  const delta = fc.tuple(text, text, text).map(([rowId, clientId, value]) =>
    makeDelta({
      op: "INSERT",
      table: "todos",
      rowId,
      clientId,
      columns: [{ column: "title", value }],
      hlc: "7",
    })
  );
  fc.assert(
    fc.property(fc.array(delta, { minLength: 1, maxLength: 300 }), fc.boolean(), (deltas, late) => {
      const effect = {
        before: "none",
        after: "alive",
        last: true,
        life: true,
        columns: undefined,
        state: undefined,
        judged: { before: undefined, after: [["title", null]] },
      } as const;
      const entries = deltas.map((delta, i) => ({
        entry: { delta, effect, txEnd: i % 3 === 0, keys: [delta.rowId, "t:todos"] },
        pusher: "bob",
        late,
      }));
      const { chunks } = packChunks({ after: { seq: 5, hash: 9 }, at: 1_234, entries });
      let seq = 6;
      for (const chunk of chunks) {
        const read = unpackChunk(chunk.bytes);
        assertEquals(read.last, chunk.last);
        assertEquals(read.entries, chunk.entries.map((item) => ({ ...item, delta: undefined })));
        for (const { entry } of read.entries) assertEquals(entry.seq, seq++);
      }
      assertEquals(seq, 6 + deltas.length);
    }),
    { seed: 42, numRuns: 50 },
  );
});
