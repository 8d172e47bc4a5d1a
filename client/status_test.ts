import { LakeSyncError, ok, type SyncTransport, unwrapOrThrow } from "@lakesync/core";
import { Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { codeOf, foreignDelta, withBench } from "./testdata/bench.ts";
import type { ClientStatus, FirstSync } from "./mod.ts";
import { inProcessTransport } from "./mod.ts";

test("status tells whether the gateway was reached, what waits, and what is still to come", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const { online, behind, outbox, lastSyncedAt } = client.status;
    assertEquals([online, behind, outbox, lastSyncedAt], [undefined, undefined, 0, undefined]);
    unwrapOrThrow(await client.tables.todos.insert({ title: "a", done: false }));
    assertEquals(client.status.outbox, 1);
    bench.gateway.fault = () => ({
      fault: "error",
      error: new LakeSyncError("OFFLINE", "No way"),
    });
    assertEquals(codeOf(await client.syncOnce()), "OFFLINE");
    assertEquals([client.status.online, client.status.outbox], [false, 1]);
    assertEquals(client.status.error?.message, "No way");
    assertEquals(client.status.blocked, undefined);
    bench.gateway.fault = () => undefined;
    unwrapOrThrow(await client.syncOnce());
    const after = client.status;
    assertEquals([after.online, after.behind, after.outbox], [true, 0, 0]);
    assertEquals([after.error, after.lastSyncedAt], [undefined, bench.clock.now()]);
  }));

test("status says what stands in the way, by the gateway's code", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const reasons = [];
    for (const code of ["CONFLICT", "UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND"] as const) {
      const error = new LakeSyncError(code, "Do something");
      bench.gateway.fault = () => ({ fault: "error", error });
      await client.syncOnce();
      const { blocked, online } = client.status;
      reasons.push([blocked, online]);
    }
    assertEquals(reasons, [
      ["schema", true],
      ["token", true],
      ["access", true],
      ["gateway", true],
    ]);
    bench.gateway.fault = () => undefined;
    unwrapOrThrow(await client.syncOnce());
    assertEquals(client.status.blocked, undefined);
  }));

test("the event status comes with each change, and the status is another object only then", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const seen: ClientStatus[] = [];
    client.on("status", (status) => seen.push(status));
    assert(client.status === client.status);
    unwrapOrThrow(await client.tables.todos.insert({ title: "a", done: false }));
    unwrapOrThrow(await client.syncOnce());
    assertEquals(seen.at(-1), client.status);
    for (const [i, status] of seen.entries()) {
      if (i > 0) assert(JSON.stringify(status) !== JSON.stringify(seen[i - 1]));
    }
  }));

test("the outbox's depth is that of the database, also after rejections, resets and restarts", () =>
  withBench(async (bench) => {
    const random = new Prng(11);
    const database = await bench.database();
    let client = await bench.client({ database });
    for (let i = 0; i < 120; i++) {
      const dice = random.int(0, 9);
      if (dice < 5) {
        const row = { id: `${random.int(0, 8)}`, title: `${i}`, done: false };
        unwrapOrThrow(await client.tables.todos.upsert(row));
      } else if (dice === 5) {
        const letters = unwrapOrThrow(await client.rejected.list());
        unwrapOrThrow(await client.rejected.retry(letters.map(({ delta }) => delta.deltaId)));
      } else if (dice === 6) {
        bench.gateway.reject = random.int(0, 1) === 0 ? () => "FORBIDDEN_WRITE" : () => undefined;
      } else if (dice === 7) bench.gateway.reset();
      else if (dice === 8) client = await bench.client({ database });
      else await client.syncOnce();
      assertEquals(client.status.outbox, unwrapOrThrow(await client.pending()));
    }
  }));

test("a first sync tells its rows as they come, and nothing of it stays in the end", () =>
  withBench(async (bench) => {
    const deltas = Array.from(
      { length: 20_000 },
      (_, i) => foreignDelta({ rowId: `${i}`, columns: { title: "x", done: false } }),
    );
    bench.gateway.append(deltas);
    const client = await bench.client();
    const seen: (FirstSync | undefined)[] = [];
    client.on("status", ({ firstSync }) => seen.push(firstSync));
    unwrapOrThrow(await client.syncOnce());
    const rows = seen.flatMap((progress) => progress === undefined ? [] : [progress.rows]);
    assertEquals([rows[0], rows.at(-1)], [0, 20_000]);
    assert(rows.length >= 3 && rows.every((count, i) => i === 0 || count >= rows[i - 1]!));
    assertEquals(client.status.firstSync, undefined);
    // Only the first one.
    seen.length = 0;
    unwrapOrThrow(await client.syncOnce());
    assert(seen.every((progress) => progress === undefined));
  }));

/** A gateway with a checkpoint of so many rows and nothing else, that says what it has by headers. */
function checkpointOf(rows: number, headersOf: (length: number) => HeadersInit): SyncTransport {
  const hlc = "65536";
  const lines = [
    JSON.stringify({ checkpoint: { seq: rows, cursor: "c", tables: ["todos"] } }),
    ...Array.from({ length: rows }, (_, i) =>
      JSON.stringify({
        table: "todos",
        rowId: `${i}`,
        life: [hlc, "o"],
        columns: { title: [`t${i}`, hlc, "o"], done: [false, hlc, "o"] },
      })),
    JSON.stringify({ end: { rows } }),
  ];
  const body = new TextEncoder().encode(lines.join("\n"));
  const transport = inProcessTransport({
    fetch: () => Promise.resolve(new Response(body, { headers: headersOf(body.length) })),
  });
  return {
    checkpoint: (request, options) => transport.checkpoint(request, options),
    pull: () =>
      Promise.resolve(
        ok({ deltas: [], cursor: "c", seq: rows, hasMore: false, serverHlc: "65536" }),
      ),
    push: () => Promise.reject(new Error("not to be pushed to")),
  };
}

test("a first sync tells bytes, and the part of it that they are where the gateway says how much there is", () =>
  withBench(async (bench) => {
    const progress = async (headersOf: (length: number) => HeadersInit) => {
      const transport = checkpointOf(16_000, headersOf);
      const client = await bench.client({ transport });
      const seen: FirstSync[] = [];
      client.on("status", ({ firstSync }) => {
        if (firstSync !== undefined) seen.push(firstSync);
      });
      unwrapOrThrow(await client.syncOnce());
      return seen;
    };
    const plain = await progress(() => ({}));
    assertEquals(plain.map(({ percent }) => percent).filter((p) => p !== undefined), []);
    assert(plain.at(-1)!.bytes > 16_000 * 80);
    const byLength = await progress((length) => ({ "Content-Length": `${length}` }));
    assertEquals(byLength.at(-1)?.percent, 99);
    const byRows = await progress(() => ({ "X-Checkpoint-Rows": "32000" }));
    assertEquals(byRows.at(-1), { ...byRows.at(-1)!, rows: 16_000, percent: 50 });
    // What is packed is not measured by its length.
    const packed = await progress(() => ({
      "Content-Length": "9",
      "Content-Encoding": "identity",
    }));
    assertEquals(packed.at(-1)?.percent, undefined);
  }));

test("a device that wakes up from sleep syncs at once, also while it waits after a failure", () =>
  withBench(async (bench) => {
    const client = await bench.client({ sync: { intervalMs: 3_600_000 } });
    await bench.clock.advance(0);
    bench.gateway.append([foreignDelta({ rowId: "1", columns: { title: "a", done: false } })]);
    await bench.clock.advance(60_000);
    const count = async () =>
      unwrapOrThrow(await client.query("SELECT count(*) AS n FROM todos"))[0]!.n;
    assertEquals(await count(), 0);
    // An hour passes in which no timer runs.
    bench.clock.set(bench.clock.now() + 3_600_000);
    await bench.clock.advance(10_000);
    assertEquals(await count(), 1);
    bench.gateway.fault = () => ({ fault: "error", error: new LakeSyncError("OFFLINE", "No") });
    unwrapOrThrow(await client.tables.todos.insert({ title: "b", done: false }));
    await bench.clock.advance(300_000);
    assertEquals([client.status.state, client.status.online], ["waiting", false]);
    bench.gateway.fault = () => undefined;
    bench.clock.set(bench.clock.now() + 3_600_000);
    await bench.clock.advance(10_000);
    assertEquals([client.status.state, client.status.outbox], ["idle", 0]);
  }));

test("a device that loses its network is offline at once, and looks at once when it is back", () =>
  withBench(async (bench) => {
    const client = await bench.client({ sync: { intervalMs: 3_600_000 } });
    await bench.clock.advance(0);
    assertEquals(client.status.online, true);
    globalThis.dispatchEvent(new Event("offline"));
    assertEquals(client.status.online, false);
    bench.gateway.append([foreignDelta({ rowId: "1", columns: { title: "a", done: false } })]);
    globalThis.dispatchEvent(new Event("online"));
    await bench.clock.advance(0);
    assertEquals(client.status.online, true);
    assertEquals((await client.tables.todos.get("1")).ok, true);
  }));
