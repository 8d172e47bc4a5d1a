import { insertTodo, makeDelta, test } from "@lakesync/testing";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { err, LakeSyncError } from "@lakesync/core";
import { createAuth } from "./auth.ts";
import { createHandler, type HandlerOptions } from "./http.ts";
import { memoryLogStore } from "./store_memory.ts";
import { openGateway, storeWith } from "./testdata/fixture.ts";
import { errorOf, serveGateway } from "./testdata/http_fixture.ts";
import { SECRET, tokenFor, type Who } from "./testdata/rules_fixture.ts";

const auth = createAuth({ secrets: [SECRET] });
const root: Who = { sub: "root", role: "admin" };

async function statusOf(
  path: string,
  handling: Partial<HandlerOptions>,
  who?: Who,
): Promise<number> {
  const handler = createHandler({ gateways: [], ...handling });
  const headers = new Headers();
  if (who !== undefined) headers.set("authorization", `Bearer ${await tokenFor(who)}`);
  return (await handler.fetch(new Request(`http://g${path}`, { headers }))).status;
}

test("/metrics and /ready are for those that they are set for", async () => {
  for (const page of ["metrics", "ready"] as const) {
    const path = `/${page}`;
    for (
      const [exposure, nobody, client, admin] of [
        ["off", 404, 404, 404],
        ["admin", 401, 403, 200],
        ["open", 200, 200, 200],
      ] as const
    ) {
      const handling = { auth, [page]: exposure };
      assertEquals(await statusOf(path, handling), nobody, `${page} ${exposure}`);
      assertEquals(await statusOf(path, handling, { sub: "alice" }), client);
      assertEquals(await statusOf(path, handling, root), admin);
      // Without authentication everybody is an admin.
      assertEquals(await statusOf(path, { [page]: exposure }), admin);
    }
  }
});

test("where nothing is set /metrics is for admins, and /ready and the description for everybody", async () => {
  assertEquals(await statusOf("/metrics", { auth }), 401);
  assertEquals(await statusOf("/metrics", {}), 200);
  for (const path of ["/ready", "/health", "/openapi.json"]) {
    assertEquals(await statusOf(path, { auth }), 200);
  }
});

test("which gateways there are /ready tells admins alone", async () => {
  const gateway = await openGateway();
  const handler = createHandler({ gateways: [gateway], auth });
  const ask = async (headers: HeadersInit = {}) =>
    await (await handler.fetch(new Request("http://g/ready", { headers }))).json() as unknown;
  assertEquals(await ask(), { status: "ready" });
  const authorization = `Bearer ${await tokenFor(root)}`;
  assertEquals(await ask({ authorization }), { status: "ready", gateways: ["default"] });
  await gateway.close();
});

async function metricsOf(
  ask: (path: string) => Promise<Response>,
): Promise<(name: string) => string[]> {
  const response = await ask("/metrics");
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const lines = (await response.text()).split("\n");
  return (name) => lines.filter((line) => line.startsWith(name));
}

test("/metrics counts requests, pushed deltas and open streams, and shows where the log is", async () => {
  await using served = await serveGateway();
  const body = { clientId: "alice:phone", deltas: [insertTodo("a", 1), insertTodo("b", 2)] };
  await (await served.push(body)).body?.cancel();
  await (await served.push({ ...body, deltas: [insertTodo("a", 1)] })).body?.cancel();
  await (await served.ask("/v1/none")).body?.cancel();
  const stream = await served.ask("/v1/sync/default/live?clientId=bob");
  const metrics = await metricsOf(served.ask);
  assertEquals(metrics("lakesync_pushed_deltas_total"), [
    'lakesync_pushed_deltas_total{gateway="default",outcome="accepted"} 2',
    'lakesync_pushed_deltas_total{gateway="default",outcome="duplicate"} 1',
    'lakesync_pushed_deltas_total{gateway="default",outcome="rejected"} 0',
  ]);
  assertEquals(metrics("lakesync_http_requests_total"), [
    'lakesync_http_requests_total{route="/v1/sync/:gw/push",method="POST",status="200"} 2',
    'lakesync_http_requests_total{route="none",method="GET",status="404"} 1',
    'lakesync_http_requests_total{route="/v1/sync/:gw/live",method="GET",status="200"} 1',
  ]);
  assertEquals(metrics("lakesync_log_head"), ['lakesync_log_head{gateway="default"} 2']);
  assertEquals(metrics("lakesync_connections"), ['lakesync_connections{gateway="default"} 1']);
  assertEquals(metrics("lakesync_bodies_bytes"), ["lakesync_bodies_bytes 0"]);
  await stream.body?.cancel();
});

test("/metrics is there when a gateway is not", async () => {
  const failing = {
    "its error": () =>
      Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", "cannot read /srv/log.db"))),
    "what it throws": () => Promise.reject(new Error("cannot read /srv/log.db")),
  };
  for (const [title, stats] of Object.entries(failing)) {
    const lines: string[] = [];
    await using served = await serveGateway(
      { store: storeWith(memoryLogStore(), { stats }) },
      { logger: { log: (_, event, facts) => lines.push(`${event} ${JSON.stringify(facts)}`) } },
    );
    const metrics = await metricsOf((path) =>
      served.ask(path, { headers: { "x-request-id": "scrape" } })
    );
    assertEquals(
      metrics("lakesync_gateway_up"),
      ['lakesync_gateway_up{gateway="default"} 0'],
      title,
    );
    assertEquals(metrics("lakesync_log_head"), []);
    assert(metrics("lakesync_http_requests_total").length === 0);
    assertEquals(lines.length, 1);
    assertMatch(lines[0]!, /^request.failed .*"requestId":"scrape"/);
  }
});

test("HEAD answers what GET does on the operators' pages", async () => {
  await using served = await serveGateway();
  for (const path of ["/health", "/ready", "/metrics", "/openapi.json"]) {
    const got = await served.ask(path);
    const head = await served.ask(path, { method: "HEAD" });
    assertEquals([head.status, await head.text()], [200, ""], path);
    assertEquals(head.headers.get("content-type"), got.headers.get("content-type"));
    await got.body?.cancel();
    await errorOf(await served.ask(path, { method: "POST" }), {
      status: 405,
      code: "METHOD_NOT_ALLOWED",
    });
  }
});

test("HEAD of a large page gives back what it took of the answers' budget", async () => {
  const limits = { answersBytes: 600_000 };
  await using served = await serveGateway({}, { limits });
  const title = "x".repeat(200_000);
  for (const n of [1, 2]) {
    const { op, table, rowId, clientId, hlc } = insertTodo(`t${n}`, n);
    const columns = [{ column: "title", value: title }, { column: "done", value: false }];
    const delta = makeDelta({ op, table, rowId, clientId, hlc, columns });
    await (await served.push({ clientId: "alice:phone", deltas: [delta] })).body?.cancel();
  }
  for (let i = 0; i < 5; i++) {
    const path = "/v1/sync/default/pull?clientId=bob";
    const head = await served.ask(path, { method: "HEAD" });
    assertEquals(head.status, 200);
    await head.body?.cancel();
  }
  const page = await served.pull();
  assertEquals(page.status, 200);
  assert((await page.text()).length > 400_000);
});
