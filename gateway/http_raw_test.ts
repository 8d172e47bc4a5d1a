// Requests as no client writes them, byte by byte, to the servers of both runtimes.
import process from "node:process";
import type { ErrorBody } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { RawConnection, type Served, serveGateway } from "./testdata/http_fixture.ts";

const HEAD = "Host: gateway\r\nConnection: close\r\n";
const get = (target: string, more = "") => `GET ${target} HTTP/1.1\r\n${HEAD}${more}\r\n`;
const push = (more: string, body = "") =>
  `POST /v1/sync/default/push HTTP/1.1\r\n${HEAD}${more}\r\n${body}`;
const chunked = (body: string) => push("Transfer-Encoding: chunked\r\n", body);

/** What may be answered; `undefined` for a connection that is just closed. */
type Statuses = readonly (number | undefined)[];

/** A server may refuse by itself what is no HTTP; the handler's own answers are exact. */
const REFUSED: Statuses = [400, 431, 501, 505, undefined];

const REQUESTS: readonly [title: string, bytes: string, statuses: Statuses][] = [
  ["two slashes", get("//"), [404]],
  ["a path that looks like a host", get("//evil.example/health"), [404]],
  ["a port that is none", get("//:99999"), [404]],
  ["an absolute target", get("http://evil.example/health"), [200]],
  ["an absolute target with user and port", get("http://u:p@evil.example:1/none"), [404]],
  ["an absolute target that is no URL", get("http://[::1"), [400, 404]],
  ["another scheme", get("file:///etc/passwd"), [400, 404]],
  ["OPTIONS *", `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`, [404, ...REFUSED]],
  ["CONNECT", `CONNECT evil.example:80 HTTP/1.1\r\n${HEAD}\r\n`, [404, 405, ...REFUSED]],
  ["a method of one's own", `BREW /health HTTP/1.1\r\n${HEAD}\r\n`, [405, ...REFUSED]],
  ["a method that is no token", `G@T /health HTTP/1.1\r\n${HEAD}\r\n`, REFUSED],
  ["percents that encode nothing", get("/%zz/%"), [404]],
  ["percents that are no UTF-8", get("/v1/sync/%ff%fe/pull?clientId=%ff"), [404]],
  ["a NUL in the gateway's id", get("/v1/sync/%00/pull"), [404]],
  ["a broken percent in the id", get("/v1/admin/%E0%A4%A/stats"), [404]],
  ["a query of percents", get("/v1/sync/default/pull?clientId=%&cursor=%zz&limit=%"), [400]],
  ["dots", get("/v1/sync/default/../../../etc/passwd"), [404]],
  ["a CR in a header", get("/health", "X-Request-Id: a\rX-Evil: b\r\n"), REFUSED],
  ["a NUL in a header", get("/health", "X-Request-Id: a\0b\r\n"), REFUSED],
  ["a line feed alone in a header", get("/health", "X-Request-Id: a\nX-Evil: b\r\n"), [
    200,
    ...REFUSED,
  ]],
  ["a header without a name", get("/health", ": a\r\n"), REFUSED],
  ["a host that is none", "GET /health HTTP/1.1\r\nHost: a b:zz/[]\r\nConnection: close\r\n\r\n", [
    400,
  ]],
  [
    "a host with half a bracket",
    "GET /health HTTP/1.1\r\nHost: [::1\r\nConnection: close\r\n\r\n",
    [400],
  ],
  ["a port beyond all", "GET /health HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n", [
    400,
  ]],
  ["two hosts", get("/health", "Host: b\r\n"), [200, ...REFUSED]],
  ["no host", "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", [200, 400]],
  ["an empty host", "GET /health HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", [200, 400]],
  ["HTTP/1.0", "GET /health HTTP/1.0\r\n\r\n", [200, 400]],
  ["HTTP/1.0 with a host", "GET /health HTTP/1.0\r\nHost: gateway\r\n\r\n", [200]],
  ["HTTP/0.9", "GET /health\r\n\r\n", REFUSED],
  ["HTTP/9.9", "GET /health HTTP/9.9\r\nHost: gateway\r\n\r\n", REFUSED],
  ["TLS to a port without", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", REFUSED],
  ["a chunk of 2^72 bytes", chunked("FFFFFFFFFFFFFFFFFF\r\nabc"), REFUSED],
  ["a chunk of less than none", chunked("-1\r\nabc\r\n0\r\n\r\n"), REFUSED],
  ["a chunk whose size is no number", chunked("zz\r\nabc\r\n0\r\n\r\n"), REFUSED],
  [
    "a chunk that says more than a body may have",
    chunked("7FFFFFFF\r\n" + "x".repeat(99)),
    REFUSED,
  ],
  ["a length that is less than none", push("Content-Length: -5\r\n"), REFUSED],
  ["two lengths", push("Content-Length: 5\r\nContent-Length: 6\r\n", "abcdef"), REFUSED],
  [
    "a length and chunks",
    push("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    REFUSED,
  ],
  ["a length beyond all", push("Content-Length: 99999999999999999999\r\n"), [413, ...REFUSED]],
  ["an expectation that nobody has", push("Expect: nonsense\r\nContent-Length: 2\r\n", "{}"), [
    400,
    417,
  ]],
  ["headers of a megabyte", get("/health", `X-A: ${"a".repeat(2 ** 20)}\r\n`), REFUSED],
  ["a thousand headers", get("/health", "X-A: a\r\n".repeat(1_000)), [200, ...REFUSED]],
  ["a URL of a megabyte", get(`/${"a".repeat(2 ** 20)}`), REFUSED],
  ["a URL of 17 KiB", get(`/health?${"a".repeat(17 * 1024)}`), [400, 431]],
  [
    "garbage behind a request",
    `GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n\0\x01garbage\r\n\r\n`,
    [200],
  ],
];

/** What a server answers to bytes: a chunk that never ends is ended by us. */
async function answerTo(served: Served, bytes: string): Promise<number | undefined> {
  using connection = new RawConnection(served.port);
  connection.send(new Uint8Array([...bytes].map((char) => char.charCodeAt(0))));
  connection.end();
  const answer = await connection.answer();
  if (answer === undefined) return undefined;
  const text = new TextDecoder().decode(answer.body);
  if (answer.headers.has("x-request-id") && answer.status >= 400) {
    const { error } = JSON.parse(text.split("HTTP/1.1 ")[0]!) as ErrorBody;
    assertEquals(error.requestId, answer.headers.get("x-request-id"));
    assert(error.code !== "INTERNAL", text);
  }
  assert(!answer.headers.has("x-evil"), "no header of a request ends up in an answer");
  return answer.status;
}

test("whatever bytes come, the answer is a refusal, and the next request is answered", async () => {
  const rejections: unknown[] = [];
  const note = (reason: unknown) => rejections.push(reason);
  process.on("unhandledRejection", note);
  await using served = await serveGateway();
  for (const [title, bytes, statuses] of REQUESTS) {
    const status = await answerTo(served, bytes);
    assert(statuses.includes(status), `${title}: ${status}`);
    const health = await served.ask("/health");
    assertEquals([health.status, await health.text()], [200, '{"status":"ok"}'], title);
  }
  assertEquals((await served.ask("/ready")).status, 200);
  process.off("unhandledRejection", note);
  assertEquals(rejections, []);
});

test("a thousand requests in one segment are answered one after the other", async () => {
  await using served = await serveGateway();
  using connection = new RawConnection(served.port);
  const requests = Array.from({ length: 1_000 }, (_, i) => {
    const last = i === 999 ? "Connection: close\r\n" : "";
    return `GET /health HTTP/1.1\r\nHost: gateway\r\nX-Request-Id: r${i}\r\n${last}\r\n`;
  });
  connection.send(requests.join(""));
  await connection.answer();
  const ids = [...connection.text.matchAll(/x-request-id: (r\d+)/gi)].map(([, id]) => id);
  assertEquals(ids, requests.map((_, i) => `r${i}`));
});
