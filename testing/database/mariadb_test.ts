import { sqlAdapter, sqlPruning } from "@lakesync/adapter-database";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { type Result, type SqlServer, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";
import { testDatabaseAdapter } from "../database_adapter.ts";
import { findMariadb, startMariadb } from "../mariadb_server.ts";
import { test } from "../test.ts";
import { insert, todo, TODOS } from "./fixture.ts";
import { sqlSubject } from "./sql_subject.ts";
import type { WatchedServer } from "../watched_server.ts";

const { programs, skip } = await findMariadb();
let server: WatchedServer | undefined;
let databases = 0;

/** Makes a database of the server; the result connects to it. */
async function create(loadData: boolean): Promise<() => Promise<Result<SqlServer>>> {
  server ??= await startMariadb({ programs: programs! });
  const name = `test_${databases++}`;
  const root = unwrapOrThrow(await mysqlServer({ url: server.url }));
  unwrapOrThrow(
    await root.transaction((work) => work.run({ text: `CREATE DATABASE ${name}`, parameters: [] })),
  );
  await root.close();
  const url = new URL(name, server.url).href;
  return () => mysqlServer({ url, loadData });
}

async function restart(): Promise<void> {
  await server!.kill();
  await server!.start();
}

testDatabaseAdapter(
  sqlSubject({ name: "MariaDB by LOAD DATA", skip, create: () => create(true), restart }),
);
testDatabaseAdapter(
  sqlSubject({ name: "MariaDB by INSERT", skip, create: () => create(false), restart }),
);

test({ name: "MariaDB refusals say what to do, without the password", skip }, async () => {
  server ??= await startMariadb({ programs: programs! });
  const { port } = new URL(server.url);
  const admin = unwrapOrThrow(await mysqlServer({ url: server.url }));
  for (
    const text of [
      "CREATE DATABASE refused",
      "CREATE USER reader",
      "GRANT SELECT ON refused.* TO reader",
    ]
  ) {
    unwrapOrThrow(await admin.transaction((work) => work.run({ text, parameters: [] })));
  }
  await admin.close();
  const cases = [
    ["root:hunter2@127.0.0.1:" + port + "/refused", "FORBIDDEN", "password in its URL"],
    ["reader@127.0.0.1:" + port + "/refused", "FORBIDDEN", "grant its user"],
    ["root@127.0.0.1:" + port + "/nowhere", "VALIDATION_ERROR", "create the database"],
    ["root:hunter2@127.0.0.1:1/refused", "OFFLINE", "see that its server runs"],
  ] as const;
  for (const [place, code, next] of cases) {
    const made = unwrapOrThrow(await mysqlServer({ url: `mysql://${place}` }));
    const adapter = sqlAdapter({ server: made, name: "maria" });
    const marks = await adapter.watermarks(["todos"]);
    assert(!marks.ok);
    assertEquals(marks.error.code, code);
    assert(marks.error.message.includes(next), marks.error.message);
    assert(!marks.error.message.includes("hunter2"));
    await adapter.close();
  }
});

test(
  { name: "MariaDB statements that take too long are TIMEOUT, and the next call works", skip },
  async () => {
    server ??= await startMariadb({ programs: programs! });
    const made = unwrapOrThrow(await mysqlServer({ url: server.url, statementMs: 300 }));
    const run = (text: string) => made.transaction((work) => work.run({ text, parameters: [] }));
    const slow = await run("SELECT SLEEP(5)");
    assertEquals(slow.ok || slow.error.code, "TIMEOUT");
    assertEquals(unwrapOrThrow(await run("SELECT 1")), [["1"]]);
    await made.close();
  },
);

test({ name: "MariaDB takes a row that is longer than its packets", skip }, async () => {
  const connect = await create(true);
  const admin = unwrapOrThrow(await mysqlServer({ url: server!.url }));
  const run = (text: string) => admin.transaction((work) => work.run({ text, parameters: [] }));
  const [[most]] = unwrapOrThrow(await run("SELECT @@global.max_allowed_packet")) as [[string]];
  try {
    unwrapOrThrow(await run("SET GLOBAL max_allowed_packet = 1048576"));
    const adapter = sqlAdapter({ server: unwrapOrThrow(await connect()), name: "maria" });
    const title = "é\t".repeat(1_000_000);
    await insert(adapter, [todo("long", 1, { title }), todo("short", 2)]);
    unwrapOrThrow(await adapter.materialise(TODOS));
    const { rows } = unwrapOrThrow(await adapter.getLatestState("todos"));
    assertEquals(rows.map(({ rowId }) => rowId), ["long", "short"]);
    assert(rows[0]!.state.columns.get("title")?.[0] === title);
    await adapter.close();
  } finally {
    unwrapOrThrow(await run(`SET GLOBAL max_allowed_packet = ${most}`));
    await admin.close();
  }
});

test(
  { name: "MariaDB finds and removes deltas by place where no table is known", skip },
  async () => {
    const connect = await create(true);
    const hot = unwrapOrThrow(await connect());
    const adapter = sqlAdapter({ server: hot, name: "maria" });
    await insert(adapter, [todo("r1", 1), todo("r2", 2)]);
    const text = "DELETE FROM lakesync_tables";
    unwrapOrThrow(await hot.transaction((work) => work.run({ text, parameters: [] })));
    const pruning = sqlPruning(hot);
    const found = unwrapOrThrow(await pruning.deltasAt([1, 2]));
    assertEquals(found.map(({ entry }) => entry.delta.rowId), ["r1", "r2"]);
    unwrapOrThrow(await pruning.removeDeltas([1]));
    assertEquals(unwrapOrThrow(await pruning.deltasAt([1, 2])).map(({ place }) => place), [2]);
    await adapter.close();
  },
);
