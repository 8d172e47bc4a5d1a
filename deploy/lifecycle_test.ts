import { fileObjectStore } from "@lakesync/adapter-file";
import { sqlAdapter } from "@lakesync/adapter-database";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { postgresServer } from "@lakesync/adapter-postgres";
import { recordSource } from "@lakesync/adapter-sources";
import { openAnalyst } from "@lakesync/analyst";
import {
  defineTable,
  integer,
  packHlc,
  type SourceChange,
  string,
  unwrapOrThrow,
} from "@lakesync/core";
import {
  findMariadb,
  findPostgres,
  makeDelta,
  ManualClock,
  startMariadb,
  startPostgres,
  test,
  withTempDir,
} from "@lakesync/testing";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { assertEquals, assertThrows } from "@std/assert";
import type { DestinationFactory, OpenDestination } from "./databases.ts";
import { lifecycle } from "./lifecycle.ts";
import { startServer } from "./server.ts";

const notes = defineTable("notes", { text: string() }).schema;
const todos = defineTable("todos", { title: string(), n: integer() }).schema;
const { bin, skip: noPostgres } = await findPostgres();
const { programs, skip: noMariadb } = await findMariadb();

test({
  name: "a server moves rows that were not changed for long from Postgres to MariaDB",
  skip: noPostgres ?? noMariadb,
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (data) => {
    await using pg = await startPostgres({ bin: bin! });
    await using maria = await startMariadb({ programs: programs! });
    const hot = () => postgresServer({ url: pg.url });
    const cold = () => mysqlServer({ url: maria.url });
    const scheduler = new ManualClock();
    // So short that rows of a moment ago are old.
    const database = lifecycle({ hot, cold, maxAgeDays: 1e-9, every: 7, scheduler });
    const server = unwrapOrThrow(
      await startServer({ data, tables: [notes], destinations: { database } }),
    );
    const [gateway] = server.gateways;
    const changes = ["a", "b", "c"].map((rowId): SourceChange => ({
      op: "upsert",
      table: "notes",
      rowId,
      columns: new Map([["text", rowId]]),
    }));
    const source = recordSource({ name: "s", records: () => changes, change: (change) => change });
    unwrapOrThrow(await gateway!.ingest(source));
    unwrapOrThrow(await gateway!.flush({ waitMs: 60_000 }));
    const done = async () =>
      unwrapOrThrow(await gateway!.stats()).destinations["database"]?.behind?.done;
    while (await done() !== 3) await scheduler.advance(7_000);
    await server.stop();
    const rowsIn = async (opened: ReturnType<typeof hot>) => {
      const adapter = sqlAdapter({ server: unwrapOrThrow(await opened), name: "db" });
      const { rows } = unwrapOrThrow(await adapter.getLatestState("notes"));
      const { entries } = unwrapOrThrow(await adapter.queryDeltasSince(undefined, { limit: 10 }));
      await adapter.close();
      return [rows.map(({ rowId }) => rowId), entries.length];
    };
    // The last states go at the next run, where the move ended with this one.
    assertEquals((await rowsIn(hot()))[1], 0);
    assertEquals(await rowsIn(cold()), [["a", "b", "c"], 3]);
  }));

test({
  name:
    "a server moves rows that were not changed for long from Postgres to a lake, in large commits",
  skip: noPostgres,
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (data) => {
    await using pg = await startPostgres({ bin: bin! });
    const hot = () => postgresServer({ url: pg.url });
    const cold = { directory: `${data}/archive` };
    const scheduler = new ManualClock();
    const database = lifecycle({ hot, cold, maxAgeDays: 1e-9, every: 7, scheduler });
    const server = unwrapOrThrow(
      await startServer({ data, tables: [notes], destinations: { database } }),
    );
    const [gateway] = server.gateways;
    const ids = Array.from({ length: 2_500 }, (_, i) => `r${String(i).padStart(4, "0")}`);
    const source = recordSource({
      name: "s",
      records: () => ids,
      change: (rowId) => ({
        op: "upsert",
        table: "notes",
        rowId,
        columns: new Map([["text", rowId]]),
      }),
    });
    unwrapOrThrow(await gateway!.ingest(source));
    unwrapOrThrow(await gateway!.flush({ waitMs: 60_000 }));
    const done = async () =>
      unwrapOrThrow(await gateway!.stats()).destinations["database"]?.behind?.done;
    while (await done() !== ids.length) await scheduler.advance(7_000);
    await server.stop();
    const adapter = sqlAdapter({ server: unwrapOrThrow(await hot()), name: "hot" });
    const { entries } = unwrapOrThrow(await adapter.queryDeltasSince(undefined, { limit: 10 }));
    assertEquals(entries, []);
    await adapter.close();
    const store = fileObjectStore({ directory: `${cold.directory}/default` });
    const lake = icebergLake({ store });
    const { files } = unwrapOrThrow(await lake.scan("notes_changes"));
    assertEquals(files.map(({ rows }) => rows), [2_500]);
    const analyst = unwrapOrThrow(await openAnalyst({ lake, store }));
    const { rows } = unwrapOrThrow(await analyst.query("SELECT id, text FROM notes ORDER BY id"));
    await analyst.close();
    assertEquals(rows.map(({ id, text }) => [id, text]), ids.map((id) => [id, id]));
  }));

test({
  name: "tables for people on a lifecycle show all rows, whatever was moved, changed and dropped",
  skip: noPostgres ?? noMariadb,
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (data) => {
    await using pg = await startPostgres({ bin: bin! });
    await using maria = await startMariadb({ programs: programs! });
    // One connection will do.
    const hot = () => postgresServer({ url: pg.url, connections: 1 });
    const cold = () => mysqlServer({ url: maria.url });
    const scheduler = new ManualClock();
    const opened: OpenDestination[] = [];
    const start = async () => {
      const made = lifecycle({
        hot,
        cold,
        maxAgeDays: 1e-9,
        every: 7,
        scheduler,
        materialise: true,
      });
      const database: DestinationFactory = async (context) => {
        const destination = await made(context);
        if (destination.ok) opened.push(destination.value);
        return destination;
      };
      const declared = { data, tables: [todos], destinations: { database } };
      return unwrapOrThrow(await startServer(declared));
    };
    let server = await start();
    const inHot = unwrapOrThrow(await hot());
    const ask = async (text: string) =>
      unwrapOrThrow(await inHot.transaction((work) => work.run({ text, parameters: [] })));
    const shown = async () => {
      await opened.at(-1)?.idle?.();
      return await ask("SELECT id, title, n FROM todos ORDER BY id");
    };
    const left = async () => Number((await ask("SELECT COUNT(*) FROM lakesync_deltas"))[0]![0]);
    /** Moves all that there is, and then what it came to. */
    const moveAll = async () => {
      while (await left() > 0) await scheduler.advance(7_000);
      const rows = async () => (await ask("SELECT COUNT(*) FROM lakesync_rows"))[0]![0];
      while (await rows() !== "0") await scheduler.advance(7_000);
    };
    const push = async (op: "INSERT" | "UPDATE" | "DELETE", rowId: string, columns: object) => {
      const delta = makeDelta({
        op,
        table: "todos",
        rowId,
        clientId: "ann",
        columns: Object.entries(columns).map(([column, value]) => ({ column, value })),
        hlc: packHlc({ wallMs: 1_700_000_000_000, counter: ++pushed }),
      });
      const body = JSON.stringify({ clientId: "ann", deltas: [delta] });
      const answer = await fetch(`${server.url}/v1/sync/default/push`, { method: "POST", body });
      assertEquals((await answer.json()).accepted, 1);
      unwrapOrThrow(await server.gateways[0]!.flush({ waitMs: 60_000 }));
    };
    let pushed = 0;
    await push("INSERT", "a", { title: "one", n: 1 });
    await push("INSERT", "b", { title: "two", n: 2 });
    await push("INSERT", "c", { title: "three", n: 3 });
    assertEquals(await shown(), [["a", "one", "1"], ["b", "two", "2"], ["c", "three", "3"]]);
    await moveAll();
    // Of a row that was moved, only what changes comes to the hot database.
    await push("UPDATE", "a", { n: 10 });
    await push("DELETE", "b", {});
    const rows = [["a", "one", "10"], ["c", "three", "3"]];
    assertEquals(await shown(), rows);
    await moveAll();
    await server.stop();
    await ask("DROP TABLE todos");
    server = await start();
    await push("INSERT", "d", { title: "four", n: 4 });
    assertEquals(await shown(), [...rows, ["d", "four", "4"]]);
    await moveAll();
    assertEquals(await shown(), [...rows, ["d", "four", "4"]]);
    await server.stop();
    await inHot.close();
  }));

test("lifecycle() refuses an age and an interval that are none, and tables for people beside a lake", () => {
  const none = () => postgresServer({ url: "" });
  for (const wrong of [{ maxAgeDays: 0 }, { maxAgeDays: 1, every: NaN }]) {
    assertThrows(() => lifecycle({ hot: none, cold: none, ...wrong }), TypeError, "not a number");
  }
  const lake = { hot: none, cold: { directory: "archive" }, maxAgeDays: 1, materialise: true };
  assertThrows(() => lifecycle(lake), TypeError, "beside a lake");
});
