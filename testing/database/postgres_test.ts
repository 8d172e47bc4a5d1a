import { sqlAdapter } from "@lakesync/adapter-database";
import { postgresServer } from "@lakesync/adapter-postgres";
import { LakeSyncError, type SqlServer, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";
import { testDatabaseAdapter } from "../database_adapter.ts";
import { findPostgres, startPostgres } from "../postgres_server.ts";
import { test } from "../test.ts";
import { batchOf, deltaOf, EVERYTHING } from "./fixture.ts";
import { sqlSubject } from "./sql_subject.ts";
import type { WatchedServer } from "../watched_server.ts";

const { bin, skip } = await findPostgres();
let server: WatchedServer | undefined;
let databases = 0;

testDatabaseAdapter(sqlSubject({
  name: "Postgres",
  skip,
  async create() {
    server ??= await startPostgres({ bin: bin! });
    const { url } = server;
    const schema = `test_${databases++}`;
    return () => postgresServer({ url, schema });
  },
  async restart() {
    await server!.kill();
    await server!.start();
  },
}));

test({ name: "Postgres refusals say what to do, without the password", skip }, async () => {
  server ??= await startPostgres({ bin: bin! });
  const { port } = new URL(server.url);
  const admin = unwrapOrThrow(await postgresServer({ url: server.url }));
  unwrapOrThrow(
    await admin.transaction((work) =>
      work.run({ text: "CREATE ROLE reader LOGIN", parameters: [] })
    ),
  );
  await admin.close();
  const cases = [
    ["nobody:hunter2@127.0.0.1:" + port + "/postgres", "FORBIDDEN", "password in its URL"],
    ["reader@127.0.0.1:" + port + "/postgres", "FORBIDDEN", "grant its user"],
    ["lakesync:hunter2@127.0.0.1:" + port + "/nowhere", "VALIDATION_ERROR", "create it"],
    ["lakesync:hunter2@127.0.0.1:1/postgres", "OFFLINE", "see that its server runs"],
  ] as const;
  for (const [place, code, next] of cases) {
    const made = await postgresServer({ url: `postgres://${place}`, schema: "refused" });
    const adapter = sqlAdapter({ server: unwrapOrThrow(made), name: "pg" });
    const marks = await adapter.watermarks(["todos"]);
    assert(!marks.ok);
    assertEquals(marks.error.code, code);
    assert(marks.error.message.includes(next), marks.error.message);
    assert(!marks.error.message.includes("hunter2"));
    await adapter.close();
  }
});

test(
  { name: "Postgres statements that take too long are TIMEOUT, and the next call works", skip },
  async () => {
    server ??= await startPostgres({ bin: bin! });
    const made = unwrapOrThrow(await postgresServer({ url: server.url, statementMs: 300 }));
    const run = (text: string) => made.transaction((work) => work.run({ text, parameters: [] }));
    const slow = await run("SELECT pg_sleep(5)");
    assertEquals(slow.ok || slow.error.code, "TIMEOUT");
    assertEquals(unwrapOrThrow(await run("SELECT 1")), [["1"]]);
    await made.close();
  },
);

/** A server whose transactions are each overtaken once, and run again. */
function overtaken(server: SqlServer): SqlServer {
  return {
    place: server.place,
    dialect: server.dialect,
    describe: (work, table) => server.describe(work, table),
    close: () => server.close(),
    async transaction(body, options) {
      await server.transaction(async (work) => {
        await body(work);
        throw new LakeSyncError("CONFLICT", "Somebody else was first");
      }, options);
      return await server.transaction(body, options);
    },
  };
}

test(
  { name: "materialise() counts rows and misfits once where transactions are run again", skip },
  async () => {
    server ??= await startPostgres({ bin: bin! });
    const made = unwrapOrThrow(await postgresServer({ url: server.url, schema: "overtaken" }));
    const adapter = sqlAdapter({ server: overtaken(made), name: "pg" });
    const direct = sqlAdapter({ server: made, name: "pg" });
    const deltas = ["fits", "does\0not"].map((text, i) =>
      deltaOf({ op: "INSERT", table: "everything", rowId: `r${i}`, hlc: i + 1, columns: { text } })
    );
    const tables = new Map([["everything", { schema: EVERYTHING, from: undefined }]]);
    unwrapOrThrow(await direct.insertDeltas({ ...batchOf({ deltas }), tables }));
    const report = unwrapOrThrow(await adapter.materialise(EVERYTHING));
    assertEquals(report, { upserted: 2, deleted: 0, misfits: new Map([["text", 1]]) });
    await adapter.close();
  },
);
