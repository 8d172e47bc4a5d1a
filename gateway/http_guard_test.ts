import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { createHandler } from "./http.ts";
import { errorOf, rawRequest, serveGateway } from "./testdata/http_fixture.ts";

test("a URL of more than 16 KiB is VALIDATION_ERROR, on whatever route", async () => {
  const handler = createHandler({ gateways: [] });
  for (const path of ["/health", "/v1/sync/default/pull", "/none"]) {
    const url = (length: number) => `http://g${path}?${"a".repeat(length - path.length - 9)}`;
    assertEquals((await handler.fetch(new Request(url(16_384)))).status !== 400, true);
    const response = await handler.fetch(new Request(url(16_385)));
    await errorOf(response, { status: 400, code: "VALIDATION_ERROR" });
  }
});

test("a gateway answers only to names that it goes by, where it is told which", async () => {
  await using served = await serveGateway({}, {
    allowHost: (host) => host === `127.0.0.1:${served.port}`,
  });
  const paths = ["/health", "/none", "/metrics", "/v1/sync/default/pull?clientId=bob"];
  for (const path of paths) {
    // Raw requests name "gateway" as their host.
    assertEquals((await rawRequest(served.port, [`GET ${path} HTTP/1.1`]))?.status, 403, path);
    const own = await served.ask(path);
    assertEquals(own.status, path === "/none" ? 404 : 200, path);
    await own.body?.cancel();
  }
  const preflight = await rawRequest(served.port, [
    "OPTIONS /health HTTP/1.1",
    "Origin: http://rebound.example",
    "Access-Control-Request-Method: GET",
  ]);
  assertEquals(preflight?.status, 403);
});

test("every answer tells browsers to make nothing of it; HSTS comes behind HTTPS alone", async () => {
  for (const https of [false, true]) {
    const handler = createHandler({ gateways: [], https });
    for (
      const path of [
        "/health",
        "/metrics",
        "/openapi.json",
        "/none",
        "/v1/sync/x/pull",
        `/${"x".repeat(20_000)}`,
      ]
    ) {
      const { headers } = await handler.fetch(new Request(`http://g${path}`));
      const get = (name: string) => headers.get(name);
      assertEquals(get("x-content-type-options"), "nosniff");
      assertEquals(get("referrer-policy"), "no-referrer");
      assertEquals(get("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
      assertEquals(get("cross-origin-resource-policy"), "same-origin");
      assertEquals(get("cache-control"), "no-store");
      assertEquals(
        get("strict-transport-security"),
        https ? "max-age=63072000; includeSubDomains" : null,
      );
    }
  }
});
