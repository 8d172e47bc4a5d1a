import { assert, assertEquals } from "@std/assert";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { openAnalyst } from "@lakesync/analyst";
import { type Delta, packHlc, type PushAnswer, unwrapOrThrow } from "@lakesync/core";
import {
  makeDelta,
  Prng,
  type ScriptProcess,
  spawnScript,
  test,
  withTempDir,
} from "@lakesync/testing";
import { gatewayPaths } from "./gateway_paths.ts";

const SERVE = new URL("./serve.ts", import.meta.url);
const ROUNDS = 15;
const PUSH = 20;
const schema = {
  tables: [{ table: "todos", version: 1, columns: [{ name: "n", type: "integer" }] }],
};

async function start(data: string): Promise<{ server: ScriptProcess; url: string }> {
  const server = spawnScript(SERVE, { args: ["--port", "0", "--data", data] });
  const line = await server.nextJson() as { url: string } | undefined;
  assert(line !== undefined, server.stderr);
  return { server, url: line.url };
}

/** Sends JSON; undefined where the server was killed before it had answered. */
async function send(method: string, url: string, body?: unknown): Promise<unknown> {
  try {
    const response = await fetch(url, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    assertEquals(response.status, 200, JSON.stringify(answer));
    return answer;
  } catch (thrown) {
    if (thrown instanceof TypeError || (thrown as { code?: string }).code === "ECONNRESET") {
      return undefined;
    }
    throw thrown;
  }
}

test({
  name:
    "a gateway killed at any moment of pushes and flushes loses no acknowledged delta and doubles none in the lake",
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (data) => {
    const prng = new Prng(42);
    const acknowledged = new Set<string>();
    let made = 0;
    let unanswered: readonly Delta[] | undefined;
    let flushes = 0;
    const nextPush = (): Delta[] =>
      Array.from({ length: PUSH }, () => {
        const n = made++;
        return makeDelta({
          op: "INSERT",
          table: "todos",
          rowId: `row-${n}`,
          clientId: "alice:phone",
          columns: [{ column: "n", value: n }],
          hlc: packHlc({ wallMs: 1_700_000_000_000 + n, counter: 0 }),
        });
      });
    const push = async (url: string): Promise<boolean> => {
      unanswered ??= nextPush();
      const body = { clientId: "alice:phone", deltas: unanswered };
      const answer = await send("POST", `${url}/v1/sync/default/push`, body) as
        | PushAnswer
        | undefined;
      if (answer === undefined) return false;
      // A repeated push was appended whole or not at all.
      assert([0, PUSH].includes(answer.accepted), JSON.stringify(answer));
      assertEquals(answer.accepted + answer.duplicates, PUSH);
      for (const { rowId } of unanswered) acknowledged.add(rowId);
      unanswered = undefined;
      return true;
    };

    for (let round = 0; round < ROUNDS; round++) {
      const { server, url } = await start(data);
      if (round === 0) await send("PUT", `${url}/v1/admin/default/schema`, schema);
      const { head } = await send("GET", `${url}/v1/admin/default/stats`) as { head: number };
      assert(
        head >= acknowledged.size,
        `round ${round}: ${head} of ${acknowledged.size} are there`,
      );
      let alive = true;
      const flushing = (async () => {
        while (alive && await send("POST", `${url}/v1/admin/default/flush`) !== undefined) {
          flushes++;
        }
      })();
      const killAfter = prng.int(1, 60);
      for (let pushes = 0; pushes < killAfter && await push(url); pushes++);
      // The last push is under way, or answered but its flush is not, when the process dies.
      const last = prng.int(0, 1) === 0 ? push(url) : Promise.resolve(true);
      await server.kill();
      alive = false;
      await Promise.all([last, flushing]);
    }
    assert(flushes > 0, "at least one flush was answered between kills");

    const { server, url } = await start(data);
    if (unanswered !== undefined) assert(await push(url));
    await send("POST", `${url}/v1/admin/default/flush`);
    const { head } = await send("GET", `${url}/v1/admin/default/stats`) as { head: number };
    assertEquals(await server.kill("SIGTERM"), { code: 0, signal: null });

    const store = fileObjectStore({ directory: gatewayPaths(data, "default").lake });
    const analyst = unwrapOrThrow(await openAnalyst({ lake: icebergLake({ store }) }));
    const changes =
      unwrapOrThrow(await analyst.query("SELECT id, _seq FROM todos_changes ORDER BY _seq")).rows;
    assertEquals(changes.map((row) => row["_seq"]), Array.from({ length: head }, (_, i) => i + 1));
    assertEquals(new Set(changes.map((row) => row["id"])), acknowledged);
    assertEquals(changes.length, acknowledged.size);
    const rows = unwrapOrThrow(await analyst.query("SELECT count(*) AS n FROM todos")).rows;
    assertEquals(rows[0]?.["n"], acknowledged.size);
    await analyst.close();
  }));
