// What goes wrong at a destination or a source is told where operators look, with a code, the table,
// the column and what to do; everything else flows on, and once it is mended nothing is missing.
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { recordSource, sqlCursorSource } from "@lakesync/adapter-sources";
import {
  defineTable,
  integer,
  type JsonValue,
  type Result,
  type SqlServer,
  string,
  type TableSchema,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import type { DestinationState, Gateway } from "@lakesync/gateway";
import {
  findMariadb,
  findPostgres,
  startMariadb,
  startPostgres,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseFlows } from "./config_flows.ts";
import { type DestinationFactory, mysql, type OpenDestination, postgres } from "./databases.ts";
import { readFlowsStatus } from "./flows_status.ts";
import { type RunningServer, startServer } from "./server.ts";
import { throwFailures, UntilRead } from "./testdata/matrix.ts";

const todos: TableSchema = defineTable("todos", {
  title: string(),
  n: integer().nullable(),
  at: timestamp().nullable(),
}).schema;
const notes: TableSchema = defineTable("notes", { text: string() }).schema;
const tables = [todos, notes];

let made = 0;
/** Changes a row by a source of its own, and flushes. */
async function put(
  gateway: Gateway,
  table: string,
  rowId: string,
  columns: { readonly [name: string]: JsonValue },
): Promise<void> {
  const source = recordSource({
    name: `source${++made}`,
    records: () => [columns],
    change: () => ({ op: "upsert", table, rowId, columns: new Map(Object.entries(columns)) }),
  });
  unwrapOrThrow(await gateway.ingest(source));
  await gateway.flush({ waitMs: 60_000 });
}

/** What an operator sees. */
async function destinations(
  { url }: RunningServer,
): Promise<{ readonly [name: string]: DestinationState }> {
  const response = await fetch(`${url}/v1/admin/default/stats`);
  return (await response.json()).destinations;
}

interface Database {
  readonly url: string;
  readonly factory: (url: string) => DestinationFactory;
  readonly connect: () => Promise<Result<SqlServer>>;
  /** Statements that a stranger runs. */
  readonly retype: string;
  readonly mend: string;
  /** What the column is then. */
  readonly retyped: RegExp;
  /** A value that a column of it cannot hold. */
  readonly misfit: { readonly column: string; readonly value: string };
}

async function checkDatabase(database: Database): Promise<void> {
  const { url, factory, connect, misfit } = database;
  await withTempDir(async (data) => {
    const stranger = new URL(url);
    stranger.username = "nobody";
    stranger.password = "wrong";
    const opened: OpenDestination[] = [];
    const watched: DestinationFactory = async (context) => {
      const destination = await factory(url)(context);
      if (destination.ok) opened.push(destination.value);
      return destination;
    };
    const server = unwrapOrThrow(
      await startServer({
        data,
        tables,
        destinations: { db: watched, locked: factory(stranger.href) },
      }),
    );
    const gateway = server.gateways[0]!;
    const admin = unwrapOrThrow(await connect());
    const sql = async (text: string) =>
      unwrapOrThrow(await admin.transaction((work) => work.run({ text, parameters: [] })));
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
    assertMatch(first["locked"]!.error!.message, /see that the user and the password/);

    // A value that no column holds: null there, exact beside it.
    await put(gateway, "todos", "b", { title: "two", [misfit.column]: misfit.value });
    await settled();
    assertEquals((await behind("todos"))?.misfits, { [misfit.column]: 1 });

    // A column of another type: its table alone waits, deltas are taken all the same.
    await sql(database.retype);
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
    assertMatch(conflict.error!.message, database.retyped);
    assertMatch(conflict.error!.message, /"todos".*column "n".*drop or rename/);
    assertEquals((await destinations(server))["db"]?.lag, 0);
    for (let rows = 0; rows === 0;) {
      rows = Number((await sql("SELECT COUNT(*) FROM notes"))[0]![0]);
    }

    // Mended, and then columns and tables that somebody drops: made again, with all that was in them.
    await sql(database.mend);
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

    // LakeSync's own table is gone: the flush fails and says so, the next one makes it anew.
    await sql("DROP TABLE lakesync_deltas");
    await put(gateway, "todos", "f", { title: "six" });
    const lost = (await destinations(server))["db"];
    assertEquals([lost?.lag, lost?.error?.code], [1, "CONFLICT"]);
    assertMatch(lost!.error!.message, /lakesync_deltas/);
    await put(gateway, "todos", "g", { title: "seven" });
    await settled();
    const last = await destinations(server);
    const { head } = unwrapOrThrow(await gateway.stats());
    assertEquals([last["lake"]?.lag, last["db"]?.lag, last["locked"]?.lag], [0, 0, head]);
    assertEquals((await shown()).length, 7);
    await admin.close();
    await server.stop();
  });
}

const { bin, skip: noPostgres } = await findPostgres();
test({
  name: "what goes wrong at a Postgres destination is in the stats, and the rest flows on",
  skip: noPostgres,
  timeoutMs: 120_000,
}, async () => {
  await using server = await startPostgres({ bin: bin! });
  const { url } = server;
  await checkDatabase({
    url,
    factory: (url) => postgres({ url, materialise: true }),
    connect: () => postgresServer({ url }),
    retype: "ALTER TABLE todos ALTER COLUMN n TYPE text",
    mend: "ALTER TABLE todos ALTER COLUMN n TYPE bigint USING n::bigint",
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
  await checkDatabase({
    url,
    factory: (url) => mysql({ url, materialise: true }),
    connect: () => mysqlServer({ url }),
    retype: "ALTER TABLE todos MODIFY n TEXT",
    mend: "ALTER TABLE todos MODIFY n BIGINT",
    retyped: /as (long|medium)?text/,
    misfit: { column: "at", value: "0000-02-29T00:00:00.000001Z" },
  });
});

test("what goes wrong with a table of the lake is in the stats, and the other tables flow on", () =>
  withTempDir(async (data) => {
    const server = unwrapOrThrow(await startServer({ data, tables }));
    const gateway = server.gateways[0]!;
    const lake = `${data}/lake/default`;
    const failed = async (rowId: string) => {
      await put(gateway, "todos", rowId, { title: rowId, n: 1 });
      await put(gateway, "notes", rowId, { text: rowId });
      return (await destinations(server))["lake"];
    };
    const versions = async (table: string) =>
      (await readdir(`${lake}/${table}_changes/metadata`))
        .filter((file) => /^v\d+\.metadata\.json$/.test(file))
        .map((file) => Number(/\d+/.exec(file)![0])).sort((a, b) => a - b);
    const fileOf = (version: number) => `${lake}/todos_changes/metadata/v${version}.metadata.json`;
    assertEquals((await failed("a"))?.lag, 0);

    // Somebody's program makes a text of a column of numbers.
    const last = (await versions("todos")).at(-1)!;
    const text = await readFile(fileOf(last), "utf8");
    await writeFile(
      fileOf(last + 1),
      text.replaceAll(/("name":"n","required":false,"type":)"long"/g, '$1"string"'),
    );
    const before = (await versions("notes")).length;
    const retyped = await failed("b");
    assertEquals([retyped?.error?.code, retyped?.cutOff], ["CONFLICT", false]);
    assertMatch(retyped!.error!.message, /"todos".*column "n" there is not an optional long; give/);
    assertEquals((await versions("notes")).length, before + 1, "notes flow on");
    await rm(fileOf(last + 1));
    await server.stop();

    // The metadata is damaged.
    await writeFile(fileOf(last + 1), "{");
    const again = unwrapOrThrow(await startServer({ data, tables }));
    await put(again.gateways[0]!, "notes", "c", { text: "c" });
    const damaged = (await destinations(again))["lake"];
    assertEquals(damaged?.error?.code, "CORRUPT");
    assertMatch(damaged!.error!.message, /todos_changes/);
    assertEquals((await versions("notes")).length, before + 2);

    // The table is gone: it is written again, from the log.
    await rm(`${lake}/todos_changes`, { recursive: true });
    await put(again.gateways[0]!, "notes", "d", { text: "d" });
    assertEquals((await destinations(again))["lake"]?.error, undefined);
    assertEquals((await destinations(again))["lake"]?.lag, 0);
    await again.stop();
  }));

test({
  name: "what goes wrong with a source is told of its flow, and the other flows go on",
  skip: noPostgres,
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
