// A migration between real servers: stopped, killed, run again, and flushed to afterwards.
import { databaseDestination, type SqlAdapter, sqlAdapter } from "@lakesync/adapter-database";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { migrate, type MigrateProgress } from "@lakesync/adapter-routing";
import {
  type DatabaseAdapter,
  type Delta,
  type FlushEntry,
  ok,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import { createGateway, memoryLogStore } from "@lakesync/gateway";
import { assert, assertEquals } from "@std/assert";
import { findMariadb, startMariadb } from "../mariadb_server.ts";
import { findPostgres, startPostgres } from "../postgres_server.ts";
import { insertTodo } from "../log_store.ts";
import { test } from "../test.ts";

const { bin, skip: noPostgres } = await findPostgres();
const { programs, skip: noMariadb } = await findMariadb();
const SCHEMA = {
  table: "todos",
  version: 1,
  columns: [{ name: "title", type: "string" }, { name: "done", type: "boolean" }],
} as const;
const COUNT = 95;

async function insert(
  adapter: DatabaseAdapter,
  seqs: readonly number[],
  marks: { from: Watermark | undefined; epoch: string },
): Promise<void> {
  async function* entries(): AsyncGenerator<readonly FlushEntry[]> {
    yield await Promise.resolve(
      seqs.map((seq) => ({ seq, at: 5, delta: insertTodo(`${marks.epoch}${seq}`, seq) })),
    );
  }
  const outcomes = unwrapOrThrow(
    await adapter.insertDeltas({
      id: "b",
      to: { epoch: marks.epoch, seq: seqs.at(-1)! },
      tables: new Map([["todos", { schema: SCHEMA, from: marks.from }]]),
      entries: entries(),
    }),
  );
  assertEquals(outcomes.get("todos")?.status, "committed");
}

async function deltasOf(adapter: DatabaseAdapter): Promise<readonly Delta[]> {
  const page = unwrapOrThrow(await adapter.queryDeltasSince(undefined, { limit: 1_000 }));
  return page.entries.map(({ delta }) => delta);
}

test({
  name:
    "a migration is stopped, killed and run again; each delta is there once, and a gateway goes on",
  skip: noPostgres ?? noMariadb,
  timeoutMs: 120_000,
}, async () => {
  await using pg = await startPostgres({ bin: bin! });
  await using maria = await startMariadb({ programs: programs! });
  const server = unwrapOrThrow(await postgresServer({ url: pg.url }));
  const from = sqlAdapter({ server, name: "old" });
  const adapters: SqlAdapter[] = [from];
  const { pathname } = new URL(maria.url);
  const url = pathname.length > 1 ? maria.url : new URL("migrated", maria.url).href;
  if (pathname.length <= 1) {
    const root = unwrapOrThrow(await mysqlServer({ url: maria.url }));
    const text = "CREATE DATABASE migrated";
    unwrapOrThrow(await root.transaction((work) => work.run({ text, parameters: [] })));
    await root.close();
  }
  const open = async () => {
    const adapter = sqlAdapter({ server: unwrapOrThrow(await mysqlServer({ url })), name: "new" });
    adapters.push(adapter);
    return adapter;
  };
  // A log that was begun anew: seqs fall.
  const store = memoryLogStore();
  await insert(from, Array.from({ length: COUNT }, (_, i) => i + 10), {
    from: undefined,
    epoch: "e",
  });
  await insert(from, [1, 2, 3], { from: { epoch: "e", seq: COUNT + 9 }, epoch: store.epoch });

  const progress: MigrateProgress[] = [];
  const stop = new AbortController();
  const onProgress = (told: MigrateProgress) => {
    progress.push(told);
    if (progress.length === 3) stop.abort();
  };
  const options = { tables: [SCHEMA], batchSize: 10, onProgress };
  const to = databaseDestination(await open());
  const stopped = await migrate(from, to, { ...options, signal: stop.signal });
  assertEquals(stopped.ok || stopped.error.code, "ABORTED");
  assertEquals(progress.map(({ copied }) => copied), [10, 20, 30]);

  await maria.kill();
  const lost = await migrate(from, to, options);
  assert(!lost.ok);
  await maria.start();

  const again = databaseDestination(await open());
  assertEquals(
    await migrate(from, again, { ...options, batchSize: 7 }),
    ok({ copied: COUNT + 3 - 30 }),
  );
  assertEquals(progress.at(-1), { table: "todos", copied: COUNT + 3, done: true });
  assertEquals(await deltasOf(again.adapter), await deltasOf(from));
  assertEquals(
    unwrapOrThrow(await again.watermarks(["todos"])),
    unwrapOrThrow(await from.watermarks(["todos"])),
  );
  assertEquals(await migrate(from, again, options), ok({ copied: 0 }));

  // The gateway that flushed to the old one goes on with the new one.
  const gateway = unwrapOrThrow(
    await createGateway({ id: "g", store, tables: [SCHEMA], destinations: [again] }),
  );
  const clientId = "alice:phone";
  const deltas = Array.from({ length: 4 }, (_, i) => insertTodo(`g${i}`, i + 1, clientId));
  unwrapOrThrow(
    await gateway.push({ clientId, deltas }, {
      sub: "alice",
      role: "client",
      expiresAt: Infinity,
      claims: {},
    }),
  );
  assertEquals(unwrapOrThrow(await gateway.flush()).deltas, 1);
  await gateway.close();

  // What others have written is left alone.
  const strange = await migrate(from, again, options);
  assertEquals(strange.ok || strange.error.code, "CONFLICT");
  for (const adapter of adapters) await adapter.close();
});
