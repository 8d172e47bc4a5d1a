import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { createAuth } from "./auth.ts";
import { createHandler, type HandlerOptions } from "./http.ts";
import { openGateway } from "./testdata/fixture.ts";
import { SECRET, tokenFor, type Who } from "./testdata/rules_fixture.ts";

interface Asked {
  readonly who?: Who;
  readonly method: string;
  readonly path: string;
  readonly body?: string;
}

/** Sends requests, with their numbers as ids; gives the lines of the audit and the statuses. */
async function auditOf(
  requests: readonly Asked[],
  handling: Partial<HandlerOptions> = {},
): Promise<{ lines: unknown[]; statuses: number[] }> {
  const lines: unknown[] = [];
  const gateway = await openGateway();
  const handler = createHandler({
    gateways: [gateway],
    auth: createAuth({ secrets: [SECRET] }),
    logger: {
      log(level, event, facts) {
        if (event === "audit") lines.push([level, facts]);
      },
    },
    ...handling,
  });
  const statuses: number[] = [];
  for (const [n, { who, method, path, body }] of requests.entries()) {
    const headers = new Headers({ "x-request-id": `${n}`, origin: "https://app.example.org" });
    if (who !== undefined) headers.set("authorization", `Bearer ${await tokenFor(who)}`);
    const init = { method, headers, ...(body !== undefined && { body }) };
    statuses.push((await handler.fetch(new Request(`http://gateway${path}`, init))).status);
  }
  await gateway.close();
  return { lines, statuses };
}

const ADMIN = "/v1/admin/default";
const root: Who = { sub: "root", role: "admin" };

test("what admins do is one line each: who, what, which gateway, which request, how it ended", async () => {
  const { lines, statuses } = await auditOf([
    { who: root, method: "PUT", path: `${ADMIN}/rules`, body: '{"version":1,"buckets":[]}' },
    { who: root, method: "PUT", path: `${ADMIN}/rules?secret=1`, body: "{}" },
    { who: root, method: "PUT", path: `${ADMIN}/schema`, body: '{"tables":[]}' },
    { who: root, method: "POST", path: `${ADMIN}/flush` },
  ]);
  assertEquals(statuses, [200, 400, 409, 404]);
  const line = (n: number, action: string, outcome: string) => [
    "info",
    { requestId: `${n}`, sub: "root", gateway: "default", action, outcome },
  ];
  assertEquals(lines, [
    line(0, "PUT /v1/admin/:gw/rules", "ok"),
    line(1, "PUT /v1/admin/:gw/rules", "VALIDATION_ERROR"),
    line(2, "PUT /v1/admin/:gw/schema", "CONFLICT"),
    line(3, "POST /v1/admin/:gw/flush", "NOT_FOUND"),
  ]);
});

test("tries that are refused are there too, with who it was where the token is good", async () => {
  const { lines, statuses } = await auditOf([
    { who: { sub: "mallory" }, method: "POST", path: `${ADMIN}/flush` },
    { method: "PUT", path: `${ADMIN}/schema`, body: "{}" },
    { who: root, method: "POST", path: `/v1/admin/${"x".repeat(99)}/flush` },
  ]);
  assertEquals(statuses, [403, 401, 403]);
  const facts = (n: number, sub: string | undefined, action: string, outcome: string) => ({
    requestId: `${n}`,
    sub,
    gateway: "default",
    action,
    outcome,
  });
  assertEquals(lines, [
    ["info", facts(0, "mallory", "POST /v1/admin/:gw/flush", "FORBIDDEN")],
    ["info", facts(1, undefined, "PUT /v1/admin/:gw/schema", "UNAUTHENTICATED")],
    ["info", {
      ...facts(2, "root", "POST /v1/admin/:gw/flush", "FORBIDDEN"),
      gateway: "x".repeat(64),
    }],
  ]);
});

test("a page of another origin that tries is there too", async () => {
  const { lines } = await auditOf(
    [{ who: root, method: "POST", path: `${ADMIN}/flush` }],
    { allowOrigin: () => false },
  );
  const action = "POST /v1/admin/:gw/flush";
  assertEquals(lines, [
    ["info", { requestId: "0", sub: "root", gateway: "default", action, outcome: "FORBIDDEN" }],
  ]);
});

test("what is only read, and what is no admin's, is not in the audit", async () => {
  const { lines } = await auditOf([
    { who: root, method: "GET", path: `${ADMIN}/rules` },
    { who: root, method: "GET", path: `${ADMIN}/stats` },
    { who: root, method: "HEAD", path: `${ADMIN}/stats` },
    { who: root, method: "GET", path: "/v1/sync/default/pull?clientId=root" },
  ]);
  assertEquals(lines, []);
});
