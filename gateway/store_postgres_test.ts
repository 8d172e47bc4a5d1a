import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type LakeSyncError, type LogStore, unwrapOrThrow } from "@lakesync/core";
import {
  appendRequest,
  findPostgres,
  insertTodo,
  makeDelta,
  startPostgres,
  test,
  testLogStore,
} from "@lakesync/testing";
import { openPostgresDatabase } from "./postgres_database.ts";
import type { PgClient } from "./postgres_driver.ts";
import { PostgresPools } from "./postgres_pools.ts";
import { openPostgresLogStore } from "./store_postgres.ts";
import { PostgresProxy } from "./testdata/postgres_proxy.ts";

const { bin, skip } = await findPostgres();
const server = bin === undefined ? undefined : await startPostgres({ bin });
const database = server === undefined
  ? undefined
  : unwrapOrThrow(await openPostgresDatabase({ url: server.url }));

if (database === undefined) test({ name: "LogStore postgres", skip }, () => {});
else {
  const schemas = new Map<string, string>();
  testLogStore({
    name: "postgres",
    durable: true,
    shared: true,
    open: async ({ directory, clock }) => {
      const schema = schemas.get(directory) ?? `suite${schemas.size}`;
      schemas.set(directory, schema);
      return unwrapOrThrow(await openPostgresLogStore({ database, schema, clock }));
    },
  });
}

function check(name: string, body: () => Promise<void>): void {
  test({ name: `openPostgresLogStore() ${name}`, skip }, body);
}

/** Runs something as somebody else who uses the database. */
async function asOther<T>(body: (client: PgClient) => Promise<T>): Promise<T> {
  assert(database instanceof PostgresPools);
  return await database.use(body);
}

const execute = (text: string) => asOther((client) => client.query({ text }));

const openStore = async (schema: string): Promise<LogStore> =>
  unwrapOrThrow(await openPostgresLogStore({ database: database!, schema }));

check("keeps the logs of one database apart", async () => {
  const [a, b] = [await openStore("apart.a"), await openStore("apart.B")];
  unwrapOrThrow(await a.append(appendRequest([insertTodo("x", 1), insertTodo("y", 2)])));
  unwrapOrThrow(await b.append(appendRequest([insertTodo("x", 1)])));
  unwrapOrThrow(await b.setValue("k", "b"));
  assertEquals(unwrapOrThrow(await a.head()).seq, 2);
  assertEquals(unwrapOrThrow(await b.head()).seq, 1);
  assertEquals(unwrapOrThrow(await a.getValue("k")), undefined);
  assert(a.epoch !== b.epoch);
  await a.close();
  unwrapOrThrow(await b.append(appendRequest([insertTodo("z", 3)])));
  await b.close();
});

check(
  "refuses a schema that is something else's, newer or damaged, and leaves it alone",
  async () => {
    await execute("CREATE SCHEMA foreign_app; CREATE TABLE foreign_app.log (id int)");
    const damages: [schema: string, damage: string, reason: string][] = [
      ["foreign_app", "SELECT 1", "the schema has tables of something else"],
      [
        "newer",
        "UPDATE newer.lakesync SET format = 99",
        "its format is 99 and this version knows 1",
      ],
      ["headless", "DELETE FROM headless.head", "its head is missing"],
      ["cut", "DELETE FROM cut.log WHERE seq = 3", "its head is 3, its last entry is not"],
      ["torn", "DROP TABLE torn.log", "is damaged"],
      ["unmarked", "DELETE FROM unmarked.lakesync", "no format"],
    ];
    for (const [schema, damage, reason] of damages) {
      if (schema !== "foreign_app") {
        const store = await openStore(schema);
        const deltas = [1, 2, 3].map((n) => insertTodo(`r${n}`, n));
        unwrapOrThrow(await store.append(appendRequest(deltas)));
        await store.close();
      }
      await execute(damage);
      const tables = `SELECT string_agg(relname, ',' ORDER BY relname) AS names FROM pg_class
      WHERE relnamespace = '${schema}'::regnamespace`;
      const { rows: before } = await execute(tables);
      const opened = await openPostgresLogStore({ database: database!, schema });
      assert(!opened.ok, schema);
      assertEquals(opened.error.code, "CORRUPT", schema);
      assertStringIncludes(opened.error.message, reason);
      assertEquals((await execute(tables)).rows, before);
    }
  },
);

check("needs no right but to its schema, where an administrator has made that", async () => {
  await execute("CREATE ROLE modest LOGIN; CREATE SCHEMA modest AUTHORIZATION modest");
  const url = server!.url.replace("lakesync@", "modest@");
  for (const seq of [1, 2]) {
    const store = unwrapOrThrow(await openPostgresLogStore({ database: url, schema: "modest" }));
    unwrapOrThrow(await store.append(appendRequest([insertTodo(`r${seq}`, seq)])));
    assertEquals(unwrapOrThrow(await store.head()).seq, seq);
    await store.close();
  }
  const refused = await openPostgresLogStore({ database: url, schema: "elsewhere" });
  assert(!refused.ok);
  assertStringIncludes(refused.error.message, "permission denied");
});

check(
  "names the place and the next step where it cannot be reached, never the password",
  async () => {
    for (
      const url of ["postgres://me:s3cret@127.0.0.1:1/none", "postgres://me:s3cret@127.0.0.1:x/y"]
    ) {
      const opened = await openPostgresLogStore({ database: url });
      assert(!opened.ok);
      assert(!opened.error.message.includes("s3cret"), opened.error.message);
      assertStringIncludes(
        opened.error.message,
        url.endsWith("none") ? "127.0.0.1:1/none" : "write",
      );
    }
    const opened = await openPostgresLogStore({ database: "mysql://127.0.0.1/x" });
    assertEquals(opened.ok || opened.error.code, "VALIDATION_ERROR");
  },
);

check("refuses a database that is not in UTF-8", async () => {
  await execute(
    "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
  );
  const opened = await openPostgresLogStore({
    database: server!.url.replace(/postgres$/, "latin"),
  });
  assert(!opened.ok);
  assertStringIncludes(opened.error.message, "create a database with ENCODING 'UTF8'");
});

check("commits to stable storage whatever the database's setting is", async () => {
  await execute("CREATE ROLE careless SUPERUSER LOGIN");
  const setting = async (value: string) => {
    await execute(`ALTER ROLE careless SET synchronous_commit = ${value}`);
    const url = server!.url.replace("lakesync@", "careless@");
    const careless = unwrapOrThrow(await openPostgresDatabase({ url }));
    assert(careless instanceof PostgresPools);
    const { rows } = await careless.use((client) =>
      client.query({ text: "SHOW synchronous_commit" })
    );
    await careless.close();
    return rows[0]?.["synchronous_commit"];
  };
  assertEquals(await setting("off"), "on");
  assertEquals(await setting("remote_apply"), "remote_apply");
});

check("reads to the character, also what takes more bytes than characters", async () => {
  const store = await openStore("wide");
  const deltas = Array.from({ length: 30 }, (_, i) => {
    const columns = [{ column: "title", value: "é😀".repeat(50) }];
    return makeDelta({ ...insertTodo(`r${i}`, i + 1), columns });
  });
  unwrapOrThrow(await store.append(appendRequest(deltas)));
  const all = unwrapOrThrow(await store.read(0, { limit: 100 }));
  assertEquals(all.length, 30);
  for (const count of [1, 7, 29]) {
    const maxChars = all.slice(0, count).reduce((sum, { json }) => sum + json.length, 0);
    for (const keys of [undefined, ["t:todos"]]) {
      const read = async (maxChars: number) =>
        unwrapOrThrow(await store.read(0, { limit: 100, maxChars, ...(keys && { keys }) })).length;
      assertEquals([await read(maxChars), await read(maxChars + 1)], [count, count + 1]);
    }
  }
  await store.close();
});

check(
  "refuses an append whose rows are too large to be held, and none that came with it",
  async () => {
    const store = await openStore("large");
    const columns = [{ column: "title", value: "x".repeat(1_000_000) }];
    const large = Array.from(
      { length: 70 },
      (_, i) => makeDelta({ ...insertTodo(`large${i}`, i + 1), columns }),
    );
    for (const delta of large) {
      unwrapOrThrow(await store.append(appendRequest([delta])));
    }
    const touch = (from: number, to: number, hlc: number) =>
      store.append(appendRequest(
        large.slice(from, to).map((delta, i) =>
          makeDelta({ ...delta, op: "UPDATE", columns: [], hlc: String(hlc + i) })
        ),
      ));
    const [all, half, other] = await Promise.all([
      touch(0, 70, 1_000),
      touch(0, 35, 2_000),
      touch(35, 70, 3_000),
    ]);
    assertEquals(all.ok || all.error.code, "PAYLOAD_TOO_LARGE");
    assertEquals([unwrapOrThrow(half).first, unwrapOrThrow(other).first], [71, 106]);
    const snapshot = unwrapOrThrow(await store.snapshot());
    let rows = 0;
    for await (const chunk of snapshot.rows()) {
      rows += chunk.length;
      assert(chunk.length <= 2, "a chunk ends at its size");
    }
    assertEquals(rows, 70);
    await snapshot.close();
    await store.close();
  },
);

check("ends what reads a snapshot that is closed", async () => {
  const store = await openStore("ended");
  const deltas = Array.from({ length: 1_500 }, (_, i) => insertTodo(`r${i}`, i + 1));
  unwrapOrThrow(await store.append(appendRequest(deltas)));
  const snapshot = unwrapOrThrow(await store.snapshot());
  const chunks = snapshot.rows()[Symbol.asyncIterator]();
  assertEquals((await chunks.next()).done, false);
  await snapshot.close();
  const code = await chunks.next().then(() => "more", (error) => (error as LakeSyncError).code);
  assertEquals(code, "CLOSED");
  await store.close();
});

check("trims in steps, and a transaction that is longer than a step as a whole", async () => {
  const store = await openStore("steps");
  const deltas = Array.from({ length: 30_000 }, (_, i) => insertTodo(`r${i}`, i + 1));
  unwrapOrThrow(await store.append(appendRequest(deltas.slice(0, 5_000))));
  unwrapOrThrow(
    await store.append(appendRequest(deltas.slice(5_000, 27_000), { oneTransaction: true })),
  );
  unwrapOrThrow(await store.append(appendRequest(deltas.slice(27_000))));
  const trimmed = async (through: number) => {
    unwrapOrThrow(await store.trim({ through }));
    return unwrapOrThrow(await store.stats()).trimmed;
  };
  assertEquals(await trimmed(26_999), 5_000);
  assertEquals(await trimmed(27_001), 27_001);
  assertEquals(unwrapOrThrow(await store.read(27_001, { limit: 5_000 })).length, 2_999);
  assertEquals(unwrapOrThrow(await store.stats()).rows, new Map([["todos", 30_000]]));
  await store.close();
});

check("keeps its connections through reads behind the trim", async () => {
  const store = await openStore("behind");
  const deltas = [1, 2, 3].map((n) => insertTodo(`r${n}`, n));
  unwrapOrThrow(await store.append(appendRequest(deltas)));
  unwrapOrThrow(await store.trim({ through: 2 }));
  const backend = async () => (await execute("SELECT pg_backend_pid() AS pid")).rows[0]?.["pid"];
  const before = await backend();
  const read = await store.read(0, { limit: 1 });
  assertEquals(read.ok || read.error.code, "CHECKPOINT_REQUIRED");
  assertEquals(await backend(), before);
  await store.close();
});

check(
  "answers an append only after its commit, and finds it again where the answer was lost",
  async () => {
    await using proxy = await PostgresProxy.start(server!.url);
    const store = unwrapOrThrow(
      await openPostgresLogStore({ database: proxy.url, schema: "doubt" }),
    );
    const other = await openStore("doubt");
    const deltas = [insertTodo("a", 1), insertTodo("b", 2)];
    for (const [fault, head] of [["before", 0], ["after", 2]] as const) {
      proxy.fault = fault;
      const lost = await store.append(appendRequest(deltas));
      assertEquals(lost.ok || lost.error.code, "STORAGE_ERROR", fault);
      assertEquals(proxy.fault, undefined, "a commit met it");
      assertEquals(unwrapOrThrow(await other.head()).seq, head, fault);
    }
    const repeated = unwrapOrThrow(
      await store.append(appendRequest([...deltas, insertTodo("c", 3)])),
    );
    assertEquals([repeated.first, repeated.head.seq], [3, 3]);
    proxy.fault = "after";
    const value = await store.setValue("k", "v");
    assertEquals(value.ok || value.error.code, "STORAGE_ERROR");
    assertEquals(unwrapOrThrow(await other.getValue("k")), "v");
    await store.close();
    await other.close();
  },
);

check("goes on after its server was killed, and tells who listens", async () => {
  await using other = await startPostgres({ bin: bin! });
  const store = unwrapOrThrow(await openPostgresLogStore({ database: other.url }));
  const listened = Promise.withResolvers<void>();
  let calls = 0;
  let onCall = () => listened.resolve();
  store.subscribe(() => {
    calls++;
    onCall();
  });
  await listened.promise; // called as soon as it listens
  unwrapOrThrow(await store.append(appendRequest([insertTodo("a", 1)])));
  const lost = Array.from(
    { length: 20 },
    (_, i) => store.append(appendRequest([insertTodo(`lost${i}`, 2 + i, `c${i}`)])),
  );
  await other.kill();
  for (const outcome of await Promise.all(lost)) {
    assert(outcome.ok || outcome.error.code === "STORAGE_ERROR");
  }
  const refused = await store.append(appendRequest([insertTodo("b", 50)]));
  assert(!refused.ok);
  assertStringIncludes(refused.error.message, "see that its server runs");
  const again = Promise.withResolvers<void>();
  calls = 0;
  onCall = () => again.resolve();
  await other.start();
  await again.promise; // by the listener alone: nothing was appended since
  assert(calls > 0);
  // What was in doubt is there or not; repeated, all of it is there once.
  for (let i = 0; i < 20; i++) {
    unwrapOrThrow(await store.append(appendRequest([insertTodo(`lost${i}`, 2 + i, `c${i}`)])));
  }
  const entries = unwrapOrThrow(await store.read(0, { limit: 100 }));
  assertEquals(entries.map(({ seq }) => seq), Array.from({ length: 21 }, (_, i) => i + 1));
  assertEquals(new Set(entries.map(({ rowId }) => rowId)).size, 21);
  await store.close();
});

check(
  "never goes back in time, also where a crash takes the last time and the clock is set back",
  async () => {
    await using other = await startPostgres({ bin: bin! });
    let time = 5_000_000;
    const open = async () =>
      unwrapOrThrow(
        await openPostgresLogStore({ database: other.url, clock: { now: () => time } }),
      );
    const store = await open();
    const before: number[] = [];
    for (let i = 0; i < 10; i++) {
      time += 300;
      before.push(unwrapOrThrow(await store.now()));
    }
    assertEquals(before.at(-1), 5_003_000);
    await other.kill();
    time = 1_000_000;
    await other.start();
    const again = await open();
    const after = unwrapOrThrow(await again.now());
    assert(after >= 5_003_000 && after <= 5_004_000, String(after));
    unwrapOrThrow(await again.append(appendRequest([insertTodo("a", 1)])));
    assert(unwrapOrThrow(await again.read(0, { limit: 1 }))[0]!.at >= after);
    time = 6_000_000;
    assertEquals(unwrapOrThrow(await again.now()), 6_000_000);
    await again.close();
    await store.close();
  },
);

check("goes by the database's clock", async () => {
  const store = await openStore("timed");
  const { rows } = await execute(
    "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS at",
  );
  const now = unwrapOrThrow(await store.now());
  assert(now >= Number(rows[0]?.["at"]) && now < Number(rows[0]?.["at"]) + 10_000);
  await store.close();
});

check(
  "has its server end transactions that idle, so that no hanging instance keeps the lock",
  async () => {
    const { rows } = await execute("SHOW idle_in_transaction_session_timeout");
    assertEquals(rows[0]?.["idle_in_transaction_session_timeout"], "30s");
  },
);
