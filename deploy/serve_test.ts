import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { unwrapOrThrow } from "@lakesync/core";
import { insertTodo, type ScriptProcess, spawnScript, test, withTempDir } from "@lakesync/testing";
import { signToken } from "@lakesync/gateway";
import { gatewayPaths } from "./gateway_paths.ts";

const SERVE = new URL("./serve.ts", import.meta.url);
const schema = {
  tables: [{
    table: "todos",
    version: 1,
    columns: [{ name: "title", type: "string" }, { name: "done", type: "boolean" }],
  }],
};

async function start(
  data: string,
  args: readonly string[] = [],
): Promise<{ server: ScriptProcess; url: string; line: unknown }> {
  const server = spawnScript(SERVE, { args: ["--port", "0", "--data", data, ...args] });
  const line = await server.nextJson() as { url: string } | undefined;
  assert(line !== undefined, server.stderr);
  return { server, url: line.url, line };
}

async function json(url: string, init?: RequestInit): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, init);
  return { status: response.status, body: await response.json() };
}

test("serve prints one line of JSON on stdout and logs of JSON on stderr", () =>
  withTempDir(async (data) => {
    const { server, url, line } = await start(data, ["--gateway", "a", "--gateway", "b"]);
    assertEquals(line, { event: "listening", url, gateways: ["a", "b"] });
    assertEquals((await json(`${url}/ready`)).body, { status: "ready", gateways: ["a", "b"] });
    assertEquals((await json(`${url}/v1/admin/c/stats`)).status, 404);
    assertEquals(await server.kill("SIGTERM"), { code: 0, signal: null });
    assertEquals(server.stdout.trim().split("\n").length, 1);
    for (const text of server.stderr.trim().split("\n")) {
      assertEquals(typeof (JSON.parse(text) as { event: string }).event, "string", text);
    }
  }));

test("serve keeps gateways apart and their state over a restart", () =>
  withTempDir(async (data) => {
    const args = ["--gateway", "a", "--gateway", "b"];
    const first = await start(data, args);
    for (const gw of ["a", "b"]) {
      const put = { method: "PUT", body: JSON.stringify(schema) };
      assertEquals((await json(`${first.url}/v1/admin/${gw}/schema`, put)).status, 200);
    }
    const body = JSON.stringify({ clientId: "alice:phone", deltas: [insertTodo("x", 1)] });
    await json(`${first.url}/v1/sync/a/push`, { method: "POST", body });
    assertEquals((await first.server.kill("SIGINT")).code, 0);
    const second = await start(data, args);
    const stats = async (gw: string) =>
      (await json(`${second.url}/v1/admin/${gw}/stats`)).body as {
        head: number;
        flushedSeq: number;
      };
    const [a, b] = [await stats("a"), await stats("b")];
    assertEquals([a.head, a.flushedSeq, b.head], [1, 1, 0], "the last flush came with the drain");
    await second.server.kill("SIGTERM");
    const store = fileObjectStore({ directory: gatewayPaths(data, "a").lake });
    const scan = unwrapOrThrow(await icebergLake({ store }).scan("todos_changes"));
    assertEquals(scan.watermark?.seq, 1);
  }));

test("serve ends held pulls at once on SIGTERM and still answers a request that is half received", () =>
  withTempDir(async (data) => {
    const { server, url } = await start(data);
    const { hostname, port } = new URL(url);
    const held = json(`${url}/v1/sync/default/pull?clientId=alice&wait=60`);
    const socket = connect(Number(port), hostname);
    const answer = new Promise<string>((resolve) => {
      let text = "";
      socket.setEncoding("utf8").on("data", (part: string) => text += part);
      socket.on("close", () => resolve(text));
    });
    const body = JSON.stringify({ clientId: "alice", deltas: [] });
    socket.write(
      `POST /v1/sync/default/push HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${
        body.slice(0, 10)
      }`,
    );
    // The gateway has both requests once it has answered one that came later.
    await json(`${url}/health`);
    await json(`${url}/health`);
    const exited = server.kill("SIGTERM");
    assertEquals((await held).status, 200);
    socket.write(body.slice(10));
    assertStringIncludes(await answer, '"accepted":0');
    assertEquals(await exited, { code: 0, signal: null });
  }));

test("serve goes by the secrets and the rules that it is given, and then takes any host", () =>
  withTempDir(async (data) => {
    const config = join(data, "lakesync.config.ts");
    await writeFile(
      config,
      `export default {
        tables: [{ schema: ${JSON.stringify(schema.tables[0])} }],
        rules: { version: 1, buckets: [{ name: "own", tables: ["todos"],
          filters: [{ column: "title", op: "eq", value: "jwt:sub" }] }] },
      };`,
    );
    const secrets = [
      "the-new-secret-of-more-than-32-bytes",
      "the-old-secret-of-more-than-32-bytes",
    ];
    const server = spawnScript(SERVE, {
      args: ["--port", "0", "--data", data, "--config", config, "--host", "0.0.0.0"],
      env: { LAKESYNC_JWT_SECRET: secrets.join(",") },
    });
    const line = await server.nextJson() as { url: string } | undefined;
    assert(line !== undefined, server.stderr);
    const url = line.url.replace("0.0.0.0", "127.0.0.1");
    const path = `${url}/v1/sync/default/pull?clientId=x`;
    assertEquals((await json(path)).status, 401);
    for (const secret of secrets) {
      const token = await signToken({ sub: "x", gw: "default" }, { secret });
      const headers = { authorization: `Bearer ${token}` };
      assertEquals((await json(path, { headers })).status, 200);
      assertEquals((await json(`${url}/v1/admin/default/rules`, { headers })).status, 403);
      const body = JSON.stringify({ clientId: "x", deltas: [insertTodo("a", 1, "x")] });
      const pushed = await json(`${url}/v1/sync/default/push`, { method: "POST", body, headers });
      assertStringIncludes(JSON.stringify(pushed.body), "FORBIDDEN_WRITE");
    }
    assert(!server.stderr.includes("unauthenticated"), server.stderr);
    await server.kill("SIGTERM");
  }));

test("serve answers pages of this machine and refuses those of any other origin", () =>
  withTempDir(async (data) => {
    const { server, url } = await start(data);
    const from = (origin: string) => json(`${url}/v1/admin/default/stats`, { headers: { origin } });
    assertEquals((await from("http://localhost:5173")).status, 200);
    const refused = await from("https://example.org");
    assertEquals(refused.status, 403);
    assertStringIncludes(JSON.stringify(refused.body), '"code":"FORBIDDEN"');
    await server.kill("SIGTERM");
  }));

const REFUSALS: readonly [title: string, args: (data: string) => string[], code: number][] = [
  ["an unknown flag", () => ["--colour", "red"], 2],
  ["a host beyond loopback", () => ["--host", "0.0.0.0"], 2],
  ["a configuration that is not there", (data) => ["--config", `${data}/none.ts`], 2],
];
for (const [title, args, code] of REFUSALS) {
  test(`serve refuses ${title}, says why and exits with ${code}`, () =>
    withTempDir(async (data) => {
      const server = spawnScript(SERVE, { args: ["--port", "0", "--data", data, ...args(data)] });
      assertEquals(await server.exited, { code, signal: null });
      assertEquals(server.stdout, "");
      assertEquals((JSON.parse(server.stderr.trim()) as { event: string }).event, "failed");
    }));
}

test("serve refuses a data directory whose log another process has open", () =>
  withTempDir(async (data) => {
    const { server } = await start(data);
    const second = spawnScript(SERVE, { args: ["--port", "0", "--data", data] });
    assertEquals(await second.exited, { code: 1, signal: null });
    assertStringIncludes(second.stderr, "another process has it open");
    await server.kill("SIGTERM");
  }));
