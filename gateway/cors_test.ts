import { test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { createAuth } from "./auth.ts";
import { isOrigin } from "./cors.ts";
import { createHandler, type HandlerOptions } from "./http.ts";
import { ROUTES } from "./http_routes.ts";
import { errorOf, serveGateway } from "./testdata/http_fixture.ts";
import { SECRET } from "./testdata/rules_fixture.ts";

const APP = "https://app.example.org";
const EVIL = "https://evil.example";
const PATHS = [
  ...ROUTES.map(({ path }) => path.replace(":gw", "default")),
  "/health",
  "/ready",
  "/metrics",
  "/openapi.json",
];
const listing: Partial<HandlerOptions> = { origins: [APP] };

function corsHeaders({ headers }: Response): string[] {
  return [...headers.keys()].filter((name) => name.startsWith("access-control-"));
}

async function preflight(
  handling: Partial<HandlerOptions>,
  path: string,
  origin: string,
): Promise<Response> {
  const handler = createHandler({ gateways: [], ...handling });
  const headers = {
    origin,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization",
  };
  return await handler.fetch(new Request(`http://g${path}`, { method: "OPTIONS", headers }));
}

test("a preflight from a listed origin is answered for every route, with and without authentication", async () => {
  for (const auth of [undefined, createAuth({ secrets: [SECRET] })]) {
    for (const path of PATHS) {
      const response = await preflight({ ...listing, ...(auth && { auth }) }, path, APP);
      assertEquals([response.status, await response.text()], [204, ""], path);
      const { headers } = response;
      assertEquals(headers.get("access-control-allow-origin"), APP);
      const allowed = headers.get("access-control-allow-headers")!.split(", ");
      assertEquals(allowed, [
        "authorization",
        "content-encoding",
        "content-type",
        "if-none-match",
        "last-event-id",
        "x-request-id",
      ]);
      const methods = headers.get("access-control-allow-methods")!.split(", ");
      for (const { runs } of ROUTES) {
        for (const method of Object.keys(runs)) assert(methods.includes(method), method);
      }
      assertEquals(headers.get("access-control-max-age"), "7200");
      assertEquals(headers.get("vary"), "origin");
      assertEquals(headers.get("access-control-allow-credentials"), null);
    }
  }
});

test("a preflight from any other origin is refused without a header of CORS", async () => {
  for (const handling of [listing, {}]) {
    for (const path of PATHS) {
      for (
        const origin of [
          EVIL,
          "null",
          `${APP}.evil.example`,
          `${APP}:444`,
          "http://app.example.org",
        ]
      ) {
        const response = await preflight(handling, path, origin);
        assertEquals(response.status, 405, `${origin} ${path}`);
        assertEquals(corsHeaders(response), []);
      }
    }
  }
});

test("a page of a listed origin reads answers and errors, and caches tell pages apart", async () => {
  await using served = await serveGateway({}, listing);
  for (const path of ["/health", "/none", "/v1/sync/default/pull", "/v1/admin/default/stats"]) {
    for (const [origin, allowed] of [[APP, APP], [EVIL, null], [undefined, null]] as const) {
      const response = await served.ask(path, { headers: origin === undefined ? {} : { origin } });
      await response.body?.cancel();
      const { headers } = response;
      assertEquals(headers.get("access-control-allow-origin"), allowed, `${origin} ${path}`);
      assertEquals(headers.get("vary"), "origin");
      const [exposed, policy] = allowed === null
        ? [null, "same-origin"]
        : ["etag, retry-after, x-checkpoint-rows, x-request-id", "cross-origin"];
      assertEquals(headers.get("access-control-expose-headers"), exposed);
      assertEquals(headers.get("cross-origin-resource-policy"), policy);
    }
  }
  const checkpoint = await served.ask("/v1/sync/default/checkpoint?clientId=bob");
  assertEquals(checkpoint.headers.get("vary"), "origin, accept, accept-encoding, authorization");
  await checkpoint.body?.cancel();
});

test("where no origin is listed no answer speaks of CORS", async () => {
  await using served = await serveGateway();
  const response = await served.ask("/health", { headers: { origin: APP } });
  assertEquals(corsHeaders(response), []);
  assertEquals([response.status, response.headers.get("vary")], [200, null]);
  await response.body?.cancel();
});

test("a listed origin is let in where others are not", async () => {
  await using served = await serveGateway({}, { ...listing, allowOrigin: () => false });
  const from = (origin: string) => served.ask("/health", { headers: { origin } });
  assertEquals((await from(APP)).status, 200);
  await errorOf(await from(EVIL), { status: 403, code: "FORBIDDEN" });
});

test("an origin has one form; everybody is none", () => {
  for (
    const good of [
      APP,
      "http://localhost:5173",
      "http://[::1]:81",
      "capacitor://localhost",
    ]
  ) {
    assert(isOrigin(good), good);
  }
  for (
    const bad of [
      "*",
      "null",
      "",
      "app.example.org",
      `${APP}/`,
      `${APP}/x`,
      `${APP}:443`,
      "https://APP.example.org",
      "https://*.example.org/",
      "https://u@app.example.org",
      "file:///x",
      "capacitor://localhost/",
    ]
  ) {
    assert(!isOrigin(bad), bad);
    assertThrows(() => createHandler({ gateways: [], origins: [bad] }), TypeError, "exact origin");
  }
});
