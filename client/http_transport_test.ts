import {
  type Checkpoint,
  type CheckpointRow,
  LakeSyncError,
  type Result,
  type SyncTransport,
  unwrapOrThrow,
} from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { codeOf, foreignDelta, rowsOf, withBench } from "./testdata/bench.ts";
import { httpTransport, inProcessTransport } from "./mod.ts";

const PAGE = { deltas: [], cursor: "c", seq: 1, hasMore: false, serverHlc: "1" };
const ANSWER = { accepted: 0, duplicates: 0, rejected: [], seq: 1, serverHlc: "1" };

/** A transport whose requests are recorded and answered in turn. */
function scripted(...answers: (() => Response | Promise<Response>)[]): {
  transport: SyncTransport;
  requests: Request[];
} {
  const requests: Request[] = [];
  const transport = httpTransport({
    url: "http://gateway.test/base/",
    gateway: "a b",
    scheduler: new ManualClock(),
    fetch: async (request) => {
      requests.push(request.clone());
      return await answers.shift()!();
    },
  });
  return { transport, requests };
}

function errorOf(result: Result<unknown>): LakeSyncError {
  assert(!result.ok, "expected a failure");
  return result.error;
}

test("httpTransport() asks a gateway on the same machine for pages that are not packed", async () => {
  for (
    const [url, accepted] of [
      ["http://localhost:8080", "identity"],
      ["http://127.0.0.1/base", "identity"],
      ["http://[::1]:8080", "identity"],
      ["http://localhost.example", null],
      ["https://gateway.test", null],
    ] as const
  ) {
    const requests: Request[] = [];
    const transport = httpTransport({
      url,
      fetch: (request) => {
        requests.push(request);
        return Promise.resolve(Response.json(PAGE));
      },
    });
    unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    assertEquals(requests.map(({ headers }) => headers.get("Accept-Encoding")), [accepted]);
  }
});

test("httpTransport() sends a push and a pull as the protocol has them", async () => {
  const { transport, requests } = scripted(
    () => Response.json(ANSWER),
    () => Response.json(PAGE),
  );
  const push = { clientId: "a", deltas: [foreignDelta({})], schemaVersion: 2 };
  assertEquals(unwrapOrThrow(await transport.push(push)), ANSWER);
  assertEquals(
    unwrapOrThrow(
      await transport.pull({
        clientId: "a&b",
        cursor: "x.1",
        limit: 10,
        tables: ["t", "u"],
        wait: 5,
        own: "ids",
        schemaVersion: 2,
      }),
    ),
    PAGE,
  );
  const [first, second] = requests;
  assertEquals([first!.method, first!.url], [
    "POST",
    "http://gateway.test/base/v1/sync/a%20b/push",
  ]);
  assertEquals(first!.headers.get("Content-Type"), "application/json");
  assertEquals(await first!.json(), push);
  const url = new URL(second!.url);
  assertEquals([second!.method, url.pathname], ["GET", "/base/v1/sync/a%20b/pull"]);
  assertEquals(Object.fromEntries(url.searchParams), {
    clientId: "a&b",
    cursor: "x.1",
    limit: "10",
    tables: "t,u",
    wait: "5",
    own: "ids",
    schemaVersion: "2",
  });
});

test("httpTransport() gives the gateway's error with its details and Retry-After", async () => {
  const body = (code: string, details?: unknown) => ({
    error: { code, message: "Why", requestId: "r", details },
  });
  const { transport } = scripted(
    () => Response.json(body("CHECKPOINT_REQUIRED", { reason: "epoch" }), { status: 410 }),
    () => Response.json(body("RATE_LIMITED"), { status: 429, headers: { "Retry-After": "7" } }),
    () => new Response("<html>Bad gateway</html>", { status: 503 }),
    () => Response.json(body("NO_SUCH_CODE"), { status: 409 }),
    () => new Response(null, { status: 418 }),
  );
  const errors: LakeSyncError[] = [];
  for (let i = 0; i < 5; i++) {
    errors.push(errorOf(await transport.pull({ clientId: "a", cursor: "" })));
  }
  assertEquals(errors.map(({ code }) => code), [
    "CHECKPOINT_REQUIRED",
    "RATE_LIMITED",
    "BACKPRESSURE",
    "CONFLICT",
    "INTERNAL",
  ]);
  assertEquals(errors[0]!.details, { status: 410, reason: "epoch" });
  assertEquals(errors[0]!.message, "Why");
  assertEquals(errors[1]!.details, { status: 429, retryAfterMs: 7_000 });
});

test("httpTransport() does not take an answer that is not a gateway's", async () => {
  const { transport } = scripted(
    () => new Response("<html>Welcome</html>"),
    () => Response.json({ hello: 1 }),
    () => Response.json(null),
    () => new Response("<html>Welcome</html>"),
  );
  assertEquals(codeOf(await transport.pull({ clientId: "a", cursor: "" })), "INTERNAL");
  assertEquals(codeOf(await transport.pull({ clientId: "a", cursor: "" })), "INTERNAL");
  assertEquals(codeOf(await transport.push({ clientId: "a", deltas: [] })), "INTERNAL");
  assertEquals(codeOf(await transport.checkpoint({ clientId: "a" })), "OFFLINE");
});

test("an answer that breaks off in its middle is OFFLINE, however the runtime tells of it", async () => {
  const type = { "Content-Type": "application/json; charset=utf-8" };
  const half = JSON.stringify(PAGE).slice(0, 20);
  const { transport } = scripted(
    // Where nobody says how long it is, the end of the connection is the end of the body.
    () => new Response(half, { headers: type }),
    () => new Response("", { headers: type }),
    () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new TextEncoder().encode(half));
            controller.error(new TypeError("connection reset"));
          },
        }),
        { headers: type },
      ),
    () => new Response(half, { status: 503, headers: type }),
  );
  const codes: string[] = [];
  for (let i = 0; i < 4; i++) {
    codes.push(codeOf(await transport.pull({ clientId: "a", cursor: "" })));
  }
  assertEquals(codes, ["OFFLINE", "OFFLINE", "OFFLINE", "BACKPRESSURE"]);
});

test("httpTransport() asks for a new token once where the last one is refused", async () => {
  const seen: (string | null)[] = [];
  let tokens = 0;
  let valid = "t1";
  const transport = httpTransport({
    url: "http://gateway.test",
    scheduler: new ManualClock(),
    getToken: () => `t${++tokens}`,
    fetch: (request) => {
      const token = request.headers.get("Authorization");
      seen.push(token);
      return Promise.resolve(
        token === `Bearer ${valid}` ? Response.json(PAGE) : new Response(null, { status: 401 }),
      );
    },
  });
  const pull = () => transport.pull({ clientId: "a", cursor: "" });
  assert((await pull()).ok && (await pull()).ok);
  assertEquals(seen, ["Bearer t1", "Bearer t1"]);
  valid = "t2";
  assert((await pull()).ok);
  assertEquals(seen.slice(2), ["Bearer t1", "Bearer t2"]);
  valid = "none";
  assertEquals(codeOf(await pull()), "UNAUTHENTICATED");
  assertEquals(seen.length, 6);
});

test("httpTransport() tells OFFLINE, TIMEOUT and ABORTED apart", async () => {
  const clock = new ManualClock();
  const transport = httpTransport({
    url: "http://gateway.test",
    scheduler: clock,
    timeoutMs: 1_000,
    fetch: ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  });
  const slow = transport.pull({ clientId: "a", cursor: "" });
  await clock.advance(1_000);
  assertEquals(codeOf(await slow), "TIMEOUT");
  // A request that is to be held gets its time on top.
  let answered = false;
  const held = transport.pull({ clientId: "a", cursor: "", wait: 10 });
  void held.then(() => answered = true);
  await clock.advance(10_999);
  assertEquals(answered, false);
  await clock.advance(1);
  assertEquals(codeOf(await held), "TIMEOUT");
  const controller = new AbortController();
  const stopped = transport.pull({ clientId: "a", cursor: "" }, { signal: controller.signal });
  controller.abort();
  assertEquals(codeOf(await stopped), "ABORTED");
  assertEquals(clock.pending, 0);
  const gone = httpTransport({
    url: "http://gateway.test",
    scheduler: clock,
    fetch: () => Promise.reject(new TypeError("refused")),
  });
  const push = await gone.push({ clientId: "a", deltas: [] });
  assertEquals(codeOf(push), "OFFLINE");
  assertStringIncludes(push.ok ? "" : push.error.message, "at http://gateway.test: refused");
  assertThrows(() => httpTransport({ url: "nowhere" }), TypeError);
});

const ROW: CheckpointRow = {
  table: "todos",
  rowId: "ä\n\u{1F600}",
  life: ["1", "a"],
  columns: { title: ["x\ny", "1", "a"] },
};

function body(text: string, chunkBytes: number): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at += chunkBytes));
    },
  });
}

const HEADER = `{"checkpoint":{"seq":7,"cursor":"c7","tables":["todos"]}}`;
const LINE = JSON.stringify(ROW);

async function rows(checkpoint: Checkpoint): Promise<CheckpointRow[]> {
  const all: CheckpointRow[] = [];
  for await (const chunk of checkpoint.rows) all.push(...chunk);
  return all;
}

test("httpTransport() reads a checkpoint however its bytes are cut", async () => {
  const text = [HEADER, LINE, LINE, LINE, `{"end":{"rows":3}}`].join("\n");
  for (const end of ["", "\n"]) {
    for (const chunkBytes of [1, 2, 3, 7, 64, 100_000]) {
      const { transport } = scripted(() => new Response(body(text + end, chunkBytes)));
      const checkpoint = unwrapOrThrow(
        await transport.checkpoint({ clientId: "a", schemaVersion: 2 }),
      );
      assertEquals([checkpoint.seq, checkpoint.cursor], [7, "c7"]);
      assertEquals(await rows(checkpoint), [ROW, ROW, ROW]);
    }
  }
});

test("httpTransport() throws away a checkpoint that broke off or whose count differs", async () => {
  for (
    const lines of [
      [HEADER],
      [HEADER, LINE],
      [HEADER, LINE, `{"end":{"rows":2}}`],
      [HEADER, LINE, LINE.slice(0, -5)],
      [HEADER, LINE, "{nonsense}", `{"end":{"rows":2}}`],
    ]
  ) {
    const { transport } = scripted(() => new Response(body(lines.join("\n"), 10)));
    const checkpoint = unwrapOrThrow(await transport.checkpoint({ clientId: "a" }));
    const error = await assertRejects(() => rows(checkpoint), LakeSyncError);
    assertEquals(error.code, "OFFLINE");
  }
  for (const text of ["", LINE, "nonsense"]) {
    const { transport } = scripted(() => new Response(body(text, 10)));
    assertEquals(codeOf(await transport.checkpoint({ clientId: "a" })), "OFFLINE");
  }
});

test("httpTransport() times a checkpoint out that shows no sign of life", async () => {
  const clock = new ManualClock();
  let first = true;
  const transport = httpTransport({
    url: "http://gateway.test",
    scheduler: clock,
    timeoutMs: 1_000,
    fetch: ({ signal }) =>
      Promise.resolve(
        new Response(
          new ReadableStream({
            pull(controller) {
              signal.addEventListener("abort", () => controller.error(signal.reason));
              if (first) controller.enqueue(new TextEncoder().encode(`${HEADER}\n${LINE}\n`));
              first = false;
            },
          }),
        ),
      ),
  });
  const checkpoint = unwrapOrThrow(await transport.checkpoint({ clientId: "a" }));
  const reading = assertRejects(() => rows(checkpoint), LakeSyncError);
  await clock.advance(1_000);
  assertEquals((await reading).code, "TIMEOUT");
});

test("clients sync over HTTP requests with a gateway in the same process", () =>
  withBench(async (bench) => {
    const transport = inProcessTransport({ fetch: bench.gateway.fetch });
    const a = await bench.client({ transport });
    const b = await bench.client({ transport });
    for (let i = 0; i < 1_200; i++) {
      unwrapOrThrow(await a.tables.todos.insert({ id: `${i}`, title: `t${i}`, done: false }));
    }
    unwrapOrThrow(await a.syncOnce());
    unwrapOrThrow(await b.syncOnce());
    unwrapOrThrow(await b.tables.todos.delete("7"));
    unwrapOrThrow(await b.syncOnce());
    unwrapOrThrow(await a.syncOnce());
    assertEquals(await rowsOf(a), await rowsOf(b));
    assertEquals(await rowsOf(a, "SELECT count(*) FROM todos"), [[1_199]]);
    bench.gateway.reset();
    assertEquals(unwrapOrThrow(await a.syncOnce()).pushed, 1_200);
  }));

test("a request that waits for a token stops when it is told to", async () => {
  const never = new Promise<string>(() => {});
  const transport = httpTransport({
    url: "http://gateway.test",
    scheduler: new ManualClock(),
    getToken: () => never,
    fetch: () => Promise.reject(new Error("No request goes without a token")),
  });
  const stop = new AbortController();
  const pulled = transport.pull({ clientId: "a", cursor: "" }, { signal: stop.signal });
  stop.abort();
  assertEquals(errorOf(await pulled).code, "ABORTED");
  const late = transport.pull({ clientId: "a", cursor: "" }, { signal: stop.signal });
  assertEquals(errorOf(await late).code, "ABORTED");
});
