// What a failing gateway says: to callers nothing of its inside, to its log everything, by one id.
import { err, LakeSyncError } from "@lakesync/core";
import { insertTodo, ManualClock, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { createAuth } from "./auth.ts";
import { createHandler, type Handler, type HandlerOptions } from "./http.ts";
import { memoryLogStore } from "./store_memory.ts";
import { openGateway, withTables } from "./testdata/fixture.ts";
import { errorOf, pushBody } from "./testdata/http_fixture.ts";

/** What no caller may see. */
const SECRET = "/srv/lakesync/log.db: SELECT hunter2 FROM rows";

const PUSH = { method: "POST", body: pushBody([insertTodo("a", 1)]) };
const REQUESTS: readonly [path: string, init?: RequestInit][] = [
  ["/v1/sync/default/push", PUSH],
  ["/v1/sync/default/pull?clientId=bob"],
  ["/v1/sync/default/live?clientId=bob"],
  ["/v1/sync/default/checkpoint?clientId=bob"],
  ["/v1/admin/default/flush", { method: "POST" }],
  ["/v1/admin/default/schema"],
  ["/v1/admin/default/schema", { method: "PUT", body: '{"tables":[]}' }],
  ["/v1/admin/default/rules"],
  ["/v1/admin/default/rules", { method: "PUT", body: '{"version":1,"buckets":[]}' }],
  ["/v1/admin/default/stats"],
  ["/ready"],
];

interface Failing {
  readonly handler: Handler;
  readonly lines: { readonly event: string; readonly facts: { readonly [key: string]: unknown } }[];
}

/** A gateway whose store answers everything with a failure. */
async function failing(
  fail: () => Promise<never>,
  handling: Partial<HandlerOptions> = {},
): Promise<Failing> {
  const good = await withTables(memoryLogStore());
  let broken = false;
  const store = new Proxy(good, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (broken && name !== "subscribe" && name !== "close") return fail;
      return value.bind(target) as unknown;
    },
  });
  const gateway = await openGateway({ store });
  broken = true;
  const lines: Failing["lines"] = [];
  const logger = {
    log: (_level: string, event: string, facts: { readonly [key: string]: unknown } = {}) =>
      void lines.push({ event, facts }),
  };
  return { handler: createHandler({ gateways: [gateway], logger, ...handling }), lines };
}

const CAUSES: { readonly [title: string]: () => Promise<never> } = {
  "a store's error": () =>
    Promise.resolve(
      err(new LakeSyncError("STORAGE_ERROR", SECRET, { cause: new Error(SECRET) })) as never,
    ),
  "damage": () =>
    Promise.resolve(
      err(new LakeSyncError("CORRUPT", SECRET, { details: { path: SECRET } })) as never,
    ),
  "an error marked as internal": () =>
    Promise.resolve(
      err(new LakeSyncError("INTERNAL", SECRET, { details: { path: SECRET } })) as never,
    ),
  "a bug that throws": () => Promise.reject(new TypeError(SECRET)),
  "a bug that throws no error": () => Promise.reject(SECRET),
};
for (const [title, fail] of Object.entries(CAUSES)) {
  test(`after ${title} callers are told an id, and the log the rest under the same`, async () => {
    for (const [n, [path, init]] of REQUESTS.entries()) {
      const { handler, lines } = await failing(fail);
      const requestId = `request-${n}`;
      const request = new Request(`http://g${path}`, {
        ...init,
        headers: { "x-request-id": requestId },
      });
      const response = await handler.fetch(request);
      if (response.headers.get("content-type") === "text/event-stream") {
        // A stream has begun before it fails: the error is an event.
        const text = await response.text();
        assert(text.includes('"code":"INTERNAL"') && text.includes(requestId), text);
        assert(!text.includes("hunter2"), text);
      } else {
        const error = await errorOf(response, { status: 500, code: "INTERNAL" });
        assertEquals(error.requestId, requestId);
        assertEquals(Object.keys(error), ["code", "message", "requestId"]);
        assert(!JSON.stringify([error, [...response.headers]]).includes("hunter2"), path);
      }
      const failed = lines.filter(({ event }) => event === "request.failed");
      assert(failed.length >= 1, path);
      assert(JSON.stringify(failed).includes("hunter2"), path);
      for (const { event, facts } of lines) assertEquals(facts.requestId, requestId, event);
    }
  });
}

test("a key set that cannot be had is told without its address", async () => {
  const auth = createAuth({
    jwksUrl: "https://id.example/hunter2",
    fetch: () => Promise.reject(new Error(SECRET)),
  });
  const { handler, lines } = await failing(() => Promise.reject(new Error(SECRET)), { auth });
  const token = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJhIn0.AAAA";
  const headers = { authorization: `Bearer ${token}`, "x-request-id": "r" };
  const response = await handler.fetch(
    new Request("http://g/v1/sync/default/pull?clientId=a", { headers }),
  );
  const text = await response.text();
  assert(response.status >= 400, text);
  assert(!text.includes("hunter2"), text);
  assert(!JSON.stringify(lines).includes(token), "no token in the log");
});

test("shutting down and too slow are told in words that are the same for everybody", async () => {
  const clock = new ManualClock();
  const hang = () => new Promise<never>(() => {});
  const slow = await failing(hang, { scheduler: clock, limits: { requestMs: 1_000 } });
  const pending = slow.handler.fetch(new Request("http://g/v1/admin/default/stats"));
  // The handler waits by the time that the clock is asked to go on.
  for (let i = 0; i < 20; i++) await Promise.resolve();
  await clock.advance(1_000);
  const timeout = await errorOf(await pending, { status: 504, code: "TIMEOUT" });
  void slow.handler.drain();
  const closed = await slow.handler.fetch(new Request("http://g/health"));
  const closing = await errorOf(closed, { status: 503, code: "SHUTTING_DOWN" });
  for (const { message } of [timeout, closing]) assert(!message.includes("/srv"));
});
