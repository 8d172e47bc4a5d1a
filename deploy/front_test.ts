// Who is let in to a gateway as `serve` starts it.
import { connect } from "node:net";
import { unwrapOrThrow } from "@lakesync/core";
import { signToken } from "@lakesync/gateway";
import { test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type ServerOptions, startServer } from "./server.ts";

const SECRET = "the-secret-of-these-tests-of-more-than-32-bytes";
const APP = "https://app.example.org";

async function front(
  options: Partial<ServerOptions>,
  work: (server: { url: string; port: number }) => Promise<void>,
): Promise<void> {
  await withTempDir(async (data) => {
    const server = unwrapOrThrow(await startServer({ data, ...options }));
    try {
      await work({ url: server.url, port: Number(new URL(server.url).port) });
    } finally {
      await server.stop();
    }
  });
}

/** Sends the head of a request as it is; gives the head of the answer. */
async function headOf(port: number, lines: readonly string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  let text = "";
  for await (const part of socket.setEncoding("latin1")) {
    text += part as string;
    if (text.includes("\r\n\r\n")) break;
  }
  socket.destroy();
  return text;
}

const socketHead = (host: string, origin?: string): string[] => [
  "GET /v1/sync/default/ws HTTP/1.1",
  `Host: ${host}`,
  ...(origin === undefined ? [] : [`Origin: ${origin}`]),
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
];

test("without authentication names and pages of elsewhere are refused, on HTTP and WebSocket", () =>
  front({}, async ({ port }) => {
    const get = (host: string, origin?: string) =>
      headOf(port, [
        "GET /v1/sync/default/pull?clientId=bob HTTP/1.1",
        `Host: ${host}`,
        ...(origin === undefined ? [] : [`Origin: ${origin}`]),
      ]);
    for (const ask of [get, (...args: [string, string?]) => headOf(port, socketHead(...args))]) {
      const good = ask === get ? /^HTTP\/1.1 200 / : /^HTTP\/1.1 101 /;
      const own = `127.0.0.1:${port}`;
      for (const host of [own, `localhost:${port}`, "localhost", `[::1]:${port}`]) {
        assertMatch(await ask(host), good, host);
      }
      for (const host of ["rebound.example", `rebound.example:${port}`, "127.0.0.1.evil.example"]) {
        assertMatch(await ask(host), /^HTTP\/1.1 403 /, host);
        // Also where the page's own name is all that it sends.
        assertMatch(await ask(host, `http://${host}`), /^HTTP\/1.1 403 /, host);
      }
      assertMatch(await ask(own, `http://${own}`), good, "the gateway's own origin");
      assertMatch(await ask(own, "https://evil.example"), /^HTTP\/1.1 403 /);
      assertMatch(await ask(own, "null"), /^HTTP\/1.1 403 /);
    }
  }));

test("with authentication the token decides: names and origins are the proxy's business", () =>
  front({ auth: { secrets: [SECRET] }, origins: [APP] }, async ({ url, port }) => {
    const token = await signToken({ sub: "bob", gw: "default" }, { secret: SECRET });
    const ask = (origin: string, authorization?: string) =>
      fetch(`${url}/v1/sync/default/pull?clientId=bob`, {
        headers: { origin, ...(authorization !== undefined && { authorization }) },
      });
    for (const [origin, allowed] of [[APP, APP], ["https://evil.example", null]] as const) {
      const good = await ask(origin, `Bearer ${token}`);
      assertEquals(good.status, 200);
      assertEquals(good.headers.get("access-control-allow-origin"), allowed);
      await good.body?.cancel();
      const bad = await ask(origin);
      assertEquals(bad.status, 401);
      assertEquals(bad.headers.get("access-control-allow-origin"), allowed);
      await bad.body?.cancel();
    }
    const named = await headOf(port, ["GET /health HTTP/1.1", "Host: sync.example.org"]);
    assertMatch(named, /^HTTP\/1.1 200 /);
    assertMatch(await headOf(port, socketHead("sync.example.org")), /^HTTP\/1.1 401 /);
  }));

test("a page of a listed origin uses a gateway without authentication", () =>
  front({ origins: [APP] }, async ({ url, port }) => {
    const response = await fetch(`${url}/health`, { headers: { origin: APP } });
    assertEquals(response.headers.get("access-control-allow-origin"), APP);
    await response.body?.cancel();
    assertMatch(await headOf(port, socketHead(`127.0.0.1:${port}`, APP)), /^HTTP\/1.1 101 /);
  }));

test("/metrics is for admins where there is authentication, and for this machine where not", async () => {
  await front({ auth: { secrets: [SECRET] } }, async ({ url }) => {
    const statusAs = async (role?: "admin" | "client") => {
      const token = role && await signToken({ sub: "a", gw: "default", role }, { secret: SECRET });
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const response = await fetch(`${url}/metrics`, { headers });
      await response.body?.cancel();
      return response.status;
    };
    assertEquals([await statusAs(), await statusAs("client"), await statusAs("admin")], [
      401,
      403,
      200,
    ]);
  });
  await front({}, async ({ url }) => {
    const text = await (await fetch(`${url}/metrics`)).text();
    assert(text.includes('lakesync_gateway_up{gateway="default"} 1'), text);
  });
});

test("nothing is said of CORS to pages where none is listed, and HSTS only where HTTPS is", async () => {
  for (const https of [false, true]) {
    await front({ https }, async ({ url }) => {
      const response = await fetch(`${url}/health`, { headers: { origin: "http://localhost:1" } });
      assertEquals(response.headers.get("access-control-allow-origin"), null);
      assertEquals(response.headers.has("strict-transport-security"), https);
      await response.body?.cancel();
    });
  }
});
