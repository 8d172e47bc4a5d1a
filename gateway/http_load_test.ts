// More than there is room or time for: what is refused, when, and what goes on beside it.
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import {
  type AppendOutcome,
  type LogSnapshot,
  type PullAnswer,
  type PushAnswer,
  type Result,
  unwrapOrThrow,
} from "@lakesync/core";
import {
  insertTodo,
  makeDelta,
  ManualClock,
  memoryObjectStore,
  Prng,
  test,
} from "@lakesync/testing";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { memoryRateLimiter } from "./rate_limit.ts";
import { memoryLogStore } from "./store_memory.ts";
import { push, storeWith, withTables } from "./testdata/fixture.ts";
import {
  errorOf,
  pushBody,
  type RawAnswer,
  RawConnection,
  type Served,
  serveGateway,
  until,
} from "./testdata/http_fixture.ts";

const MIB = 2 ** 20;
const PUSH = "/v1/sync/default/push";

/** A push of one delta whose body has about so many bytes. */
function pushOf(bytes: number, rowId: string, fill = "x"): string {
  const title = fill.repeat(Math.ceil(bytes / 10 / fill.length));
  const deltas = Array.from({ length: 10 }, (_, i) =>
    makeDelta({
      op: "INSERT",
      table: "todos",
      rowId: `${rowId}${i}`,
      clientId: "alice:phone",
      hlc: String(i + 1),
      columns: [{ column: "title", value: title }, { column: "done", value: false }],
    }));
  return pushBody(deltas);
}

/** Sends the beginning of a push and waits until the gateway has got that far. */
async function begin(served: Served, body: string): Promise<RawConnection> {
  const connection = new RawConnection(served.port);
  const before = served.requests();
  connection.send(
    `POST ${PUSH} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
  );
  await until(() => served.requests() > before);
  return connection;
}

async function assertRefused(connection: RawConnection): Promise<void> {
  await until(() => connection.text.includes("BACKPRESSURE"));
  assertMatch(connection.text, /^HTTP\/1.1 503 [^]*\r\nretry-after: 1\r\n/i);
}

function statusOf(answer: RawAnswer | undefined): number | undefined {
  return answer?.status;
}

async function send(
  served: Served,
  body: string | Uint8Array<ArrayBuffer>,
  init: RequestInit = {},
) {
  return await served.ask(PUSH, { method: "POST", body, ...init });
}

async function assertBusy(response: Response): Promise<void> {
  assertEquals(response.headers.get("retry-after"), "1");
  await errorOf(response, { status: 503, code: "BACKPRESSURE" });
}

test("a body that there is no room for is refused before it is read, small ones go on", async () => {
  await using served = await serveGateway({}, { limits: { bodiesBytes: 4 * MIB } });
  const large = pushOf(2.5 * MIB, "a");
  using held = await begin(served, large);
  using refused = await begin(served, large);
  // Its body has not been sent: only the gateway's own word ends the wait.
  await assertRefused(refused);
  assertEquals((await send(served, pushBody([insertTodo("small", 1)]))).status, 200);
  held.send(large.slice(10));
  assertEquals(statusOf(await held.answer()), 200);
  const { accepted } = await (await send(served, pushOf(2.5 * MIB, "b"))).json() as PushAnswer;
  assertEquals(accepted, 10, "there is room again");
});

test("a body that does not say how large it is is refused as soon as there is no room for it", async () => {
  await using served = await serveGateway({}, { limits: { bodiesBytes: 4 * MIB } });
  using _held = await begin(served, pushOf(2.5 * MIB, "a"));
  using chunked = new RawConnection(served.port);
  chunked.send(
    `POST ${PUSH} HTTP/1.1\r\nHost: g\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const part = "x".repeat(64 * 1024);
  for (let i = 0; i < 16; i++) chunked.send(`10000\r\n${part}\r\n`);
  await assertRefused(chunked);
});

test("a packed body counts as what it unpacks to", async () => {
  await using served = await serveGateway({}, { limits: { bodiesBytes: 4 * MIB } });
  const bytes = new Uint8Array(gzipSync(pushOf(2.5 * MIB, "a")));
  assert(bytes.length < 50_000);
  const headers = { "content-encoding": "gzip" };
  const large = pushOf(2.5 * MIB, "b");
  using held = await begin(served, large);
  await assertBusy(await send(served, bytes, { headers }));
  held.send(large.slice(10));
  assertEquals(statusOf(await held.answer()), 200);
  assertEquals((await send(served, bytes, { headers })).status, 200);
});

test("what waits for the store counts until it is answered", async () => {
  // Its tables are put before the store begins to wait.
  const inner = await withTables(memoryLogStore());
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  const store = storeWith(inner, {
    async append(request): Promise<Result<AppendOutcome>> {
      waiting++;
      await gate.promise;
      return await inner.append(request);
    },
  });
  await using served = await serveGateway({ store }, { limits: { bodiesBytes: MIB } });
  const pushes = Array.from({ length: 7 }, (_, i) => send(served, pushOf(100_000, `row${i}-`)));
  await until(() => waiting === 7);
  await assertBusy(await send(served, pushOf(100_000, "late")));
  gate.resolve();
  for (const answer of await Promise.all(pushes)) assertEquals(answer.status, 200);
  assertEquals((await send(served, pushOf(100_000, "late"))).status, 200);
});

test("a body that trickles is cut off with TIMEOUT at its time, and nothing of it is taken", async () => {
  const clock = new ManualClock();
  await using served = await serveGateway({}, { scheduler: clock, limits: { bodyMs: 30_000 } });
  const body = pushBody([insertTodo("a", 1)]);
  using slow = await begin(served, body);
  await until(() => clock.pending > 0);
  await clock.advance(29_999);
  slow.send(body.slice(10, 20));
  await clock.advance(0);
  assertEquals(slow.received, 0);
  await clock.advance(1);
  await until(() => slow.text.includes("TIMEOUT"));
  assertMatch(slow.text, /^HTTP\/1.1 504 /);
  assertEquals(unwrapOrThrow(await served.gateway.store.head()).seq, 0);
  await until(() => clock.pending === 0);
});

test("a request that takes too long is answered TIMEOUT; what it began ends, and is a duplicate then", async () => {
  const clock = new ManualClock();
  const inner = await withTables(memoryLogStore());
  const gate = Promise.withResolvers<void>();
  const store = storeWith(inner, {
    async append(request): Promise<Result<AppendOutcome>> {
      await gate.promise;
      return await inner.append(request);
    },
  });
  await using served = await serveGateway({ store }, {
    scheduler: clock,
    limits: { requestMs: 1_000 },
  });
  const late = served.push({ clientId: "alice:phone", deltas: [insertTodo("a", 1)] });
  // Its body has come: of the two times only the request's is left.
  await until(() => clock.pending === 1);
  await clock.advance(1_000);
  await errorOf(await late, { status: 504, code: "TIMEOUT" });
  gate.resolve();
  const again = await served.push({ clientId: "alice:phone", deltas: [insertTodo("a", 1)] });
  assertEquals((await again.json() as PushAnswer).duplicates, 1);
});

test("a pull may wait for as long as it asked to, beside the time that a request may take", async () => {
  const clock = new ManualClock();
  await using served = await serveGateway({ scheduler: clock }, {
    scheduler: clock,
    limits: { requestMs: 1_000 },
  });
  const held = served.pull("clientId=bob&wait=20");
  await until(() => clock.pending === 2);
  await clock.advance(20_000);
  assertEquals((await held).status, 200);
});

test("a client's requests are limited on every sync route, an operator's are not", async () => {
  const clock = new ManualClock();
  const rateLimiter = memoryRateLimiter({ perClient: { perSecond: 0.4, burst: 1 }, clock });
  await using served = await serveGateway({}, { rateLimiter });
  const asks = [
    (clientId: string) => served.push({ clientId, deltas: [] }),
    (clientId: string) => served.pull(`clientId=${clientId}`),
    (clientId: string) => served.ask(`/v1/sync/default/checkpoint?clientId=${clientId}`),
  ];
  for (const [i, ask] of asks.entries()) {
    const first = await ask(`client${i}`);
    assertEquals(first.status, 200);
    await first.body?.cancel();
    for (const again of asks) {
      const refused = await again(`client${i}`);
      assertEquals(refused.headers.get("retry-after"), "3", "2.5 s, rounded up");
      const { details } = await errorOf(refused, { status: 429, code: "RATE_LIMITED" });
      assertEquals(details, { retryAfterMs: 2500 });
    }
  }
  for (let i = 0; i < 5; i++) {
    for (const path of ["/v1/admin/default/stats", "/v1/admin/default/schema", "/health"]) {
      assertEquals((await served.ask(`${path}?clientId=client0`)).status, 200);
    }
  }
  await clock.advance(2_500);
  assertEquals((await asks[0]!("client0")).status, 200);
});

/** A gateway with some MiB of rows that gzip cannot make small, and how many of its snapshots are open. */
async function serveLarge(
  clock: ManualClock,
  cached: boolean,
): Promise<{ served: Served; open: () => number }> {
  const inner = memoryLogStore();
  let open = 0;
  const store = storeWith(inner, {
    async snapshot(): Promise<Result<LogSnapshot>> {
      const snapshot = unwrapOrThrow(await inner.snapshot());
      open++;
      let closed = false;
      return {
        ok: true,
        value: {
          ...snapshot,
          position: snapshot.position,
          rows: (tables) => snapshot.rows(tables),
          close: async () => {
            if (!closed) open--;
            closed = true;
            await snapshot.close();
          },
        },
      };
    },
  });
  const served = await serveGateway({
    store,
    ...(cached && { checkpointCache: { store: memoryObjectStore() } }),
  }, { scheduler: clock, limits: { idleReaderMs: 10_000 } });
  const noise = new Prng(7);
  for (let i = 0; i < 2_000; i += 100) {
    const deltas = Array.from({ length: 100 }, (_, n) => {
      const title = Buffer.from(noise.bytes(7_000)).toString("base64");
      return makeDelta({
        op: "INSERT",
        table: "todos",
        rowId: `r${i + n}`,
        clientId: "alice:phone",
        hlc: String(i + n + 1),
        columns: [{ column: "title", value: title }, { column: "done", value: true }],
      });
    });
    await push(served.gateway, deltas);
  }
  return { served, open: () => open };
}

test("a reader that stops reading a checkpoint is cut off, and holds no snapshot any more", async () => {
  for (const gzip of [false, true]) {
    const clock = new ManualClock();
    const { served, open } = await serveLarge(clock, false);
    await using _ = served;
    using connection = new RawConnection(served.port);
    connection.send(
      "GET /v1/sync/default/checkpoint?clientId=bob HTTP/1.1\r\nHost: g\r\n" +
        `${gzip ? "Accept-Encoding: gzip\r\n" : ""}\r\n`,
    );
    await until(() => connection.received > 10_000);
    connection.pause();
    assertEquals(open(), 1);
    await until(() => clock.pending === 1);
    await clock.advance(9_999);
    assertEquals(open(), 1);
    // What the sockets still take begins another span of time.
    while (clock.pending > 0) await clock.advance(10_000);
    await until(() => open() === 0);
  }
});

test("a checkpoint that is kept holds no snapshot while it is read", async () => {
  const clock = new ManualClock();
  const { served, open } = await serveLarge(clock, true);
  await using _ = served;
  using connection = new RawConnection(served.port);
  connection.send("GET /v1/sync/default/checkpoint?clientId=bob HTTP/1.1\r\nHost: g\r\n\r\n");
  await until(() => connection.received > 10_000);
  connection.pause();
  await until(() => open() === 0);
  const whole = await served.ask("/v1/sync/default/checkpoint?clientId=carol");
  assertEquals((await whole.text()).trimEnd().split("\n").length, 2_002);
});

test("pages that nobody reads take no more room than there is, and are let go of in the end", async () => {
  const clock = new ManualClock();
  const { served } = await serveLarge(clock, false);
  await using _ = served;
  const pull = "GET /v1/sync/default/pull?clientId=bob&limit=10000 HTTP/1.1\r\nHost: g\r\n\r\n";
  const stalled: RawConnection[] = [];
  try {
    // A page has eight MiB, and 24 are for large ones: what is made for readers that stopped has an end.
    while (stalled.at(-1)?.text.startsWith("HTTP/1.1 503") !== true) {
      assert(stalled.length < 30, "there is no end to it");
      const connection = new RawConnection(served.port);
      stalled.push(connection);
      connection.send(pull);
      await until(() => connection.received > 0);
      connection.pause();
    }
    assertMatch(stalled.at(-1)!.text, /retry-after: 1/i);
    // What the sockets still take begins another span of time.
    while (clock.pending > 0) await clock.advance(10_000);
    const page = await (await served.pull("clientId=carol")).json() as PullAnswer;
    assert(page.deltas.length > 0);
  } finally {
    for (const connection of stalled) connection.destroy();
  }
});

test("a checkpoint has an ETag, and who has it is told so without a scan", async () => {
  const inner = memoryLogStore();
  let scans = 0;
  const store = storeWith(inner, {
    snapshot() {
      scans++;
      return inner.snapshot();
    },
  });
  await using served = await serveGateway({
    store,
    checkpointCache: { store: memoryObjectStore() },
  });
  await push(served.gateway, [insertTodo("a", 1)]);
  const path = "/v1/sync/default/checkpoint?clientId=bob";
  const ask = async (headers: Record<string, string>, query = "") => {
    const response = await served.ask(path + query, {
      headers: { "accept-encoding": "identity", ...headers },
    });
    const body = await response.text();
    return { status: response.status, etag: response.headers.get("etag")!, body, response };
  };
  const first = await ask({});
  assertEquals(first.status, 200);
  assertEquals(first.response.headers.get("cache-control"), "private, no-cache");
  assert(/^"[!-~]+"$/.test(first.etag), "strong, and one that a header can carry");
  const packed = await ask({ "accept-encoding": "gzip" });
  assertEquals(packed.response.headers.get("content-encoding"), "gzip");
  assertEquals(packed.body, first.body);
  assert(packed.etag !== first.etag, "other bytes, another tag");
  const frames = await ask({ accept: "application/x-protobuf" });
  assertEquals(new Set([first.etag, packed.etag, frames.etag]).size, 3);

  for (const etag of [first.etag, packed.etag, `"x", W/${first.etag}`]) {
    const unchanged = await ask({ "if-none-match": etag });
    assertEquals([unchanged.status, unchanged.body], [304, ""]);
    assertEquals(unchanged.etag, first.etag);
  }
  assertEquals((await ask({ "if-none-match": frames.etag })).status, 200);
  assertEquals((await ask({ "if-none-match": '"x"' })).status, 200);
  assertEquals(scans, 1);
  await push(served.gateway, [insertTodo("b", 2)]);
  assertEquals((await ask({ "if-none-match": first.etag }, "&atLeast=1")).status, 304);
  const second = await ask({ "if-none-match": first.etag });
  assertEquals([second.status, scans], [200, 2]);
  await errorOf(await served.ask(`${path}&atLeast=-1`), { status: 400, code: "VALIDATION_ERROR" });
});
