import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { signToken } from "@lakesync/gateway";
import { insertTodo, type ScriptProcess } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { SocketClient, TODOS } from "./socket_client.ts";

const SECRET = "the-secret-of-these-tests-of-more-than-32-bytes";
const APP = "https://app.example.org";

/** Starts a program that serves. */
export type StartProgram = (
  args: readonly string[],
  env: { readonly [name: string]: string },
) => ScriptProcess;

/** Holds a program that serves to what `serve` does, from its first line to its end. */
export async function checkProgram(start: StartProgram, data: string): Promise<void> {
  const config = join(data, "lakesync.config.ts");
  const tables = `[{ schema: ${JSON.stringify(TODOS)} }]`;
  await writeFile(config, `export default { tables: ${tables}, metrics: "open" };`);
  const args = ["--data", join(data, "logs"), "--config", config, "--gateway", "g"];
  const env = { LAKESYNC_JWT_SECRET: SECRET, LAKESYNC_ORIGINS: APP };
  const token = await signToken({ sub: "alice", gw: "g" }, { secret: SECRET });
  const headers = { authorization: `Bearer ${token}`, origin: APP };
  const run = async (work: (url: string) => Promise<void>): Promise<void> => {
    await using program = start(args, env);
    const line = await program.nextJson() as { readonly [key: string]: unknown } | undefined;
    assert(line !== undefined, program.stderr);
    const { url, ...said } = line;
    assertEquals(said, { event: "listening", gateways: ["g"] });
    await work(url as string);
    assertEquals(await program.kill("SIGTERM"), { code: 0, signal: null }, program.stderr);
  };
  const pull = "/v1/sync/g/pull?clientId=alice";
  await run(async (url) => {
    const body = JSON.stringify({ clientId: "alice", deltas: [insertTodo("a", 1, "alice")] });
    const pushed = await fetch(`${url}/v1/sync/g/push`, { method: "POST", headers, body });
    const answer = await pushed.json();
    assertEquals(answer.accepted, 1, JSON.stringify(answer));
    assertEquals(pushed.headers.get("access-control-allow-origin"), APP);
    const page = await (await fetch(`${url}${pull}`, { headers })).json();
    assertEquals(page.deltas.length, 1);
    const stranger = await fetch(`${url}${pull}`);
    assertEquals([stranger.status, (await stranger.json()).error.code], [401, "UNAUTHENTICATED"]);
    const protocols = ["lakesync.v1", `bearer.${token}`];
    await using socket = await SocketClient.open(url, { protocols, gateway: "g" });
    socket.say({ type: "pull", id: "p", clientId: "alice", cursor: page.cursor });
    assertEquals((await socket.page()).deltas, []);
    const deltas = [insertTodo("b", 2, "alice")];
    socket.say({ type: "push", id: "q", clientId: "alice", deltas });
    const heard = [await socket.next(), await socket.next()].map((message) => message?.type);
    assertEquals(heard.toSorted(), ["answer", "page"]);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    assert(metrics.includes('lakesync_log_head{gateway="g"} 2'), metrics);
    assert(metrics.includes('lakesync_connections{gateway="g"} 1'), metrics);
  });
  await run(async (url) => {
    const page = await (await fetch(`${url}${pull}`, { headers })).json();
    assertEquals(page.deltas.length, 2, "what was acknowledged is there after a restart");
  });
}
