import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { openAnalyst } from "@lakesync/analyst";
import { type LogStore, systemClock, unwrapOrThrow } from "@lakesync/core";
import { openPostgresLogStore } from "@lakesync/gateway";
import {
  findPostgres,
  Prng,
  startPostgres,
  test,
  type WatchedServer,
  withTempDir,
} from "@lakesync/testing";
import { gatewayPaths } from "./gateway_paths.ts";
import { schemaOf } from "./stores.ts";
import { Cluster, Maker } from "./testdata/cluster.ts";

const INSTANCES = 3;
const CLIENTS = 6;
const PUSHES = 30;
const PUSH = 10;

const { bin, skip } = await findPostgres();

const schema = (version: number, ...more: object[]) => ({
  tables: [{ table: "todos", version, columns: [{ name: "n", type: "integer" }, ...more] }],
});

function check(
  name: string,
  body: (context: { cluster: Cluster; postgres: WatchedServer; data: string }) => Promise<void>,
): void {
  test({ name, skip, timeoutMs: 120_000 }, () =>
    withTempDir(async (data) => {
      await using postgres = await startPostgres({ bin: bin! });
      const cluster = await Cluster.start({ url: postgres.url, data, instances: INSTANCES });
      const put = { method: "PUT", body: schema(1) };
      assertEquals((await cluster.send(0, "/admin/{gw}/schema", put))?.status, 200);
      await body({ cluster, postgres, data });
    }));
}

const openLog = async (postgres: WatchedServer, ahead = 0): Promise<LogStore> =>
  unwrapOrThrow(
    await openPostgresLogStore({
      database: postgres.url,
      schema: schemaOf("default"),
      ...(ahead > 0 && { clock: { now: () => systemClock.now() + ahead } }),
    }),
  );

/** Clients push through all instances, and followers read through all, while something breaks. */
async function underFaults(
  context: { cluster: Cluster; postgres: WatchedServer; data: string },
  faults: { count: number; strike: (prng: Prng) => Promise<void> },
): Promise<void> {
  const { cluster, postgres, data } = context;
  const prng = new Prng(42);
  const maker = new Maker();
  const acknowledged = new Set<string>();
  let repeated = 0;
  let more = Promise.withResolvers<void>();
  const client = async (clientId: string) => {
    for (let i = 0; i < PUSHES; i++) {
      const deltas = maker.make(clientId, PUSH);
      for (;;) {
        const answer = await cluster.push(prng.int(0, INSTANCES - 1), clientId, deltas);
        if (answer === undefined) {
          repeated++;
          continue;
        }
        // A repeated push was appended whole or not at all.
        assert([0, PUSH].includes(answer.accepted), JSON.stringify(answer));
        assertEquals(answer.accepted + answer.duplicates, PUSH);
        break;
      }
      for (const { deltaId } of deltas) acknowledged.add(deltaId);
      more.resolve();
      more = Promise.withResolvers();
    }
  };
  let pushing = true;
  const follower = async (first: number) => {
    const seen: string[] = [];
    const clientId = `follower${first}`;
    let instance = first;
    let done = false;
    for (let cursor = ""; !done;) {
      const last = !pushing;
      const page = await cluster.pull(instance, { clientId, cursor, wait: last ? 0 : 1 });
      if (page === undefined) {
        instance = (instance + 1) % INSTANCES;
        continue;
      }
      for (const item of page.deltas) seen.push((item as { deltaId: string }).deltaId);
      cursor = page.cursor;
      done = last && page.deltas.length === 0;
    }
    return seen;
  };
  let flushed = 0;
  const flusher = async (instance: number) => {
    while (pushing) {
      const answer = await cluster.send(instance, "/admin/{gw}/flush", { method: "POST" });
      if (answer?.status === 200) flushed++;
      // Another instance has the lease, one that was killed perhaps.
      else if (answer !== undefined) assertEquals(answer.status, 409, JSON.stringify(answer.body));
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(`c${i}`)));
  const followers = Promise.all(Array.from({ length: INSTANCES }, (_, i) => follower(i)));
  const flushers = Promise.all([flusher(0), flusher(1)]);
  const total = CLIENTS * PUSHES * PUSH;
  for (let fault = 1; fault <= faults.count; fault++) {
    while (acknowledged.size < fault * total / (faults.count + 1)) await more.promise;
    await faults.strike(prng);
  }
  await clients;
  pushing = false;
  const seen = await followers;
  await flushers;
  assert(repeated > 0, "no push met a fault");
  assert(flushed > 0, "no flush was answered");

  const log = await openLog(postgres, 120_000);
  const entries = unwrapOrThrow(await log.read(0, { limit: total + 1 }));
  assertEquals(entries.map(({ seq }) => seq), Array.from({ length: total }, (_, i) => i + 1));
  const ids = entries.map(({ json }) => (JSON.parse(json) as { deltaId: string }).deltaId);
  assertEquals(new Set(ids), acknowledged);
  for (const followed of seen) assertEquals(followed, ids);
  // Two minutes later, the lease of one that was killed has ended.
  assertEquals(unwrapOrThrow(await log.acquireLease("flush", { holder: "test", ttlMs: 0 })), true);
  unwrapOrThrow(await log.releaseLease("flush", { holder: "test" }));
  const flush = await cluster.send(0, "/admin/{gw}/flush", { method: "POST" });
  assertEquals(flush?.status, 200, JSON.stringify(flush));
  await cluster.stop();
  await log.close();
  const store = fileObjectStore({ directory: gatewayPaths(data, "default").lake });
  const analyst = unwrapOrThrow(await openAnalyst({ lake: icebergLake({ store }) }));
  const { rows } = unwrapOrThrow(
    await analyst.query("SELECT id, _seq FROM todos_changes ORDER BY _seq"),
  );
  assertEquals(rows.map((row) => row["_seq"]), Array.from({ length: total }, (_, i) => i + 1));
  assertEquals(rows.map((row) => row["id"]), entries.map(({ rowId }) => rowId));
  await analyst.close();
}

check(
  "three gateways on one database, one after the other killed amid pushes and flushes, lose and double nothing",
  (context) =>
    underFaults(context, {
      count: 5,
      strike: (prng) => context.cluster.replace(prng.int(0, INSTANCES - 1)),
    }),
);

check(
  "gateways whose database is killed amid pushes lose no acknowledged delta and recover by themselves",
  (context) =>
    underFaults(context, {
      count: 3,
      strike: async () => {
        await context.postgres.kill();
        await context.postgres.start();
      },
    }),
);

check("a schema put to one instance is the others' at once", async ({ cluster }) => {
  const maker = new Maker();
  for (let i = 0; i < INSTANCES; i++) {
    assertEquals((await cluster.push(i, "alice", maker.make("alice", 1)))?.accepted, 1);
  }
  const wider = schema(2, { name: "note", type: "string", nullable: true });
  const put = { method: "PUT", body: wider };
  assertEquals((await cluster.send(1, "/admin/{gw}/schema", put))?.status, 200);
  for (const instance of [2, 0, 1]) {
    const got = await cluster.send(instance, "/admin/{gw}/schema");
    assertEquals((got?.body as typeof wider).tables[0]?.version, 2);
  }
  const older = { method: "PUT", body: schema(1) };
  assertEquals((await cluster.send(2, "/admin/{gw}/schema", older))?.status, 409);
  await cluster.stop();
});

check("a pull that waits on one instance wakes for a push through another", async ({ cluster }) => {
  const maker = new Maker();
  for (let round = 0; round < 10; round++) {
    const [reader, writer] = [round % INSTANCES, (round + 1) % INSTANCES];
    const head = await cluster.pull(reader, { clientId: "bob", cursor: "" });
    const held = cluster.pull(reader, { clientId: "bob", cursor: head!.cursor, wait: 60 });
    // The instance has the request once it has answered ones that came later.
    for (let i = 0; i < 2; i++) await cluster.send(reader, "/admin/{gw}/stats");
    const pushed = systemClock.now();
    await cluster.push(writer, "alice", maker.make("alice", 1));
    assertEquals((await held)?.deltas.length, 1);
    assert(systemClock.now() - pushed < 30_000, "it was woken, not timed out");
  }
  await cluster.stop();
});

check("one instance flushes at a time: another one is told so", async ({ cluster, postgres }) => {
  await cluster.push(0, "alice", new Maker().make("alice", 1));
  const log = await openLog(postgres);
  const lease = { holder: "an instance that flushes", ttlMs: 60_000 };
  assertEquals(unwrapOrThrow(await log.acquireLease("flush", lease)), true);
  for (let i = 0; i < INSTANCES; i++) {
    const refused = await cluster.send(i, "/admin/{gw}/flush", { method: "POST" });
    assertEquals(refused?.status, 409);
    assertStringIncludes(JSON.stringify(refused?.body), "Another instance is flushing");
  }
  unwrapOrThrow(await log.releaseLease("flush", lease));
  await log.close();
  const flushed = await cluster.send(2, "/admin/{gw}/flush", { method: "POST" });
  assertEquals((flushed?.body as { deltas: number }).deltas, 1);
  await cluster.stop();
});
