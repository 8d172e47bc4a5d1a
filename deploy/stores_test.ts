import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type LogLevel, silentLogger, unwrapOrThrow } from "@lakesync/core";
import { findPostgres, startPostgres, test, withTempDir } from "@lakesync/testing";
import { openStores, schemaOf, type Stores } from "./stores.ts";

const paths = { sqlitePath: () => "/nowhere", kvPath: "/nowhere" };

test("schemaOf() gives each gateway a schema's name of its own that Postgres does not cut off", () => {
  const long = "x".repeat(64);
  const names = ["default", "Default", "a.b~c-1", long, `${long.slice(1)}y`, "x".repeat(55)]
    .map(schemaOf);
  assertEquals(names.slice(0, 3), ["lakesync_default", "lakesync_Default", "lakesync_a.b~c-1"]);
  assertEquals(new Set(names).size, names.length);
  assert(names.every((name) => name.length <= 63));
});

test("openStores() says that a memory store keeps nothing", async () => {
  const lines: [LogLevel, string][] = [];
  const logger = { log: (level: LogLevel, event: string) => void lines.push([level, event]) };
  const stores = unwrapOrThrow(
    await openStores({ choice: { kind: "memory" }, ...paths, logger }),
  );
  assertEquals(lines, [["warn", "store.memory"]]);
  const [a, b] = [unwrapOrThrow(await stores.open("a")), unwrapOrThrow(await stores.open("b"))];
  assert(a.epoch !== b.epoch);
  await stores.close();
});

test("openStores() tells how a Postgres URL is given, and what is wrong with it", async () => {
  const refusal = async (url?: string) => {
    const choice = { kind: "postgres" as const, ...(url !== undefined && { url }) };
    const stores = await openStores({ choice, ...paths, logger: silentLogger });
    assert(!stores.ok);
    return stores.error.message;
  };
  assertStringIncludes(await refusal(), "set LAKESYNC_STORE_URL or --store-url");
  assertStringIncludes(await refusal("db.example/x"), "write postgres://user@host/database");
  assertStringIncludes(await refusal("postgres://me@127.0.0.1:1/x"), "see that the server runs");
});

test("openStores() keeps KV logs by gateway, over a restart, and says where it cannot", () =>
  withTempDir(async (directory) => {
    const kvPath = `${directory}/kv.db`;
    const choice = { kind: "kv" as const };
    const open = () => openStores({ choice, ...paths, kvPath, logger: silentLogger });
    const { Deno: runtime = {} } = globalThis as { Deno?: object };
    if (!("openKv" in runtime)) {
      const refused = await open();
      assert(!refused.ok);
      assertStringIncludes(refused.error.message, "needs Deno, started with --unstable-kv");
      return;
    }
    const first = await epochsOf(unwrapOrThrow(await open()));
    assertEquals(new Set(first).size, 2);
    assertEquals(await epochsOf(unwrapOrThrow(await open())), first);
  }));

async function epochsOf(stores: Stores): Promise<readonly string[]> {
  const logs = [unwrapOrThrow(await stores.open("a")), unwrapOrThrow(await stores.open("b"))];
  for (const log of logs) await log.close();
  await stores.close();
  return logs.map(({ epoch }) => epoch);
}

const { bin, skip } = await findPostgres();
test({ name: "openStores() keeps Postgres logs by gateway, over a restart", skip }, async () => {
  await using server = await startPostgres({ bin: bin! });
  const choice = { kind: "postgres" as const, url: server.url };
  const epochs = async () =>
    await epochsOf(
      unwrapOrThrow(await openStores({ choice, ...paths, logger: silentLogger })),
    );
  const first = await epochs();
  assertEquals(new Set(first).size, 2);
  assertEquals(await epochs(), first);
});
