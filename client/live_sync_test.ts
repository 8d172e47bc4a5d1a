import { err, LakeSyncError, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type Bench, foreignDelta, rowsOf, withBench } from "./testdata/bench.ts";

const AUTO = { auto: true, intervalMs: 5_000 };

const withLiveBench = (body: (bench: Bench) => Promise<void>): Promise<void> =>
  withBench(body, { live: true });

/** What the gateway was asked since the last time. */
function asked(bench: Bench): string[] {
  return bench.gateway.requests.splice(0).map(({ kind, request }) =>
    "wait" in request ? "held pull" : kind
  );
}

function milk(id: string): { id: string; title: string; done: boolean } {
  return { id, title: "Milk", done: false };
}

test("a live client shows what another wrote without any time passing", () =>
  withLiveBench(async (bench) => {
    const a = await bench.client({ sync: AUTO });
    const b = await bench.client({ sync: AUTO });
    const shown: unknown[][] = [];
    b.live("SELECT id, done FROM todos ORDER BY id").subscribe((rows) =>
      shown.push(rows.map((row) => Object.values(row)))
    );
    await bench.clock.advance(0);
    unwrapOrThrow(await a.tables.todos.insert(milk("1")));
    await bench.clock.advance(0);
    unwrapOrThrow(await a.tables.todos.update("1", { done: true }));
    await bench.clock.advance(0);
    assertEquals(shown, [[], [["1", 0]], [["1", 1]]]);
    assertEquals([a.status.state, b.status.state], ["idle", "idle"]);
  }));

test("a live client pushes a write at once, and does not pull for it", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    assertEquals(asked(bench), ["checkpoint", "pull", "held pull"]);
    const summaries: number[] = [];
    client.on("synced", ({ pushed, pulled }) => summaries.push(pushed, pulled));
    unwrapOrThrow(await client.tables.todos.insert(milk("1")));
    await bench.clock.advance(0);
    assertEquals(asked(bench), ["push", "held pull"]);
    assertEquals(summaries, [1, 0, 0, 1]);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
    assertEquals((await rowsOf(client)).length, 1);
  }));

test("writes that come while a push is under way go together in the next one", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    asked(bench);
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => client.tables.todos.insert(milk(`${i}`))),
    );
    await bench.clock.advance(0);
    assertEquals(bench.gateway.head, 100);
    const pushes = asked(bench).filter((kind) => kind === "push").length;
    assert(pushes <= 5, `${pushes} pushes`);
  }));

test("a live client asks again when its pull has been held for its time, and keeps its clock right", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    asked(bench);
    await bench.clock.advance(90_000);
    assertEquals(asked(bench), ["held pull", "held pull", "held pull"]);
    assertEquals(client.status.lastSyncedAt, bench.clock.now());
  }));

test("syncOnce() beside a held pull pulls and pushes, and the held pull goes on from there", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    bench.gateway.append([foreignDelta({ rowId: "1", columns: { title: "x", done: false } })]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals((await rowsOf(client)).length, 1);
    bench.gateway.append([foreignDelta({ rowId: "2", columns: { title: "x", done: false } })]);
    await bench.clock.advance(0);
    assertEquals((await rowsOf(client)).length, 2);
    assertEquals(bench.gateway.held, 1);
  }));

test("syncOnce() is done where pages that came by themselves have overtaken its own", () =>
  withLiveBench(async (bench) => {
    const gate = Promise.withResolvers<void>();
    let asked = 0;
    const { gateway } = bench;
    const client = await bench.client({
      sync: AUTO,
      transport: {
        live: true,
        push: (request, options) => gateway.push(request, options),
        checkpoint: (request, options) => gateway.checkpoint(request, options),
        pull: async (request, options) => {
          const isFree = "wait" in request;
          const page = await gateway.pull(request, options);
          if (!isFree && ++asked > 1) await gate.promise;
          return page;
        },
      },
    });
    await bench.clock.advance(0);
    assertEquals(asked, 1);
    const synced = client.syncOnce();
    await bench.clock.advance(0);
    gateway.append([foreignDelta({ rowId: "1", columns: { title: "x", done: false } })]);
    await bench.clock.advance(0);
    assertEquals((await rowsOf(client)).length, 1);
    gate.resolve();
    assertEquals((await synced).ok, true);
    assertEquals(asked, 2);
  }));

test("pause() ends the held pull and pushes nothing, resume() begins anew", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    // One is under way, the other waits for it.
    void client.tables.todos.insert(milk("1"));
    void client.tables.todos.insert(milk("2"));
    client.pause();
    await bench.clock.advance(0);
    assertEquals([bench.gateway.held, bench.gateway.head], [0, 0]);
    bench.gateway.append([foreignDelta({ rowId: "3", columns: { title: "x", done: false } })]);
    unwrapOrThrow(await client.tables.todos.insert(milk("4")));
    await bench.clock.advance(100_000);
    assertEquals((await rowsOf(client)).length, 3);
    client.resume();
    await bench.clock.advance(0);
    assertEquals((await rowsOf(client)).length, 4);
    assertEquals([bench.gateway.held, bench.gateway.head], [1, 4]);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
  }));

test("a failed push ends live pulling, and both begin again after the backoff", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    bench.gateway.fault = () => ({ fault: "lose-request" });
    unwrapOrThrow(await client.tables.todos.insert(milk("1")));
    await bench.clock.advance(0);
    assertEquals([client.status.state, bench.gateway.held], ["waiting", 0]);
    assertEquals(client.status.error?.code, "OFFLINE");
    bench.gateway.fault = () => undefined;
    await bench.clock.advance(1_000);
    assertEquals([client.status.state, bench.gateway.held], ["idle", 1]);
    assertEquals([client.status.error, bench.gateway.head], [undefined, 1]);
  }));

test("a push whose answer is lost is repeated unchanged: the gateway has each delta once", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    let lost = 0;
    bench.gateway.fault = ({ kind }) =>
      kind === "push" && lost++ === 0 ? { fault: "lose-answer" } : undefined;
    const summaries: number[] = [];
    client.on("synced", ({ duplicates }) => summaries.push(duplicates));
    unwrapOrThrow(await client.tables.todos.insert(milk("1")));
    await bench.clock.advance(1_000);
    const [first, second] = bench.gateway.requests.filter(({ kind }) => kind === "push");
    assertEquals(first, second);
    assertEquals(bench.gateway.accepted.length, 1);
    assertEquals(Math.max(...summaries), 1);
  }));

test("a write that a crash kept from being pushed is pushed by the next start, with its stamp", () =>
  withLiveBench(async (bench) => {
    const database = await bench.database();
    const before = await bench.client({ database, sync: AUTO });
    await bench.clock.advance(0);
    bench.gateway.fault = ({ kind }) => kind === "push" ? { fault: "lose-request" } : undefined;
    unwrapOrThrow(await before.tables.todos.insert(milk("1")));
    await before.close();
    const made = unwrapOrThrow(await database.query("SELECT json FROM lakesync_own"))[0]!;
    bench.gateway.fault = () => undefined;
    const after = await bench.client({ database, sync: AUTO });
    await bench.clock.advance(0);
    assertEquals(bench.gateway.accepted, [JSON.parse(made.json as string)]);
    assertEquals(unwrapOrThrow(await after.pending()), 0);
  }));

test("a live client takes a checkpoint when its cursor cannot be served any more", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    unwrapOrThrow(await client.tables.todos.insert(milk("1")));
    await bench.clock.advance(0);
    asked(bench);
    // The held pull is told, and what was accepted goes up again.
    bench.gateway.reset();
    await bench.clock.advance(0);
    assertEquals(asked(bench), ["pull", "checkpoint", "pull", "push", "pull", "held pull"]);
    assertEquals(bench.gateway.accepted.length, 1);
    assertEquals(client.status.error, undefined);
  }));

test("a push answered from another log leads to a checkpoint at once", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    for (const id of ["1", "2", "3"]) {
      unwrapOrThrow(await client.tables.todos.insert(milk(id)));
    }
    await bench.clock.advance(0);
    // Held pulls notice nothing.
    const pull = bench.gateway.pull.bind(bench.gateway);
    bench.gateway.pull = (request, options = {}) =>
      request.wait === undefined
        ? pull(request, options)
        : new Promise((resolve) =>
          options.signal?.addEventListener("abort", () =>
            resolve(err(new LakeSyncError("ABORTED", "Stopped"))))
        );
    client.pause();
    client.resume();
    await bench.clock.advance(0);
    bench.gateway.reset();
    unwrapOrThrow(await client.tables.todos.insert(milk("5")));
    await bench.clock.advance(0);
    assertEquals(bench.gateway.accepted.length, 4);
    assertEquals((await rowsOf(client)).length, 4);
  }));

test("a page that was read before a push does not make its answer look like another log's", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    // From the next pull on, pages come late.
    const late = Promise.withResolvers<void>();
    const pull = bench.gateway.pull.bind(bench.gateway);
    bench.gateway.pull = async (request, options) => {
      const page = await pull(request, options);
      if (request.wait !== undefined) await late.promise;
      return page;
    };
    await bench.clock.advance(30_000);
    bench.gateway.append([foreignDelta({ rowId: "1", columns: { title: "x", done: false } })]);
    await bench.clock.advance(0);
    unwrapOrThrow(await client.tables.todos.insert(milk("2")));
    await bench.clock.advance(0);
    assertEquals([bench.gateway.head, (await rowsOf(client)).length], [2, 1]);
    asked(bench);
    late.resolve();
    await bench.clock.advance(0);
    assertEquals((await rowsOf(client)).length, 2);
    assertEquals(asked(bench), ["held pull", "held pull"]);
  }));

test("a page that overtakes a push's answer does not make it look like another log's", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    const slow = Promise.withResolvers<void>();
    const push = bench.gateway.push.bind(bench.gateway);
    bench.gateway.push = async (request, options) => {
      const answer = await push(request, options);
      await slow.promise;
      return answer;
    };
    unwrapOrThrow(await client.tables.todos.insert(milk("1")));
    await bench.clock.advance(0);
    bench.gateway.append([foreignDelta({ rowId: "2", columns: { title: "x", done: false } })]);
    await bench.clock.advance(0);
    assertEquals((await rowsOf(client)).length, 2);
    assertEquals(unwrapOrThrow(await client.pending()), 1);
    asked(bench);
    slow.resolve();
    await bench.clock.advance(0);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
    assertEquals(asked(bench), []);
    assertEquals(bench.gateway.accepted.length, 2);
  }));

test("a gateway that does not hold pulls is asked at the interval", () =>
  withBench(async (bench) => {
    const transport = {
      live: true,
      push: bench.gateway.push.bind(bench.gateway),
      pull: bench.gateway.pull.bind(bench.gateway),
      checkpoint: bench.gateway.checkpoint.bind(bench.gateway),
    };
    const client = await bench.client({ transport, sync: AUTO });
    await bench.clock.advance(0);
    asked(bench);
    await bench.clock.advance(20_000);
    assertEquals(asked(bench).length, 4);
    assertEquals(client.status.state, "idle");
  }));

test("a gateway that syncs but fails held pulls is asked at the interval", () =>
  withLiveBench(async (bench) => {
    bench.gateway.fault = ({ request }) =>
      "wait" in request
        ? { fault: "error", error: new LakeSyncError("TIMEOUT", "A proxy cut it") }
        : undefined;
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    assertEquals(client.status.state, "idle");
    asked(bench);
    await bench.clock.advance(61_000);
    const syncs = asked(bench).filter((kind) => kind === "pull").length;
    assert(syncs >= 10 && syncs <= 14, `${syncs} syncs in a minute`);
  }));

test("a closed live client leaves no timer and no held pull behind", () =>
  withLiveBench(async (bench) => {
    const client = await bench.client({ sync: AUTO });
    await bench.clock.advance(0);
    assertEquals(bench.gateway.held, 1);
    await client.close();
    await bench.clock.advance(0);
    assertEquals([bench.gateway.held, bench.clock.pending], [0, 0]);
  }));
