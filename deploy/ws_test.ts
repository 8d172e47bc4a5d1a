// The WebSocket over real sockets, on whichever runtime these tests run.
import process from "node:process";
import { type Delta, unwrapOrThrow, type WsPage } from "@lakesync/core";
import type { Gateway } from "@lakesync/gateway";
import { insertTodo, makeDelta, Prng, test } from "@lakesync/testing";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { listeningGateway, RawSocket, SocketClient } from "./testdata/socket_client.ts";

const MIB = 2 ** 20;

async function push(gateway: Gateway, deltas: readonly Delta[]): Promise<void> {
  const body = { clientId: "alice:phone", deltas };
  unwrapOrThrow(await gateway.push(body, { sub: undefined }));
}

function todos(from: number, count: number): Delta[] {
  return Array.from({ length: count }, (_, i) => insertTodo(`t${from + i}`, from + i));
}

/** So many todos of half a megabyte each. */
function large(from: number, count: number): Delta[] {
  return todos(from, count).map(({ op, table, rowId, clientId, hlc }) =>
    makeDelta({
      op,
      table,
      rowId,
      clientId,
      hlc,
      columns: [{ column: "title", value: "x".repeat(MIB / 2) }, { column: "done", value: false }],
    })
  );
}

test("the subprotocol lakesync.v1 is accepted, alone, among others, and where none is named", async () => {
  await using served = await listeningGateway();
  for (const protocols of [["lakesync.v1"], ["lakesync.v1", "bearer.a.b.c"], []]) {
    await using client = await SocketClient.open(served.url, { protocols });
    assertEquals(client.socket.protocol, protocols[0] ?? "");
    client.say({ type: "ping", id: "p" });
    assertEquals(await client.next(), { type: "ping", id: "p" });
  }
  await assertRejects(() => SocketClient.open(served.url, { protocols: ["lakesync.v2"] }));
});

test("a WebSocket that cannot be had is answered by HTTP, with the error's body", async () => {
  await using served = await listeningGateway(
    { limits: { connections: 1 } },
    { allowOrigin: (origin) => origin === "http://localhost" },
  );
  const head = async (headers: readonly string[], path?: string) => {
    using raw = new RawSocket(served.port, path);
    return await raw.upgrade(headers);
  };
  assertMatch(await head(["Sec-WebSocket-Protocol: chat"]), /^HTTP\/1.1 400 /);
  assertMatch(await head(["Origin: http://evil.example"]), /^HTTP\/1.1 403 /);
  assertMatch(await head(["Origin: http://localhost"]), /^HTTP\/1.1 101 /);
  assertMatch(await head([], "/v1/sync/none/ws"), /^HTTP\/1.1 404 /);
  assertMatch(await head([], "/health"), /^HTTP\/1.1 200 /);
  const plain = await fetch(`${served.url}/v1/sync/default/ws`);
  assertEquals([plain.status, (await plain.json()).error.code], [400, "VALIDATION_ERROR"]);
});

test("one connection more than there may be is 503 with Retry-After, until one has gone", async () => {
  await using served = await listeningGateway({ limits: { connections: 2 } });
  const live = await fetch(`${served.url}/v1/sync/default/live?clientId=bob`);
  const client = await SocketClient.open(served.url);
  using raw = new RawSocket(served.port);
  const refused = await raw.upgrade();
  assertMatch(refused, /^HTTP\/1.1 503 /);
  assertMatch(refused, /\r\nretry-after: 1/i);
  const stream = await fetch(`${served.url}/v1/sync/default/live?clientId=bob`);
  assertEquals([stream.status, (await stream.json()).error.code], [503, "BACKPRESSURE"]);
  await client[Symbol.asyncDispose]();
  await live.body!.cancel();
  for (;;) {
    // The server hears a little later than its client that a connection has gone.
    const opened = await SocketClient.open(served.url).catch(() => undefined);
    await opened?.[Symbol.asyncDispose]();
    if (opened !== undefined) break;
  }
});

test("pushes and pages go over one connection in order, as JSON and as protobuf", async () => {
  await using served = await listeningGateway();
  let from = 1;
  for (const form of ["json", "protobuf"] as const) {
    await using client = await SocketClient.open(served.url, { form });
    const { cursor } = unwrapOrThrow(
      await served.gateway.pull(new URLSearchParams({ clientId: "bob" }), {
        caller: { sub: undefined },
      }),
    );
    client.say({ type: "pull", id: "s", clientId: "bob", cursor });
    assertEquals((await client.page()).deltas, []);
    const deltas = todos(from, 20);
    for (const [i, delta] of deltas.entries()) {
      client.say({ type: "push", id: `p${i}`, clientId: "alice:phone", deltas: [delta] });
    }
    const got: unknown[] = [];
    const answers: unknown[] = [];
    while (got.length < 20 || answers.length < 20) {
      const message = await client.next();
      if (message?.type === "page") got.push(...message.deltas);
      else if (message?.type === "answer") answers.push(message.id);
      else throw new Error(JSON.stringify(message));
    }
    assertEquals(got, deltas, form);
    assertEquals(answers, deltas.map((_, i) => `p${i}`), form);
    from += 20;
  }
});

test("clients that break off and come again miss nothing and get nothing twice", async () => {
  await using served = await listeningGateway();
  const expected = todos(1, 300);
  const pushing = (async () => {
    for (let at = 0; at < expected.length; at += 5) {
      await push(served.gateway, expected.slice(at, at + 5));
    }
  })();
  const clients = ["json", "protobuf", "json"].map(async (form, n) => {
    const prng = new Prng(n);
    const got: unknown[] = [];
    let cursor = "";
    while (got.length < expected.length) {
      await using client = await SocketClient.open(served.url, { form: form as "json" });
      client.say({ type: "pull", clientId: `c${n}`, cursor, limit: prng.int(1, 20) });
      for (let pages = prng.int(1, 9); pages > 0 && got.length < expected.length; pages--) {
        const page = await client.page();
        got.push(...page.deltas);
        cursor = page.cursor;
      }
    }
    return got;
  });
  for (const got of await Promise.all(clients)) assertEquals(got, expected);
  await pushing;
});

test("a message that is too large is told so and closes with 1009", async () => {
  await using served = await listeningGateway({ limits: { bodyBytes: 100_000 } });
  for (const frame of ["x".repeat(100_001), new Uint8Array(100_001)]) {
    await using client = await SocketClient.open(served.url);
    client.socket.send(frame);
    const message = await client.next();
    assert(message?.type === "error");
    assertEquals(message.error.code, "PAYLOAD_TOO_LARGE");
    assertEquals((await client.closed).code, 1009);
  }
});

test("a drain closes WebSockets with 1001 and ends streams", async () => {
  const served = await listeningGateway();
  const client = await SocketClient.open(served.url);
  client.say({ type: "pull", clientId: "bob" });
  await client.page();
  const live = await fetch(`${served.url}/v1/sync/default/live?clientId=bob`);
  const text = live.text();
  await served[Symbol.asyncDispose]();
  assertEquals((await client.closed).code, 1001);
  assertMatch(await text, /^id: .*\n\n$/s);
});

test("readers that stop reading hold bounded memory, and others are unharmed", async () => {
  await using served = await listeningGateway();
  for (let i = 0; i < 8; i++) await push(served.gateway, large(1 + 10 * i, 10));
  const stuck = Array.from({ length: 20 }, () => new RawSocket(served.port));
  const before = process.memoryUsage().rss;
  for (const [n, raw] of stuck.entries()) {
    await raw.upgrade(["Sec-WebSocket-Protocol: lakesync.v1"]);
    raw.say({ type: "pull", clientId: `stuck${n}` });
    await raw.received(1_000);
    raw.pause();
  }
  await using good = await SocketClient.open(served.url);
  good.say({ type: "pull", clientId: "good" });
  let got = 0;
  while (got < 80) got += (await good.page()).deltas.length;
  await push(served.gateway, todos(1_000, 1));
  assertEquals((await good.page()).deltas.length, 1);
  const grown = (process.memoryUsage().rss - before) / MIB;
  // Twenty times the forty megabytes of the log would be 800.
  assert(grown < 250, `grew by ${grown} MiB`);
  for (const raw of stuck) raw[Symbol.dispose]();
});

test("ten thousand random frames and broken ones harm neither the gateway nor a good client", async () => {
  await using served = await listeningGateway();
  await using good = await SocketClient.open(served.url, { form: "protobuf" });
  good.say({ type: "pull", clientId: "good" });
  await good.page();
  const prng = new Prng(42);
  const pages: WsPage[] = [];
  for (let round = 0; round < 10; round++) {
    // Frames that are frames, whatever is in them.
    await using bad = await SocketClient.open(served.url);
    for (let i = 0; i < 1_000 && bad.socket.readyState === WebSocket.OPEN; i++) {
      const bytes = prng.bytes(prng.int(0, 40));
      bad.socket.send(prng.chance(0.5) ? bytes : new TextDecoder().decode(bytes));
      if (i % 50 === 49) {
        bad.say({ type: "ping", id: `r${i}` });
        for (let m; (m = await bad.next()) !== undefined;) if (m.type === "ping") break;
      }
    }
    // And bytes that are none.
    using raw = new RawSocket(served.port);
    await raw.upgrade();
    raw.write(prng.bytes(200));
    await push(served.gateway, todos(1 + round, 1));
    pages.push(await good.page());
  }
  assertEquals(pages.flatMap(({ deltas }) => deltas), todos(1, 10));
});
