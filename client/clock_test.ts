import { compareHlc, type Delta, LakeSyncError, unpackHlc, unwrapOrThrow } from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type Bench, foreignDelta, rowsOf, withBench } from "./testdata/bench.ts";

const HOUR_MS = 3_600_000;

function wallOf(delta: Delta | undefined): number {
  return unpackHlc(delta!.hlc).wallMs;
}

function clockOff(bench: Bench, ms: number): ManualClock {
  return new ManualClock(bench.clock.now() + ms);
}

test("deltas of a clock that is ahead are stamped anew, in order, shifted, and all accepted", () =>
  withBench(async (bench) => {
    const clock = clockOff(bench, HOUR_MS);
    const client = await bench.client({ clock });
    const { todos } = client.tables;
    unwrapOrThrow(await todos.insert({ id: "1", title: "Milk", done: false }));
    await clock.advance(60_000);
    unwrapOrThrow(
      await client.transaction(async (tx) => {
        await tx.tables.todos.update("1", { done: true });
        await tx.tables.todos.insert({ id: "2", title: "Bread", done: false });
      }),
    );
    await clock.advance(60_000);
    // The gateway's time passes too, so that the device is an hour ahead still.
    await bench.clock.advance(120_000);
    const summary = unwrapOrThrow(await client.syncOnce());
    assertEquals([summary.pushed, summary.rejected], [3, 0]);
    const now = bench.clock.now();
    // Shifted: how long ago they were made is kept.
    assertEquals(bench.gateway.accepted.map(wallOf), [now - 120_000, now - 60_000, now - 60_000]);
    assertEquals(bench.gateway.accepted.map(({ op }) => op), ["INSERT", "UPDATE", "INSERT"]);
    assertEquals(await rowsOf(client), [["1", "Milk", 1, null], ["2", "Bread", 0, null]]);
    assertEquals(unwrapOrThrow(await client.rejected.list()), []);
    // The mark has fallen back: what is written next is stamped with the gateway's time.
    unwrapOrThrow(await todos.update("1", { title: "Oat milk" }));
    unwrapOrThrow(await client.syncOnce());
    assertEquals(wallOf(bench.gateway.accepted.at(-1)), now);
    assertEquals(bench.gateway.requests.filter(({ kind }) => kind === "push").length, 3);
  }));

test("a clock that is behind is put right by what the gateway says", () =>
  withBench(async (bench) => {
    const client = await bench.client({ clock: clockOff(bench, -HOUR_MS) });
    unwrapOrThrow(await client.syncOnce());
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    unwrapOrThrow(await client.syncOnce());
    assertEquals(wallOf(bench.gateway.accepted[0]), bench.clock.now());
  }));

test("a clock that was set back meanwhile throws no stamp into the future", () =>
  withBench(async (bench) => {
    const clock = clockOff(bench, HOUR_MS);
    const client = await bench.client({ clock });
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    clock.set(bench.clock.now() - HOUR_MS);
    assertEquals(unwrapOrThrow(await client.syncOnce()).pushed, 1);
    assertEquals(wallOf(bench.gateway.accepted[0]), bench.clock.now());
  }));

test("deltas sent with an unknown outcome are never stamped anew", () =>
  withBench(async (bench) => {
    const client = await bench.client({ clock: clockOff(bench, 4_000) });
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    // Within the drift limit, so that it is accepted; but the answer is lost.
    let pushes = 0;
    bench.gateway.fault = ({ kind }) =>
      kind === "push" && ++pushes === 1 ? { fault: "lose-answer" } : undefined;
    await client.syncOnce();
    const [sent] = bench.gateway.accepted;
    unwrapOrThrow(await client.tables.todos.update("1", { done: true }));
    assertEquals(unwrapOrThrow(await client.syncOnce()).duplicates, 1);
    assertEquals(bench.gateway.accepted[0], sent);
    assertEquals(bench.gateway.head, 2);
    assert(compareHlc(bench.gateway.accepted[1]!.hlc, sent!.hlc) > 0);
  }));

test("stamps rise over a restart, also where the clock goes back", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const clock = clockOff(bench, 0);
    const first = await bench.client({ database, clock });
    unwrapOrThrow(await first.tables.todos.insert({ id: "1", title: "a", done: false }));
    await first.close();
    clock.set(clock.now() - HOUR_MS);
    const second = await bench.client({ database, clock });
    unwrapOrThrow(await second.tables.todos.update("1", { title: "b" }));
    unwrapOrThrow(await second.syncOnce());
    const [insert, update] = bench.gateway.accepted;
    assert(compareHlc(insert!.hlc, update!.hlc) < 0);
    assertEquals(await rowsOf(second), [["1", "b", 0, null]]);
  }));

for (const how of ["checkpoint", "page"] as const) {
  test(`stamps are above every stamp that a ${how} brings, however far ahead that is`, () =>
    withBench(async (bench) => {
      const client = await bench.client();
      if (how === "page") unwrapOrThrow(await client.syncOnce());
      const hlc = String(BigInt(bench.clock.now() + 2_000) << 16n);
      bench.gateway.append([
        foreignDelta({ rowId: "1", hlc, columns: { title: "x", done: false } }),
      ]);
      unwrapOrThrow(await client.syncOnce());
      unwrapOrThrow(await client.tables.todos.update("1", { title: "y" }));
      assertEquals(unwrapOrThrow(await client.syncOnce()).pushed, 1);
      assert(compareHlc(bench.gateway.accepted[1]!.hlc, hlc) > 0);
      assertEquals(await rowsOf(client), [["1", "y", 0, null]]);
    }));
}

test("deltas stamped anew stay above those of the same push that were accepted", () =>
  withBench(async (bench) => {
    const clock = clockOff(bench, 4_000);
    const client = await bench.client({ clock });
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "first", done: false }));
    clock.set(bench.clock.now() + HOUR_MS);
    unwrapOrThrow(await client.tables.todos.update("1", { title: "second" }));
    const summary = unwrapOrThrow(await client.syncOnce());
    assertEquals([summary.pushed, summary.rejected], [2, 0]);
    const [insert, update] = bench.gateway.accepted;
    assertEquals(wallOf(insert), bench.clock.now() + 4_000);
    assert(compareHlc(update!.hlc, insert!.hlc) > 0);
    assertEquals(await rowsOf(client), [["1", "second", 0, null]]);
  }));

/** A gateway that has purged a tombstone, and a client that was away since before. */
async function purgedGateway(bench: Bench): Promise<void> {
  await bench.clock.advance(10_000);
  const hlc = () => String((BigInt(bench.clock.now()) << 16n) + 9n);
  bench.gateway.append([
    foreignDelta({ rowId: "x", hlc: hlc(), columns: { title: "x", done: false } }),
  ]);
  await bench.clock.advance(1);
  bench.gateway.append([foreignDelta({ op: "DELETE", rowId: "x", hlc: hlc() })]);
  bench.gateway.append([foreignDelta({ rowId: "y", columns: { title: "y", done: false } })]);
  bench.gateway.trim(3);
  await bench.clock.advance(10_000);
}

test("an INSERT that was never sent and is STALE is stamped anew, and what follows on its row too", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    unwrapOrThrow(await client.tables.todos.update("1", { done: true }));
    await purgedGateway(bench);
    // This one is newer than the purged stamp: it is accepted before the row lives.
    unwrapOrThrow(await client.tables.todos.update("1", { rank: 5 }));
    const summary = unwrapOrThrow(await client.syncOnce());
    assertEquals([summary.pushed, summary.rejected], [3, 0]);
    assertEquals(await rowsOf(client), [["1", "Milk", 1, 5], ["y", "y", 0, null]]);
    const other = await bench.client();
    unwrapOrThrow(await other.syncOnce());
    assertEquals(await rowsOf(other), await rowsOf(client));
  }));

test("a STALE INSERT whose row a later accepted DELETE removes stays dead", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    await purgedGateway(bench);
    unwrapOrThrow(await client.tables.todos.delete("1"));
    assertEquals(unwrapOrThrow(await client.syncOnce()).rejected, 1);
    assertEquals(await rowsOf(client), [["y", "y", 0, null]]);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
  }));

test("a delta whose whole push was refused counts as never sent", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    unwrapOrThrow(await client.tables.todos.insert({ id: "2", title: "Bread", done: false }));
    await purgedGateway(bench);
    bench.gateway.fault = (r) =>
      r.kind === "push" && r.request.deltas.length > 1
        ? { fault: "error", error: new LakeSyncError("PAYLOAD_TOO_LARGE", "No") }
        : undefined;
    const summary = unwrapOrThrow(await client.syncOnce());
    assertEquals([summary.pushed, summary.rejected], [2, 0]);
  }));

test("a STALE delta that may have been accepted before becomes a dead letter", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    bench.gateway.fault = ({ kind }) => kind === "push" ? { fault: "lose-request" } : undefined;
    await client.syncOnce();
    bench.gateway.fault = () => undefined;
    await purgedGateway(bench);
    assertEquals(unwrapOrThrow(await client.syncOnce()).rejected, 1);
    assertEquals(unwrapOrThrow(await client.rejected.list()).map(({ code }) => code), ["STALE"]);
  }));

test("a new stamp may be the old one of the same change further on", () =>
  withBench(async (bench) => {
    const client = await bench.client({ clock: clockOff(bench, HOUR_MS) });
    const { todos } = client.tables;
    const milk = { id: "1", title: "Milk", done: false };
    unwrapOrThrow(await todos.insert({ id: "2", title: "Bread", done: false }));
    unwrapOrThrow(await todos.insert(milk));
    unwrapOrThrow(await todos.delete("1"));
    bench.gateway.fault = ({ kind }) => kind === "push" ? { fault: "lose-request" } : undefined;
    await client.syncOnce();
    bench.gateway.fault = () => undefined;
    // One delta a push: so the first is stamped anew together with the last, which was never sent,
    // and the second then gets the last one's stamp.
    bench.gateway.maxPushBytes = 700;
    unwrapOrThrow(await todos.insert(milk));
    assertEquals(unwrapOrThrow(await client.syncOnce()).pushed, 4);
    assertEquals(bench.gateway.accepted.map(({ op }) => op), [
      "INSERT",
      "INSERT",
      "DELETE",
      "INSERT",
    ]);
    assertEquals(await rowsOf(client), [["1", "Milk", 0, null], ["2", "Bread", 0, null]]);
  }));
