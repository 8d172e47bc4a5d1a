// The routes that are no push: pulls, checkpoints, admin, health, and what all answers share.
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { err, LakeSyncError, type LogLevel, type PullAnswer, unwrapOrThrow } from "@lakesync/core";
import { insertTodo, ManualClock, test } from "@lakesync/testing";
import { createHandler } from "./http.ts";
import { memoryLogStore } from "./store_memory.ts";
import { FakeDestination } from "./testdata/fake_destination.ts";
import { openGateway, PROTO, push, storeWith, TODOS, withTables } from "./testdata/fixture.ts";
import { errorOf, pushBody, rawRequest, serveGateway } from "./testdata/http_fixture.ts";

test("GET pull answers a page of the log", async () => {
  await using served = await serveGateway();
  const empty = await (await served.pull()).json() as PullAnswer;
  assertEquals([empty.deltas, empty.seq, empty.hasMore], [[], 0, false]);
  await push(served.gateway, [insertTodo("a", 1), insertTodo("b", 2)]);
  const response = await served.pull(`clientId=bob&limit=1&cursor=${empty.cursor}`);
  assertEquals(response.headers.get("content-type"), "application/json");
  const page = await response.json() as PullAnswer;
  assertEquals(Object.keys(page), ["deltas", "cursor", "seq", "hasMore", "serverHlc"]);
  assertEquals([page.deltas, page.seq, page.hasMore], [[insertTodo("a", 1)], 1, true]);
  const rest = await (await served.pull(`clientId=bob&cursor=${page.cursor}`)).json() as PullAnswer;
  assertEquals([rest.deltas, rest.seq, rest.hasMore], [[insertTodo("b", 2)], 2, false]);
});

const badQueries = [
  "",
  "clientId=",
  "clientId=bob&limit=0",
  "clientId=bob&limit=-1",
  "clientId=bob&limit=abc",
  "clientId=bob&limit=",
  "clientId=bob&limit=1.5",
  "clientId=bob&limit=%201",
  "clientId=bob&limit=NaN",
  "clientId=bob&limit=Infinity",
  "clientId=bob&wait=abc",
  "clientId=bob&wait=-1",
  "clientId=bob&wait=",
  "clientId=bob&wait=NaN",
  "clientId=bob&wait=Infinity",
  "clientId=bob&tell=",
  "clientId=bob&tell=seq",
  "clientId=bob&own=x",
  "clientId=bob&own=",
  "clientId=bob&own=true",
  "clientId=bob&schemaVersion=x",
  "clientId=bob&schemaVersion=-1",
  "clientId=bob&schemaVersion=",
  "clientId=bob&schemaVersion=99999999999999999999",
  "clientId=bob&tables=to-dos",
  "clientId=bob&tables=todos,%22",
  "clientId=bob&tables=todos%3B%20DROP%20TABLE%20log",
];
test("GET pull with a parameter that is none is VALIDATION_ERROR, each by its name", async () => {
  await using served = await serveGateway();
  for (const query of badQueries) {
    const { message } = await errorOf(await served.pull(query), {
      status: 400,
      code: "VALIDATION_ERROR",
    });
    const name = /&(\w+)=/.exec(query)?.[1] ?? "clientId";
    assert(message.includes(name), `${query}: ${message}`);
  }
});

test("GET pull takes parameters in every form that is one", async () => {
  await using served = await serveGateway();
  const queries = [
    "clientId=bob&limit=1",
    "clientId=bob&limit=007",
    "clientId=bob&limit=999999999999999999999999",
    "clientId=bob&wait=0",
    "clientId=bob&wait=0.0",
    "clientId=bob&own=ids",
    "clientId=bob&schemaVersion=1",
    "clientId=bob&tables=",
    "clientId=bob&tables=nothing",
    "clientId=bob&cursor=",
    "clientId=bob&unknown=1",
    "clientId=%25&limit=1",
    "clientId=b%C3%B6b%3A1",
  ];
  for (const query of queries) {
    const response = await served.pull(query);
    assertEquals(response.status, 200, `${query}: ${await response.text()}`);
  }
});

test("GET pull of a source that there is not is NOT_FOUND", async () => {
  await using served = await serveGateway();
  await errorOf(await served.pull("clientId=bob&source=crm"), { status: 404, code: "NOT_FOUND" });
});

test("GET pull from a cursor that cannot be served is CHECKPOINT_REQUIRED with its reason", async () => {
  await using served = await serveGateway();
  await push(served.gateway, [insertTodo("a", 1), insertTodo("b", 2)]);
  const at = async (query: string) =>
    (await (await served.pull(query)).json() as PullAnswer).cursor;
  const first = await at("clientId=bob&limit=1");
  const last = await at("clientId=bob");
  const tables = await at("clientId=bob&tables=todos");
  const hash = last.split(".")[3]!;
  assert(unwrapOrThrow(await served.gateway.store.head()).seq === 2);
  unwrapOrThrow(await served.gateway.store.trim({ through: 2 }));
  const cases: [cursor: string, reason: string][] = [
    ["0", "foreign"],
    ["%00%ff", "foreign"],
    [last.replace(/^1\.[0-9a-f]/, (text) => `1.${text.endsWith("0") ? "1" : "0"}`), "epoch"],
    [last.replace(`.2.`, `.3.`), "ahead"],
    [first, "trimmed"],
    ["", "trimmed"],
    [last.replace(`.${hash}.`, ".1."), "hash"],
    [tables, "digest"],
  ];
  for (const [cursor, reason] of cases) {
    const error = await errorOf(await served.pull(`clientId=bob&cursor=${cursor}`), {
      status: 410,
      code: "CHECKPOINT_REQUIRED",
    });
    assertEquals(error.details, { reason }, cursor);
  }
  assertEquals((await served.pull(`clientId=bob&cursor=${last}`)).status, 200);
});

const sync = ["push", "pull", "checkpoint"].map((name) => `/v1/sync/GW/${name}`);
const admin = ["flush", "schema", "stats"].map((name) => `/v1/admin/GW/${name}`);
const allowed: { readonly [route: string]: string } = {
  "/v1/sync/GW/push": "POST",
  "/v1/sync/GW/pull": "GET",
  "/v1/sync/GW/checkpoint": "GET",
  "/v1/admin/GW/flush": "POST",
  "/v1/admin/GW/schema": "GET, PUT",
  "/v1/admin/GW/stats": "GET",
  "/health": "GET",
  "/ready": "GET",
};

test("a gateway that there is not is NOT_FOUND on each route", async () => {
  await using served = await serveGateway();
  for (const route of [...sync, ...admin]) {
    const method = allowed[route]!.split(", ")[0]!;
    for (const gateway of ["other", "Default", "default%20", "%2e%2e", "__proto__", "%ff", "%"]) {
      const response = await served.ask(route.replace("GW", gateway), { method });
      await errorOf(response, { status: 404, code: "NOT_FOUND" });
    }
  }
});

test("a path that there is not is NOT_FOUND", async () => {
  await using served = await serveGateway();
  const paths = [
    "/",
    "/v1",
    "/v1/sync/default",
    "/v1/sync/default/",
    "/v1/sync/default/push/more",
    "/v1/sync//push",
    "/v2/sync/default/push",
    "/V1/sync/default/pull",
    "/v1/sync/default/nothing",
    "/v1/admin/default/__proto__",
    "/healthz",
    "/%00",
    `/${"x".repeat(4_000)}`,
  ];
  for (const path of paths) {
    await errorOf(await served.ask(path), { status: 404, code: "NOT_FOUND" });
  }
});

test("GET // is NOT_FOUND, like every path that no URL parser likes", async () => {
  await using served = await serveGateway();
  for (const target of ["//", "///", "//x", "//[", "//:0", "//%", "/\\", "//health"]) {
    const answer = await rawRequest(served.port, [`GET ${target} HTTP/1.1`]);
    // A server may refuse what is no HTTP before the handler sees it.
    assert(answer?.status === 404 || answer?.status === 400, `${target}: ${answer?.status}`);
  }
  const answer = await rawRequest(served.port, ["GET // HTTP/1.1"]);
  assertEquals(answer?.status, 404);
  assertEquals((await served.ask("/health")).status, 200);
});

test("a method that a route does not have is METHOD_NOT_ALLOWED, with Allow", async () => {
  await using served = await serveGateway();
  for (const [route, methods] of Object.entries(allowed)) {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      if (methods.split(", ").includes(method)) continue;
      const response = await served.ask(route.replace("GW", "default"), { method });
      assertEquals(response.headers.get("allow"), methods);
      await errorOf(response, { status: 405, code: "METHOD_NOT_ALLOWED" });
    }
  }
});

test("HEAD answers what GET does, without a body", async () => {
  await using served = await serveGateway();
  for (const path of ["/health", "/ready", "/v1/sync/default/checkpoint?clientId=bob"]) {
    const response = await served.ask(path, { method: "HEAD" });
    assertEquals([response.status, await response.text()], [200, ""]);
  }
});

test("/health and /ready answer while the gateway runs", async () => {
  await using served = await serveGateway();
  assertEquals(await (await served.ask("/health")).json(), { status: "ok" });
  assertEquals(await (await served.ask("/ready")).json(), {
    status: "ready",
    gateways: ["default"],
  });
});

test("/ready answers the store's failure, /health does not depend on it", async () => {
  const store = memoryLogStore();
  await using served = await serveGateway({ store });
  await store.close();
  await errorOf(await served.ask("/ready"), { status: 500, code: "INTERNAL" });
  assertEquals((await served.ask("/health")).status, 200);
});

test("two gateways behind one handler are two logs", async () => {
  const a = await openGateway({ id: "a" });
  const b = await openGateway({ id: "b" });
  const handler = createHandler({ gateways: [a, b] });
  const body = pushBody([insertTodo("x", 1)]);
  await handler.fetch(new Request("http://g/v1/sync/a/push", { method: "POST", body }));
  const heads = await Promise.all(["a", "b"].map(async (id) => {
    const response = await handler.fetch(new Request(`http://g/v1/admin/${id}/stats`));
    return (await response.json() as { head: number }).head;
  }));
  assertEquals(heads, [1, 0]);
});

test("X-Request-Id is kept where it is printable ASCII of at most 128, else replaced", async () => {
  await using served = await serveGateway();
  for (const id of ["abc", "~ a b {}", "x".repeat(128)]) {
    const kept = await served.ask("/health", { headers: { "x-request-id": id } });
    assertEquals(kept.headers.get("x-request-id"), id);
    await kept.body?.cancel();
    const failed = await served.ask("/nothing", { headers: { "x-request-id": id } });
    assertEquals((await errorOf(failed, { status: 404, code: "NOT_FOUND" })).requestId, id);
  }
  const replaced = new Set<string | null>();
  for (const id of [undefined, "x".repeat(129), "tab\there", "ü"]) {
    const response = await served.ask("/health", {
      headers: id === undefined ? {} : { "x-request-id": id },
    });
    await response.body?.cancel();
    const given = response.headers.get("x-request-id");
    assertMatch(given ?? "", /^[0-9a-f-]{36}$/);
    replaced.add(given);
  }
  assertEquals(replaced.size, 4);
});

test("a large answer comes in gzip to a client that accepts it, and plain to another", async () => {
  await using served = await serveGateway();
  await push(served.gateway, Array.from({ length: 100 }, (_, i) => insertTodo(`r${i}`, i + 1)));
  const ask = async (path: string, accept: readonly string[]) => {
    const head = [`GET /v1/sync/default/${path}?clientId=bob HTTP/1.1`, ...accept];
    const answer = await rawRequest(served.port, head);
    assertEquals(answer?.status, 200);
    const packed = answer!.headers.get("content-encoding") === "gzip";
    const body = packed ? gunzipSync(answer!.body) : answer!.body;
    return { packed, text: Buffer.from(body).toString(), vary: answer!.headers.get("vary") };
  };
  for (const path of ["pull", "checkpoint"]) {
    const plain = await ask(path, []);
    for (const accept of ["gzip", "br;q=0.5, gzip;q=0.8", "deflate,GZIP"]) {
      const { packed, text, vary } = await ask(path, [`Accept-Encoding: ${accept}`]);
      assertEquals([packed, text.length], [true, plain.text.length], `${path} ${accept}`);
      assertMatch(vary ?? "", /accept-encoding/i);
    }
    for (const accept of ["identity", "gzip;q=0", "gzip; q=0.0"]) {
      assertEquals((await ask(path, [`Accept-Encoding: ${accept}`])).packed, false, accept);
    }
    assertEquals(plain.packed, false);
  }
});

test("serverHlc never goes back from answer to answer, also when the wall clock is set back", async () => {
  const clock = new ManualClock();
  const store = memoryLogStore({ clock });
  let last = 0n;
  for (let start = 0; start < 2; start++) {
    const kept = storeWith(store, { close: () => Promise.resolve() });
    await using served = await serveGateway({ store: kept });
    for (let i = 0; i < 10; i++) {
      const response = i % 2 === 0
        ? await served.push({ clientId: "alice", deltas: [] })
        : await served.pull();
      const { serverHlc } = await response.json() as { serverHlc: string };
      assert(BigInt(serverHlc) >= last);
      last = BigInt(serverHlc);
      clock.set(clock.now() - 60_000);
    }
  }
});

test("a failure of the store is INTERNAL: its words go to the log and not to the client", async () => {
  const secret = "SQLITE_IOERR in /secret/path";
  const lines: [LogLevel, string, unknown][] = [];
  const logger = {
    log: (level: LogLevel, event: string, facts?: unknown) =>
      void lines.push([level, event, facts]),
  };
  const failures = [
    () => Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", secret))),
    () => Promise.resolve(err(new LakeSyncError("CORRUPT", secret))),
    () => Promise.reject(new Error(secret)),
    () => {
      throw new TypeError(secret);
    },
  ];
  for (const failure of failures) {
    const inner = await withTables(memoryLogStore());
    const store = storeWith(inner, {
      append: failure,
      head: failure,
      read: failure,
      snapshot: failure,
      stats: failure,
    });
    await using served = await serveGateway({ store }, { logger });
    const requests = [
      served.push({ clientId: "alice:phone", deltas: [insertTodo("a", 1)] }),
      served.pull(),
      served.ask("/v1/sync/default/checkpoint?clientId=bob"),
      served.ask("/v1/admin/default/stats"),
    ];
    for (const request of requests) {
      lines.length = 0;
      const response = await request;
      const text = await response.clone().text();
      assert(!text.includes("secret") && !text.includes("SQLITE"), text);
      await errorOf(response, { status: 500, code: "INTERNAL" });
    }
  }
});

test("a failure is logged with its cause under the request's id", async () => {
  const lines: unknown[] = [];
  const logger = {
    log: (_: LogLevel, event: string, facts?: { readonly [key: string]: unknown }) =>
      void lines.push([event, facts?.requestId, facts?.code, facts?.message]),
  };
  const store = storeWith(await withTables(memoryLogStore()), {
    append: () => Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", "The disk is full"))),
  });
  await using served = await serveGateway({ store }, { logger });
  const response = await served.push({ clientId: "alice:phone", deltas: [insertTodo("a", 1)] }, {
    headers: { "x-request-id": "r-1" },
  });
  await response.body?.cancel();
  assertEquals(lines, [["request.failed", "r-1", "STORAGE_ERROR", "The disk is full"]]);
});

test("a request that is refused is not logged as a failure", async () => {
  const lines: unknown[] = [];
  await using served = await serveGateway({}, { logger: { log: (_, event) => lines.push(event) } });
  for (const path of ["/nothing", "/v1/sync/default/pull", "/v1/sync/other/pull"]) {
    await (await served.ask(path)).body?.cancel();
  }
  assertEquals(lines, []);
});

test("PUT schema replaces the set, and GET reads it", async () => {
  await using served = await serveGateway();
  const path = "/v1/admin/default/schema";
  const put = (body: unknown) => served.ask(path, { method: "PUT", body: JSON.stringify(body) });
  assertEquals(await (await served.ask(path)).json(), { tables: [TODOS, PROTO] });
  const tables = [{ ...TODOS, version: 2 }, PROTO, { table: "tags", version: 1, columns: [] }];
  assertEquals(await (await put({ tables })).json(), { tables });
  assertEquals(await (await served.ask(path)).json(), { tables });
  const narrowed = { ...TODOS, version: 3, columns: TODOS.columns.slice(1) };
  const refused: [body: unknown, status: number, code: string][] = [
    [{ tables: tables.slice(1) }, 409, "CONFLICT"],
    [{ tables: [narrowed, ...tables.slice(1)] }, 409, "CONFLICT"],
    [{ tables: [TODOS, ...tables.slice(1)] }, 409, "CONFLICT"],
    [{ tables: {} }, 400, "VALIDATION_ERROR"],
    [tables, 400, "VALIDATION_ERROR"],
    [null, 400, "VALIDATION_ERROR"],
    [{ tables: [...tables, { table: "id", version: 1, columns: [] }] }, 400, "VALIDATION_ERROR"],
    [{ tables: [...tables, { table: "a-b", version: 1, columns: [] }] }, 400, "VALIDATION_ERROR"],
    [
      { tables: [...tables, { table: "x", version: 1, columns: [{ name: "ID", type: "json" }] }] },
      400,
      "VALIDATION_ERROR",
    ],
    [
      { tables: [...tables, { table: "x", version: 1, columns: [{ name: "n", type: "set" }] }] },
      400,
      "VALIDATION_ERROR",
    ],
  ];
  for (const [body, status, code] of refused) await errorOf(await put(body), { status, code });
  const text = await served.ask(path, { method: "PUT", body: "tables" });
  await errorOf(text, { status: 400, code: "VALIDATION_ERROR" });
  assertEquals(await (await served.ask(path)).json(), { tables });
  const deltas = [insertTodo("a", 1)];
  const push = await served.push({ clientId: "alice:phone", deltas, schemaVersion: 2 });
  assertEquals((await push.json() as { accepted: number }).accepted, 1);
});

test("POST flush takes the log to its destinations, and stats say how far everything is", async () => {
  const lake = new FakeDestination();
  await using served = await serveGateway({ destinations: [lake] });
  await push(served.gateway, [insertTodo("a", 1), insertTodo("b", 2)]);
  const stats = async () => await (await served.ask("/v1/admin/default/stats")).json();
  const { epoch } = served.gateway.store;
  const tables = JSON.parse('{ "todos": { "rows": 2 }, "__proto__": { "rows": 0 } }');
  const same = { head: 2, trimmedSeq: 0, tables, clients: 1, epoch };
  const at = (flushedSeq: number) => {
    const lag = 2 - flushedSeq;
    const destinations = { lake: { flushedSeq, lag, cutOff: false } };
    return { ...same, flushedSeq, lag, destinations };
  };
  assertEquals(await stats(), at(0));
  const flushed = await served.ask("/v1/admin/default/flush", { method: "POST" });
  assertEquals(await flushed.json(), { flushedSeq: 2, deltas: 2, objects: 2 });
  assertEquals(await stats(), at(2));
});

test("POST flush without a destination is NOT_FOUND, a failing one INTERNAL without its words", async () => {
  await using none = await serveGateway();
  const path = "/v1/admin/default/flush";
  await errorOf(await none.ask(path, { method: "POST" }), { status: 404, code: "NOT_FOUND" });
  for (const fault of ["fail-before", "throw-after"] as const) {
    const lake = new FakeDestination();
    await using served = await serveGateway({ destinations: [lake] });
    await push(served.gateway, [insertTodo("a", 1)]);
    lake.faults.push(fault);
    const error = await errorOf(await served.ask(path, { method: "POST" }), {
      status: 500,
      code: "INTERNAL",
    });
    assert(!error.message.includes("The lake failed"));
  }
});
