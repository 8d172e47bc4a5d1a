import { LakeSyncError, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type Bench, codeOf, foreignDelta, rowsOf, withBench } from "./testdata/bench.ts";

const AUTO = { auto: true, intervalMs: 5_000 };

function count(bench: Bench): number {
  return bench.gateway.requests.length;
}

test("an automatic client syncs at once, after each write, and at its interval", () =>
  withBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    assertEquals(client.status.state, "idle");
    assertEquals(bench.gateway.requests.map(({ kind }) => kind), ["checkpoint", "pull"]);
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    await bench.clock.advance(0);
    assertEquals(bench.gateway.head, 1);
    bench.gateway.append([foreignDelta({ rowId: "2", columns: { title: "x", done: false } })]);
    await bench.clock.advance(4_999);
    assertEquals((await rowsOf(client)).length, 1);
    await bench.clock.advance(1);
    assertEquals((await rowsOf(client)).length, 2);
    assertEquals(client.status.lastSyncedAt, bench.clock.now());
  }));

test("what is written during a sync is sent by the next one, without waiting", () =>
  withBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    for (let i = 0; i < 30; i++) {
      unwrapOrThrow(await client.tables.todos.insert({ id: `${i}`, title: "x", done: false }));
    }
    await bench.clock.advance(0);
    assertEquals(bench.gateway.head, 30);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
  }));

test("pause() makes a client offline, and resume() brings it back at once", () =>
  withBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    client.pause();
    assertEquals(client.status.state, "paused");
    const before = count(bench);
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    await bench.clock.advance(60_000);
    assertEquals(count(bench), before);
    // Asked for, a sync goes ahead.
    assertEquals(unwrapOrThrow(await client.syncOnce()).pushed, 1);
    assertEquals(client.status.state, "paused");
    unwrapOrThrow(await client.tables.todos.update("1", { done: true }));
    client.resume();
    await bench.clock.advance(0);
    assertEquals(bench.gateway.head, 2);
    assertEquals(client.status.state, "idle");
  }));

test("pause() stops the sync that is under way", () =>
  withBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    let stopped = false;
    const pull = bench.gateway.pull.bind(bench.gateway);
    bench.gateway.pull = (_, options = {}) =>
      new Promise((resolve) =>
        options.signal?.addEventListener("abort", () => {
          stopped = true;
          resolve({ ok: false, error: new LakeSyncError("ABORTED", "Stopped") });
        })
      );
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    await bench.clock.advance(0);
    assertEquals(client.status.state, "syncing");
    client.pause();
    await bench.clock.advance(0);
    assert(stopped);
    assertEquals(client.status.state, "paused");
    assertEquals(client.status.error, undefined);
    bench.gateway.pull = pull;
    client.resume();
    await bench.clock.advance(0);
    assertEquals(bench.gateway.head, 1);
  }));

test("failures are tried again later and later, with jitter, and writes do not hurry them", () =>
  withBench(async (bench) => {
    const tries: number[] = [];
    bench.gateway.fault = () => {
      tries.push(bench.clock.now());
      return { fault: "lose-request" };
    };
    const client = await bench.client({ sync: AUTO });
    const errors: string[] = [];
    client.on("error", ({ code }) => errors.push(code));
    await bench.clock.advance(0);
    assertEquals(client.status.state, "waiting");
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    await bench.clock.advance(0);
    assertEquals(tries.length, 1);
    await bench.clock.advance(600_000);
    const waits = tries.slice(1).map((at, i) => at - tries[i]!);
    assert(waits.length >= 10);
    for (const [i, wait] of waits.entries()) {
      const most = Math.min(60_000, 1_000 * 2 ** i);
      assert(wait >= most / 2 && wait <= most, `wait ${i} is ${wait}`);
    }
    assert(new Set(waits.slice(6)).size > 1, "there is jitter");
    assertEquals(errors.length, tries.length);
    bench.gateway.fault = () => undefined;
    await bench.clock.advance(60_000);
    assertEquals(client.status.state, "idle");
    assertEquals(client.status.error, undefined);
    assertEquals(bench.gateway.head, 1);
  }));

test("Retry-After is kept", () =>
  withBench(async (bench) => {
    const tries: number[] = [];
    bench.gateway.fault = () => {
      tries.push(bench.clock.now());
      const details = { retryAfterMs: 90_000 };
      return { fault: "error", error: new LakeSyncError("RATE_LIMITED", "Slow", { details }) };
    };
    await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    await bench.clock.advance(200_000);
    assertEquals(tries.slice(1).map((at, i) => at - tries[i]!), [90_000, 90_000]);
  }));

test("coming back online ends the wait", () =>
  withBench(async (bench) => {
    let online = false;
    bench.gateway.fault = () => online ? undefined : { fault: "lose-request" };
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(100_000);
    assertEquals(client.status.state, "waiting");
    online = true;
    const target = globalThis as Partial<EventTarget>;
    // Bun has no such event: there, resuming does the same.
    if (target.dispatchEvent !== undefined) target.dispatchEvent(new Event("online"));
    else {
      client.pause();
      client.resume();
    }
    await bench.clock.advance(0);
    assertEquals(client.status.state, "idle");
  }));

test("a client that somebody has to help is blocked, says why, and goes on by itself", () =>
  withBench(async (bench) => {
    bench.gateway.fault = ({ kind }) =>
      kind === "push"
        ? { fault: "error", error: new LakeSyncError("CONFLICT", "Put the schema first") }
        : undefined;
    const client = await bench.client({ sync: AUTO });
    const states: string[] = [];
    client.on("status", ({ state }) => {
      if (state !== states.at(-1)) states.push(state);
    });
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    await bench.clock.advance(0);
    assertEquals(client.status.state, "blocked");
    assertEquals(client.status.error?.message, "Put the schema first");
    bench.gateway.append([foreignDelta({ rowId: "2", columns: { title: "x", done: false } })]);
    await bench.clock.advance(10_000);
    // It still pulls.
    assertEquals((await rowsOf(client)).length, 2);
    bench.gateway.fault = () => undefined;
    await bench.clock.advance(60_000);
    assertEquals(client.status.state, "idle");
    assertEquals(unwrapOrThrow(await client.pending()), 0);
    assertEquals(states.slice(0, 4), ["syncing", "blocked", "syncing", "blocked"]);
  }));

test("syncOnce() calls during a sync share the next one", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const first = client.syncOnce();
    // The first one has to be under way.
    await Promise.resolve();
    await Promise.resolve();
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    const [a, b] = await Promise.all([client.syncOnce(), client.syncOnce()]);
    unwrapOrThrow(await first);
    assertEquals(a, b);
    assertEquals(bench.gateway.head, 1);
  }));

test("syncOnce() stops when its signal aborts", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const controller = new AbortController();
    controller.abort();
    assertEquals(codeOf(await client.syncOnce({ signal: controller.signal })), "ABORTED");
    assertEquals(count(bench), 0);
    assert((await client.syncOnce()).ok);
  }));

test("close() ends syncs and timers, and leaves a database that it was given open", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const client = await bench.client({ database, sync: AUTO });
    await bench.clock.advance(0);
    await client.close();
    await client.close();
    const before = count(bench);
    await bench.clock.advance(60_000);
    assertEquals(count(bench), before);
    assertEquals(bench.clock.pending, 0);
    assertEquals((await database.query("SELECT 1")).ok, true);
  }));
