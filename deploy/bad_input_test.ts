// What goes wrong at a destination or a source is told where operators look, with a code, the table,
// the column and what to do; everything else flows on, and once it is mended nothing is missing.
import { bigqueryServer } from "@lakesync/adapter-bigquery";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { sqlCursorSource } from "@lakesync/adapter-sources";
import { type Result, type SqlServer, unwrapOrThrow } from "@lakesync/core";
import {
  findMariadb,
  findPostgres,
  startBigQuery,
  startMariadb,
  startPostgres,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseFlows } from "./config_flows.ts";
import {
  bigquery,
  type DestinationFactory,
  mysql,
  type OpenDestination,
  postgres,
} from "./databases.ts";
import { readFlowsStatus } from "./flows_status.ts";
import { startServer } from "./server.ts";
import { destinations, put, tables, todos } from "./testdata/bad_input.ts";
import { throwFailures, UntilRead } from "./testdata/matrix.ts";

type Rows = readonly (readonly (string | null)[])[];

interface Database {
  /** A destination there. */
  readonly db: DestinationFactory;
  /** The same with a user whom it does not know. */
  readonly locked: DestinationFactory;
  /** What is said of that. */
  readonly refused: RegExp;
  /** Runs a statement of a stranger's. */
  sql(text: string): Promise<Rows>;
  /** Statements that make a column of another type, and of the right one again. */
  readonly retype: readonly string[];
  readonly mend: readonly string[];
  /** What the column is then. */
  readonly retyped: RegExp;
  /** A value that a column of it cannot hold. */
  readonly misfit: { readonly column: string; readonly value: string };
}

async function checkDatabase({ db, locked, sql, misfit, ...more }: Database): Promise<void> {
  await withTempDir(async (data) => {
    const opened: OpenDestination[] = [];
    const watched: DestinationFactory = async (context) => {
      const destination = await db(context);
      if (destination.ok) opened.push(destination.value);
      return destination;
    };
    const server = unwrapOrThrow(
      await startServer({
        data,
        tables,
        destinations: { db: watched, locked },
      }),
    );
    const gateway = server.gateways[0]!;
    const settled = async () => {
      for (const { idle } of opened) await idle?.();
    };
    const behind = async (table: string) =>
      (await destinations(server))["db"]?.behind?.tables[table];

    // Wrong credentials: that destination alone.
    await put(gateway, "todos", "a", { title: "one", n: 1 });
    const first = await destinations(server);
    assertEquals([first["lake"]?.lag, first["db"]?.lag, first["locked"]?.lag], [0, 0, 1]);
    assertEquals(first["locked"]?.error?.code, "FORBIDDEN");
    assertMatch(first["locked"]!.error!.message, more.refused);

    // A value that no column holds: null there, exact beside it.
    await put(gateway, "todos", "b", { title: "two", [misfit.column]: misfit.value });
    await settled();
    assertEquals((await behind("todos"))?.misfits, { [misfit.column]: 1 });

    // A column of another type: its table alone waits, deltas are taken all the same.
    for (const text of more.retype) await sql(text);
    await put(gateway, "todos", "c", { title: "three", n: 3 });
    await put(gateway, "notes", "n1", { text: "goes on" });
    const waiting = async () => {
      for (;;) {
        const state = await behind("todos");
        if (state?.error !== undefined) return state;
      }
    };
    const conflict = await waiting();
    assertEquals([conflict.waiting, conflict.error?.code], [true, "CONFLICT"]);
    assertMatch(conflict.error!.message, more.retyped);
    assertMatch(conflict.error!.message, /"todos".*column "n".*drop or rename/);
    assertEquals((await destinations(server))["db"]?.lag, 0);
    for (let rows = 0; rows === 0;) {
      rows = Number((await sql("SELECT COUNT(*) FROM notes"))[0]![0]);
    }

    // Mended, and then columns and tables that somebody drops: made again, with all that was in them.
    for (const text of more.mend) await sql(text);
    await put(gateway, "todos", "d", { title: "four" });
    await settled();
    await sql("ALTER TABLE todos DROP COLUMN title");
    await put(gateway, "todos", "e", { title: "five" });
    await settled();
    const wanted = ["a", "b", "c", "d", "e"];
    const titles = ["one", "two", "three", "four", "five"];
    if (misfit.column === "title") titles[1] = null!;
    const shown = async () => await sql("SELECT id, title FROM todos ORDER BY id");
    assertEquals(await shown(), wanted.map((id, i) => [id, titles[i]!]));
    await sql("DROP TABLE todos");
    await put(gateway, "todos", "e", { title: "cinq" });
    await settled();
    titles[4] = "cinq";
    assertEquals(await shown(), wanted.map((id, i) => [id, titles[i]!]));
    assertEquals((await behind("todos"))?.error, undefined);

    // A table of LakeSync's own is gone: the flush fails and says so, the next one makes it anew, with all
    // that was in it.
    const count = async (table: string) =>
      Number((await sql(`SELECT COUNT(*) FROM ${table}`))[0]![0]);
    const rows = await count("lakesync_rows");
    for (const own of ["lakesync_deltas", "lakesync_head", "lakesync_tables", "lakesync_rows"]) {
      await sql(`DROP TABLE ${own}`);
      await put(gateway, "todos", "f", { title: `six, without ${own}` });
      const lost = (await destinations(server))["db"];
      // Watermarks are read first, and again for each table: then they are there.
      if (own !== "lakesync_tables") {
        assertEquals([lost?.lag, lost?.error?.code], [1, "CONFLICT"], own);
        assertMatch(lost!.error!.message, new RegExp(own));
      }
      await put(gateway, "todos", "g", { title: `seven, without ${own}` });
      await settled();
      if (own === "lakesync_deltas") {
        assertEquals(await count(own), unwrapOrThrow(await gateway.stats()).head);
      }
    }
    assertEquals(await count("lakesync_rows"), rows + 2);
    const last = await destinations(server);
    const { head } = unwrapOrThrow(await gateway.stats());
    assertEquals([last["lake"]?.lag, last["db"]?.lag, last["locked"]?.lag], [0, 0, head]);
    titles.push("six, without lakesync_rows", "seven, without lakesync_rows");
    assertEquals(await shown(), [...wanted, "f", "g"].map((id, i) => [id, titles[i]!]));
    await server.stop();
  });
}

/** Runs statements on a connection of its own. */
async function asking(
  connect: () => Promise<Result<SqlServer>>,
): Promise<Pick<Database, "sql"> & AsyncDisposable> {
  const admin = unwrapOrThrow(await connect());
  return {
    sql: async (text) =>
      unwrapOrThrow(await admin.transaction((work) => work.run({ text, parameters: [] }))),
    [Symbol.asyncDispose]: () => admin.close(),
  };
}

/** A URL with a user whom nobody knows. */
function lockedOut(url: string): string {
  return Object.assign(new URL(url), { username: "nobody", password: "wrong" }).href;
}

const { bin, skip: noPostgres } = await findPostgres();
test({
  name: "what goes wrong at a Postgres destination is in the stats, and the rest flows on",
  skip: noPostgres,
  timeoutMs: 120_000,
}, async () => {
  await using server = await startPostgres({ bin: bin! });
  const { url } = server;
  await using admin = await asking(() => postgresServer({ url }));
  await checkDatabase({
    sql: admin.sql,
    db: postgres({ url, materialise: true }),
    locked: postgres({ url: lockedOut(url), materialise: true }),
    refused: /see that the user and the password/,
    retype: ["ALTER TABLE todos ALTER COLUMN n TYPE text"],
    mend: ["ALTER TABLE todos ALTER COLUMN n TYPE bigint USING n::bigint"],
    retyped: /as text, and not as bigint/,
    misfit: { column: "title", value: "nul \u0000" },
  });
});

const { programs, skip: noMariadb } = await findMariadb();
test({
  name: "what goes wrong at a MariaDB destination is in the stats, and the rest flows on",
  skip: noMariadb,
  timeoutMs: 120_000,
}, async () => {
  await using server = await startMariadb({ programs: programs! });
  const { url } = server;
  await using admin = await asking(() => mysqlServer({ url }));
  await checkDatabase({
    sql: admin.sql,
    db: mysql({ url, materialise: true }),
    locked: mysql({ url: lockedOut(url), materialise: true }),
    refused: /see that the user and the password/,
    retype: ["ALTER TABLE todos MODIFY n TEXT"],
    mend: ["ALTER TABLE todos MODIFY n BIGINT"],
    retyped: /as (long|medium)?text/,
    misfit: { column: "at", value: "0000-02-29T00:00:00.000001Z" },
  });
});

test({
  name: "what goes wrong at a BigQuery destination is in the stats, and the rest flows on",
  timeoutMs: 120_000,
}, async () => {
  await using server = await startBigQuery();
  await using stranger = await startBigQuery();
  const { private_key } = stranger.credentials;
  await server.makeDataset("lake");
  const { endpoint, credentials } = server;
  const at = { endpoint, dataset: "lake", materialise: true };
  await using admin = await asking(() =>
    bigqueryServer({ endpoint, credentials, dataset: "lake" })
  );
  await checkDatabase({
    sql: admin.sql,
    db: bigquery({ ...at, credentials }),
    locked: bigquery({ ...at, credentials: { ...credentials, private_key } }),
    refused: /see that the key is this account's/,
    // Its columns do not change their types: somebody drops one and adds another.
    retype: ["ALTER TABLE todos DROP COLUMN n", "ALTER TABLE todos ADD COLUMN n STRING"],
    mend: ["ALTER TABLE todos DROP COLUMN n"],
    retyped: /as string, and not as INT64/,
    misfit: { column: "title", value: "nul \u0000" },
  });
});

test({
  name: "what goes wrong with a source is told of its flow, and the other flows go on",
  skip: noPostgres,
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (dir) => {
    await using pg = await startPostgres({ bin: bin! });
    const admin = unwrapOrThrow(await postgresServer({ url: pg.url }));
    const sql = async (text: string) =>
      unwrapOrThrow(await admin.transaction((work) => work.run({ text, parameters: [] })));
    await sql("CREATE TABLE good (id text PRIMARY KEY, title text, n bigint, at timestamptz)");
    await sql("CREATE TABLE typed (id text PRIMARY KEY, title text, n text, at timestamptz)");
    await sql("CREATE TABLE thin (id text PRIMARY KEY, title text)");
    await sql("INSERT INTO good VALUES ('a', 'one', 1, NULL)");
    await sql("INSERT INTO typed VALUES ('b', 'two', 'zwei', NULL)");
    const stranger = pg.url.replace(/\/\/[^@]*@/, "//nobody:wrong@");
    assert(stranger !== pg.url);
    const source = (name: string, table: string, url = pg.url) =>
      sqlCursorSource({
        name,
        open: () => postgresServer({ url }),
        query: `SELECT * FROM ${table}`,
        key: "id",
        cursor: "id",
        overlap: 0,
        to: todos,
      });
    const sources = {
      good: source("good", "good"),
      locked: source("locked", "good", stranger),
      missing: source("missing", "nowhere"),
      typed: source("typed", "typed"),
      thin: source("thin", "thin"),
    };
    const start = async () => {
      const every = 20;
      const flows = Object.keys(sources).map((from) => ({ from, to: ["gateway"], every }));
      const parsed = parseFlows({ sources, flows }, { tables, destinations: {} });
      const scheduler = new UntilRead({ flows: flows.length, everyMs: every * 1000 });
      const server = unwrapOrThrow(
        await startServer({ data: dir, tables, flows: unwrapOrThrow(parsed)!, scheduler }),
      );
      await scheduler.done;
      return server;
    };
    const server = await start();
    await server.stop();
    const told = new Map(
      unwrapOrThrow(await readFlowsStatus(dir)).flows.map((flow) => [flow.flow, flow]),
    );
    assertEquals([told.get("good")?.deltas, told.get("good")?.error], [1, null]);
    const errors: [string, string, RegExp][] = [
      ["locked", "FORBIDDEN", /"locked".*user and the password/],
      ["missing", "CONFLICT", /"missing".*nowhere/],
      ["typed", "SCHEMA_ERROR", /"typed": column "n" of row "b" is no integer of table "todos"/],
      ["thin", "CONFLICT", /"thin".*"?n"?/],
    ];
    for (const [flow, code, message] of errors) {
      const { error } = told.get(flow)!;
      assertEquals(error?.code, code, `${flow}: ${error?.message}`);
      assertMatch(error!.message, message);
    }
    // Mended, each goes on from where it was.
    await sql("CREATE ROLE nobody LOGIN SUPERUSER PASSWORD 'wrong'");
    await sql("CREATE TABLE nowhere AS SELECT * FROM good");
    await sql("UPDATE typed SET n = '2'");
    await sql("ALTER TABLE thin ADD COLUMN n bigint, ADD COLUMN at timestamptz");
    const mended = await start();
    await throwFailures(dir);
    assertEquals(unwrapOrThrow(await mended.gateways[0]!.stats()).tables["todos"]?.rows, 2);
    await mended.stop();
    await admin.close();
  }));
