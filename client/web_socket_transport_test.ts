import { type Random, unwrapOrThrow } from "@lakesync/core";
import { ManualClock, Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { codeOf, rowsOf } from "./testdata/bench.ts";
import { milk, recorded, withSockets } from "./testdata/socket_bench.ts";
import { webSocketTransport } from "./mod.ts";
import { protobufFrames } from "./protobuf.ts";

const AUTO = { auto: true, intervalMs: 5_000 };

for (const form of ["json", "protobuf"] as const) {
  test(`clients sync over sockets in ${form}: pushes up, pages down, nothing else`, () =>
    withSockets(async (bench) => {
      const options = form === "protobuf" ? { frames: protobufFrames } : {};
      const a = await bench.client({ transport: bench.transport(options), sync: AUTO });
      const b = await bench.client({ transport: bench.transport(options), sync: AUTO });
      await bench.clock.advance(0);
      assertEquals(bench.sockets.tries, [
        { url: "ws://gateway.test/v1/sync/default/ws", protocols: ["lakesync.v1"] },
        { url: "ws://gateway.test/v1/sync/default/ws", protocols: ["lakesync.v1"] },
      ]);
      bench.http.length = 0;
      for (let i = 0; i < 10; i++) {
        unwrapOrThrow(await a.tables.todos.insert(milk(`a${i}`)));
        unwrapOrThrow(await b.tables.todos.insert(milk(`b${i}`)));
        await bench.clock.advance(0);
        unwrapOrThrow(await b.tables.todos.update(`a${i}`, { done: true }));
        await bench.clock.advance(0);
      }
      assertEquals(bench.http, []);
      assertEquals((await rowsOf(a)).length, 20);
      assertEquals(await rowsOf(a), await rowsOf(b));
      const [first] = bench.sockets.all;
      assertEquals(first!.received.filter((type) => type === "pull").length, 1);
      assertEquals(first!.received.filter((type) => type === "push").length, 10);
    }));
}

test("what comes while the socket is broken is neither missed nor delivered twice", () =>
  withSockets(async (bench) => {
    const { transport, rowIds } = recorded(bench.transport());
    const client = await bench.client({ transport, sync: AUTO });
    await bench.clock.advance(0);
    const random = new Prng(42);
    const expected: string[] = [];
    for (let i = 0; i < 200; i++) {
      bench.append(`${i}`);
      expected.push(`${i}`);
      const [dice = 0] = random.bytes(1);
      const socket = bench.sockets.all.at(-1);
      if (dice < 40) socket?.close(dice % 2 === 0 ? 1006 : 1001);
      else if (dice < 50 && socket !== undefined) socket.silent = true;
      if (dice % 3 === 0) await bench.clock.advance(dice * 20);
    }
    bench.sockets.all.at(-1)?.close(1012);
    await bench.clock.advance(60_000);
    assertEquals(rowIds, expected);
    assertEquals((await rowsOf(client)).length, 200);
    assert(bench.sockets.tries.length > 5, `${bench.sockets.tries.length} sockets`);
    assertEquals(client.status.error, undefined);
  }));

test("without sockets all goes over HTTP, news at once, and a socket is tried for again", () =>
  withSockets(async (bench) => {
    bench.sockets.upgrade = "refuse";
    const client = await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(0);
    bench.append("1");
    await bench.clock.advance(0);
    assertEquals((await rowsOf(client)).length, 1);
    unwrapOrThrow(await client.tables.todos.insert(milk("2")));
    await bench.clock.advance(0);
    assertEquals(bench.gateway.head, 2);
    assertEquals(client.status.state, "idle");
    // Then sockets pass: the next one takes the place of the poll.
    await bench.clock.advance(10_000);
    bench.sockets.upgrade = "accept";
    await bench.clock.advance(60_000);
    assertEquals(bench.sockets.all.length, 1);
    bench.http.length = 0;
    bench.append("3");
    unwrapOrThrow(await client.tables.todos.insert(milk("4")));
    await bench.clock.advance(0);
    assertEquals((await rowsOf(client)).length, 4);
    assertEquals([bench.gateway.head, bench.http], [4, []]);
    assertEquals(client.status.error, undefined);
  }));

test("a socket is tried for after pauses of 0 up to 1, 2, 4 … 60 s, all of it chance", async () => {
  const pausesOf = async (random: Random): Promise<number[]> => {
    const clock = new ManualClock();
    const tries: number[] = [];
    const transport = webSocketTransport({
      url: "http://gateway.test",
      fetch: ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      open: (_url, { listener }) => {
        tries.push(clock.now());
        queueMicrotask(() => listener.closed({ code: 1006, reason: "" }));
        return { send: () => {}, close: () => {} };
      },
      scheduler: clock,
      random,
      timeoutMs: 10_000_000,
    });
    const pull = transport.pull({ clientId: "a", cursor: "c", wait: 60 });
    await clock.advance(600_000);
    transport.disconnect?.();
    await clock.advance(10_000_000);
    assertEquals(codeOf(await pull), "TIMEOUT");
    assertEquals(clock.pending, 0);
    return tries.slice(1).map((at, i) => at - tries[i]!);
  };
  const bytes = (byte: number): Random => ({
    bytes: (length) => new Uint8Array(length).fill(byte),
    uuid: () => "",
  });
  const longest = await pausesOf(bytes(255));
  assertEquals(
    longest.slice(0, 8).map((ms) => Math.round(ms / 1000)),
    [1, 2, 4, 8, 16, 32, 60, 60],
  );
  const half = await pausesOf(bytes(128));
  assert(
    half.slice(0, 6).every((ms, i) => ms === Math.floor(1000 * 2 ** i * (128.5 / 256))),
    `${half}`,
  );
  const drawn = await pausesOf(new Prng(5));
  assert(drawn.every((ms, i) => ms < Math.min(60_000, 1_000 * 2 ** i)), `${drawn}`);
  assert(new Set(drawn).size > 5);
});

test("a socket that is never opened is not waited for", () =>
  withSockets(async (bench) => {
    bench.sockets.upgrade = "hang";
    const client = await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(2_000);
    bench.append("1");
    await bench.clock.advance(0);
    assertEquals((await rowsOf(client)).length, 1);
    assertEquals(bench.sockets.tries.length, 1);
    await bench.clock.advance(60_000);
    assert(bench.sockets.tries.length > 1);
  }));

test("a half-open socket is noticed by an unanswered ping, and a live one is kept", () =>
  withSockets(async (bench) => {
    const client = await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(300_000);
    assertEquals(bench.sockets.tries.length, 1);
    assert(bench.sockets.last.received.includes("ping"));
    bench.sockets.last.silent = true;
    bench.append("1");
    await bench.clock.advance(26_000);
    assertEquals((await rowsOf(client)).length, 1);
    assertEquals(bench.sockets.all.map(({ silent }) => silent), [false]);
  }));

test("a push that a socket does not answer goes over HTTP after the time limit, unchanged", () =>
  withSockets(async (bench) => {
    const transport = bench.transport({ timeoutMs: 5_000 });
    const client = await bench.client({ transport, sync: AUTO });
    await bench.clock.advance(0);
    bench.gateway.fault = ({ kind }) =>
      kind === "push" && bench.sockets.all.length > 0 ? { fault: "lose-answer" } : undefined;
    unwrapOrThrow(await client.tables.todos.insert(milk("1")));
    await bench.clock.advance(4_999);
    assertEquals(unwrapOrThrow(await client.pending()), 1);
    bench.sockets.upgrade = "refuse";
    await bench.clock.advance(1);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
    assertEquals(bench.gateway.accepted.length, 1);
    assertEquals(client.status.error, undefined);
  }));

test("a gateway that answers nothing at all leaves the client waiting with a reason", () =>
  withSockets(async (bench) => {
    const client = await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(0);
    bench.sockets.last.silent = true;
    bench.sockets.upgrade = "hang";
    bench.reachable = false;
    unwrapOrThrow(await client.tables.todos.insert(milk("1")));
    await bench.clock.advance(60_000);
    assertEquals(client.status.state, "waiting");
    assertEquals(client.status.error?.code, "OFFLINE");
    bench.reachable = true;
    bench.sockets.upgrade = "accept";
    await bench.clock.advance(120_000);
    assertEquals([client.status.state, bench.gateway.head], ["idle", 1]);
  }));
