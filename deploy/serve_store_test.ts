import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  findPostgres,
  insertTodo,
  runtimeName,
  spawnScript,
  startPostgres,
  test,
  withTempDir,
} from "@lakesync/testing";

const SERVE = new URL("./serve.ts", import.meta.url);
const columns = [{ name: "title", type: "string" }, { name: "done", type: "boolean" }];
const schema = { tables: [{ table: "todos", version: 1, columns }] };

interface Store {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a server, runs something against its gateway and stops it. */
async function serving<T>(
  data: string,
  { args, env = {} }: Store,
  body: (send: (path: string, init?: RequestInit) => Promise<unknown>) => Promise<T>,
): Promise<T> {
  const all = ["--port", "0", "--data", data, ...args];
  await using server = spawnScript(SERVE, { args: all, env });
  const line = await server.nextJson() as { url: string } | undefined;
  assert(line !== undefined, server.stderr);
  const result = await body(async (path, init) => {
    const response = await fetch(`${line.url}/v1${path}`, init);
    const answer: unknown = await response.json();
    assertEquals(response.status, 200, JSON.stringify(answer));
    return answer;
  });
  assertEquals(await server.kill("SIGTERM"), { code: 0, signal: null }, server.stderr);
  return result;
}

/** Pushes a row, starts anew, and gives the heads before and after that. */
async function headsOverRestart(data: string, store: Store): Promise<[number, number]> {
  const head = async (send: (path: string) => Promise<unknown>) =>
    (await send("/admin/default/stats") as { head: number }).head;
  const before = await serving(data, store, async (send) => {
    await send("/admin/default/schema", { method: "PUT", body: JSON.stringify(schema) });
    const body = JSON.stringify({ clientId: "alice:phone", deltas: [insertTodo("x", 1)] });
    await send("/sync/default/push", { method: "POST", body });
    return await head(send);
  });
  return [before, await serving(data, store, head)];
}

test("serve --store memory forgets everything, and --store sqlite nothing", () =>
  withTempDir(async (data) => {
    const heads = (kind: string) =>
      headsOverRestart(`${data}/${kind}`, { args: ["--store", kind] });
    assertEquals(await heads("memory"), [1, 0]);
    assertEquals(await heads("sqlite"), [1, 1]);
  }));

test({
  name: "serve --store kv keeps its log in a file of the data directory, or where the URL says",
  skip: runtimeName === "deno" ? undefined : "only Deno has KV",
}, () =>
  withTempDir(async (data) => {
    assertEquals(await headsOverRestart(data, { args: ["--store", "kv"] }), [1, 1]);
    const env = { LAKESYNC_STORE_URL: `${data}/elsewhere/log.kv` };
    assertEquals(await headsOverRestart(`${data}/lake`, { args: ["--store", "kv"], env }), [1, 1]);
  }));

const { bin, skip } = await findPostgres();
test(
  { name: "serve --store postgres keeps its log in the database", skip },
  () =>
    withTempDir(async (data) => {
      await using server = await startPostgres({ bin: bin! });
      const env = { LAKESYNC_STORE_URL: server.url };
      assertEquals(await headsOverRestart(data, { args: ["--store", "postgres"], env }), [1, 1]);
      // With another data directory: the log is not there.
      const flag = { args: ["--store", "postgres", "--store-url", server.url] };
      assertEquals(await headsOverRestart(`${data}/other`, flag), [1, 1]);
    }),
);

test("serve says where its database cannot be reached, without the password, and exits with 1", () =>
  withTempDir(async (data) => {
    const server = spawnScript(SERVE, {
      args: ["--port", "0", "--data", data, "--store", "postgres"],
      env: { LAKESYNC_STORE_URL: "postgres://me:s3cret@127.0.0.1:1/none" },
    });
    assertEquals(await server.exited, { code: 1, signal: null });
    assertStringIncludes(server.stderr, "Cannot open postgres://127.0.0.1:1/none");
    assert(!server.stderr.includes("s3cret"));
  }));
