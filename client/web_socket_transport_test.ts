import {
  encodeGatewayFrame,
  LakeSyncError,
  type PullAnswer,
  type PullRequest,
  type Random,
  type Result,
  type SyncTransport,
  unwrapOrThrow,
  type WsGatewayMessage,
} from "@lakesync/core";
import { FakeSockets, ManualClock, Prng, test } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { Bench, codeOf, foreignDelta, rowsOf } from "./testdata/bench.ts";
import { webSocketTransport, type WebSocketTransportOptions } from "./mod.ts";
import { jsonFrames } from "./_frames.ts";
import { protobufFrames } from "./protobuf.ts";

const AUTO = { auto: true, intervalMs: 5_000 };

/** A gateway that is reached by sockets and by HTTP, and what came over HTTP. */
class SocketBench extends Bench {
  readonly sockets: FakeSockets = new FakeSockets({ gateway: this.gateway });
  readonly http: string[] = [];
  /** Whether HTTP requests arrive. */
  reachable = true;

  constructor() {
    super(true);
  }

  transport(options: Partial<WebSocketTransportOptions> = {}): SyncTransport {
    return webSocketTransport({
      url: "http://gateway.test",
      open: this.sockets.open,
      fetch: (request) => {
        this.http.push(new URL(request.url).pathname.split("/").at(-1)!);
        if (!this.reachable) return Promise.reject(new TypeError("no route"));
        return this.gateway.fetch(request);
      },
      scheduler: this.clock,
      random: new Prng(1),
      ...options,
    });
  }

  append(rowId: string): void {
    this.gateway.append([foreignDelta({ rowId, columns: { title: "x", done: false } })]);
  }
}

async function withSockets(body: (bench: SocketBench) => Promise<void>): Promise<void> {
  const bench = new SocketBench();
  try {
    await body(bench);
  } finally {
    await bench.close();
  }
}

function milk(id: string): { id: string; title: string; done: boolean } {
  return { id, title: "Milk", done: false };
}

/** A transport and the ids of the rows that its pulls have delivered. */
function recorded(transport: SyncTransport): { transport: SyncTransport; rowIds: string[] } {
  const rowIds: string[] = [];
  return {
    rowIds,
    transport: {
      ...transport,
      async pull(request, options) {
        const page = await transport.pull(request, options);
        if (page.ok) {
          for (const item of page.value.deltas) if (item.op !== "OWN") rowIds.push(item.rowId);
        }
        return page;
      },
    },
  };
}

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

test("the token is a subprotocol, and another is asked for where the gateway refuses it", () =>
  withSockets(async (bench) => {
    let tokens = 0;
    const transport = bench.transport({ getToken: () => `eyJ.t${++tokens}.sig-_` });
    await bench.client({ transport, sync: AUTO });
    await bench.clock.advance(0);
    bench.sockets.last.close(1001);
    await bench.clock.advance(1_000);
    bench.sockets.last.close(1008);
    await bench.clock.advance(2_000);
    bench.sockets.last.say(`{"type":"error","error":{"code":"UNAUTHENTICATED","message":"Old"}}`);
    await bench.clock.advance(4_000);
    assertEquals(bench.sockets.tries.map(({ protocols }) => protocols), [
      ["lakesync.v1", "bearer.eyJ.t1.sig-_"],
      ["lakesync.v1", "bearer.eyJ.t1.sig-_"],
      ["lakesync.v1", "bearer.eyJ.t2.sig-_"],
      ["lakesync.v1", "bearer.eyJ.t3.sig-_"],
    ]);
  }));

test("a push that is refused for its token on the socket goes over HTTP with a new one", () =>
  withSockets(async (bench) => {
    let tokens = 0;
    const seen: (string | null)[] = [];
    const transport = bench.transport({
      getToken: () => `t${++tokens}`,
      fetch: (request) => {
        const token = request.headers.get("Authorization");
        seen.push(token);
        return expired && token === "Bearer t1"
          ? Promise.resolve(new Response(null, { status: 401 }))
          : bench.gateway.fetch(request);
      },
    });
    let expired = false;
    const client = await bench.client({ transport, sync: AUTO });
    await bench.clock.advance(0);
    expired = true;
    seen.length = 0;
    let refused = 0;
    bench.gateway.fault = ({ kind }) =>
      kind === "push" && refused++ === 0
        ? { fault: "error", error: new LakeSyncError("UNAUTHENTICATED", "The token has expired") }
        : undefined;
    unwrapOrThrow(await client.tables.todos.insert(milk("1")));
    await bench.clock.advance(0);
    assertEquals(bench.gateway.head, 1);
    assert(seen.includes("Bearer t1") && seen.includes("Bearer t2"), `${seen}`);
    assertEquals(client.status.error, undefined);
    await bench.clock.advance(2_000);
    assertEquals(bench.sockets.tries.at(-1)?.protocols, ["lakesync.v1", "bearer.t2"]);
  }));

test("a refused pull or push comes back with the gateway's code, and the socket stays", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const pull = (cursor: string): Promise<Result<PullAnswer>> =>
      transport.pull({ clientId: "a", cursor, wait: 30 });
    const { signal } = new AbortController();
    const first = pull("no cursor");
    await bench.clock.advance(0);
    const failure = await first;
    assertEquals(codeOf(failure), "CHECKPOINT_REQUIRED");
    assertEquals(failure.ok ? undefined : failure.error.details, { reason: "foreign" });
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const second = pull(cursor);
    await bench.clock.advance(0);
    const deltas = [foreignDelta({ rowId: "1", columns: { title: "x", done: false } })];
    const push = await transport.push({ clientId: "a", deltas }, { signal });
    assertEquals(codeOf(push), "FORBIDDEN");
    bench.append("2");
    assertEquals(unwrapOrThrow(await second).deltas.length, 1);
    assertEquals(bench.sockets.tries.length, 1);
    transport.disconnect?.();
  }));

test("a pull that was refused is asked anew, from the very same place", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const { gateway, clock } = bench;
    const { cursor } = unwrapOrThrow(await gateway.pull({ clientId: "c", cursor: "" }));
    const pull = () => transport.pull({ clientId: "c", cursor, wait: 30 });
    const busy = new LakeSyncError("BACKPRESSURE", "Busy");
    gateway.fault = () => ({ fault: "error", error: busy });
    const refused = pull();
    await clock.advance(0);
    assertEquals(codeOf(await refused), "BACKPRESSURE");
    gateway.fault = () => undefined;
    bench.append("news");
    const page = pull();
    await clock.advance(0);
    assertEquals(unwrapOrThrow(await page).deltas.length, 1);
    transport.disconnect?.();
  }));

test("a held pull and a push end with ABORTED where their signals abort", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const controller = new AbortController();
    const { signal } = controller;
    const pull = transport.pull({ clientId: "a", cursor, wait: 30 }, { signal });
    await bench.clock.advance(0);
    bench.sockets.last.silent = true;
    const push = transport.push({ clientId: "a", deltas: [] }, { signal });
    await bench.clock.advance(0);
    controller.abort();
    assertEquals([codeOf(await pull), codeOf(await push)], ["ABORTED", "ABORTED"]);
    transport.disconnect?.();
    await bench.clock.advance(0);
    assertEquals([bench.sockets.all.length, bench.clock.pending], [0, 0]);
  }));

test("the gateway's pings are answered with the same", () =>
  withSockets(async (bench) => {
    await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(0);
    const socket = bench.sockets.last;
    const sent: unknown[] = [];
    socket.take = (data) => sent.push(JSON.parse(String(data)));
    socket.say(`{"type":"ping","id":"7"}`);
    socket.say(`{"type":"ping"}`);
    await bench.clock.advance(0);
    assertEquals(sent, [{ type: "ping", id: "7" }, { type: "ping" }]);
  }));

test("a gateway that answers the answers to its pings is hung up on", () =>
  withSockets(async (bench) => {
    await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(0);
    const socket = bench.sockets.last;
    socket.take = (data) => socket.say(String(data));
    socket.say(`{"type":"ping","id":"7"}`);
    await bench.clock.advance(1_000);
    assertEquals([socket.isClosed, bench.sockets.tries.length], [true, 2]);
  }));

test("a client that does not keep up hangs up, and takes what it missed at its own pace", () =>
  withSockets(async (bench) => {
    const { transport, rowIds } = recorded(bench.transport());
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const request: PullRequest = { clientId: "a", cursor, wait: 30, limit: 1 };
    const first = transport.pull(request);
    await bench.clock.advance(0);
    bench.append("first");
    let at = unwrapOrThrow(await first).cursor;
    const title = "x".repeat(1_000_000);
    for (let i = 0; i < 40; i++) {
      bench.gateway.append([foreignDelta({ rowId: `${i}`, columns: { title, done: false } })]);
      await bench.clock.advance(0);
    }
    assertEquals(bench.sockets.all.length, 0, "16 MiB wait, so that it has hung up");
    for (let i = 0; i < 40; i++) {
      at = unwrapOrThrow(await transport.pull({ ...request, cursor: at })).cursor;
    }
    assertEquals(rowIds, ["first", ...Array.from({ length: 40 }, (_, i) => `${i}`)]);
    transport.disconnect?.();
  }));

test("a burst of small pages is given out as one", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const request: PullRequest = { clientId: "a", cursor, wait: 30 };
    const first = transport.pull(request);
    await bench.clock.advance(0);
    bench.append("first");
    const at = unwrapOrThrow(await first).cursor;
    for (let i = 0; i < 1_500; i++) {
      bench.append(`${i}`);
      // Each becomes a page of its own.
      if (i % 100 === 0) await bench.clock.advance(0);
    }
    await bench.clock.advance(0);
    const second = unwrapOrThrow(await transport.pull({ ...request, cursor: at }));
    const third = unwrapOrThrow(await transport.pull({ ...request, cursor: second.cursor }));
    assert(second.deltas.length > 900 && second.deltas.length <= 1_000, `${second.deltas.length}`);
    assertEquals(second.deltas.length + third.deltas.length, 1_500);
    assertEquals(third.seq, 1_501);
    transport.disconnect?.();
  }));

test("a second client on the same transport is told to take one of its own", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const first = transport.pull({ clientId: "a", cursor, wait: 30 });
    await bench.clock.advance(0);
    void transport.pull({ clientId: "b", cursor, wait: 30 });
    const refused = await first;
    assertEquals(codeOf(refused), "CONFLICT");
    assertStringIncludes(refused.ok ? "" : refused.error.message, "transport of its own");
    transport.disconnect?.();
  }));

const GARBAGE: readonly (string | Uint8Array)[] = [
  "",
  "nonsense",
  "null",
  "[]",
  `{"type":"page"}`,
  `{"type":"page","id":"1","deltas":{},"cursor":"","seq":1,"hasMore":false,"serverHlc":"1"}`,
  `{"type":"toString"}`,
  `{"type":"error","id":"1"}`,
  `{"type":"error","error":{"code":"VALIDATION_ERROR","message":"What was that?"}}`,
  `{"type":"answer","id":{}}`,
  new Uint8Array(),
  new Uint8Array([255, 255, 255]),
];

test("a frame that is no message ends the socket, and all goes on over the next", () =>
  withSockets(async (bench) => {
    const client = await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(0);
    for (const [i, data] of GARBAGE.entries()) {
      const before = bench.sockets.tries.length;
      bench.sockets.last.say(data);
      bench.append(`${i}`);
      await bench.clock.advance(60_000);
      assertEquals(bench.sockets.tries.length, before + 1, `after ${data}`);
    }
    assertEquals((await rowsOf(client)).length, GARBAGE.length);
    assertEquals(client.status.state, "idle");
  }));

/** Messages with the right form and any content, and bytes. */
const anyFrame: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  fc.json(),
  fc.uint8Array({ maxLength: 200 }),
  fc.record({
    type: fc.constantFrom("page", "answer", "error", "ping", "push"),
    id: fc.option(fc.constantFrom("1", "2", "3", 1, null), { nil: undefined }),
    deltas: fc.array(fc.oneof(
      fc.jsonValue(),
      fc.record({
        op: fc.constantFrom("INSERT", "UPDATE", "DELETE", "ENTER", "REMOVE", "OWN", "constructor"),
        table: fc.constantFrom("todos", "__proto__", 1),
        rowId: fc.constantFrom("1", "", 7, null),
        columns: fc.jsonValue(),
        hlc: fc.constantFrom("1", "x", 1, null),
        life: fc.jsonValue(),
        deltaId: fc.constantFrom("", 1),
      }, { requiredKeys: ["op"] }),
    )),
    cursor: fc.string(),
    seq: fc.oneof(fc.integer(), fc.double()),
    hasMore: fc.boolean(),
    serverHlc: fc.constantFrom("1", "-1", "x", "99999999999999999999999"),
    accepted: fc.integer(),
    duplicates: fc.integer(),
    rejected: fc.array(fc.jsonValue()),
    error: fc.oneof(fc.jsonValue(), fc.record({ code: fc.constantFrom("INTERNAL", "__proto__") })),
  }, { requiredKeys: ["type"] }).map((message) => JSON.stringify(message)),
);

test("whatever a socket sends, the client neither throws nor hangs, and converges after it", () =>
  withSockets(async (bench) => {
    const client = await bench.client({ transport: bench.transport(), sync: AUTO });
    let rows = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { maxLength: 10 }), async (frames) => {
        await bench.clock.advance(120_000);
        assertEquals(client.status.state, "idle");
        for (const frame of frames) bench.sockets.all.at(-1)?.say(frame);
        unwrapOrThrow(await client.tables.todos.insert(milk(`${rows++}`)));
        await bench.clock.advance(0);
      }),
      { seed: 42, numRuns: 300 },
    );
    // What was forged may have been believed: a page says what it says. The next checkpoint rights it.
    bench.gateway.setRule(() => true);
    await bench.clock.advance(600_000);
    assertEquals(client.status.state, "idle");
    assertEquals((await rowsOf(client)).length, rows);
    assertEquals(bench.gateway.visible("todos").size, rows);
  }));

test("mutated frames of a gateway are read or refused, never thrown at", () => {
  const page: WsGatewayMessage = {
    type: "page",
    id: "1",
    deltas: [foreignDelta({ columns: { title: "ä", done: true, rank: 1.5 } }), {
      op: "REMOVE",
      table: "todos",
      rowId: "1",
    }],
    cursor: "c",
    seq: 1,
    hasMore: false,
    serverHlc: "1",
  };
  const bytes = encodeGatewayFrame(page);
  const text = JSON.stringify(page);
  assertEquals(
    unwrapOrThrow(protobufFrames.decode(bytes)),
    unwrapOrThrow(jsonFrames.decode(text)),
  );
  assert(!protobufFrames.decode(text).ok);
  assert(!jsonFrames.decode(bytes).ok);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (cuts) => {
        const mutated = bytes.slice();
        let cut = text;
        for (const [at, byte] of cuts) {
          mutated[at % mutated.length] = byte;
          cut = cut.slice(0, at % cut.length) + String.fromCharCode(byte) +
            cut.slice((at % cut.length) + 1);
        }
        const results = [
          protobufFrames.decode(mutated),
          protobufFrames.decode(mutated.slice(0, cuts[0]![0] % bytes.length)),
          jsonFrames.decode(cut),
        ];
        for (const decoded of results) {
          if (!decoded.ok) assert(decoded.error instanceof LakeSyncError);
        }
      },
    ),
    { seed: 42, numRuns: 10_000 },
  );
});
