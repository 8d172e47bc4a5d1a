import { sqlAdapter } from "@lakesync/adapter-database";
import { postgresServer } from "@lakesync/adapter-postgres";
import { recordSource } from "@lakesync/adapter-sources";
import { defineTable, type SourceChange, string, unwrapOrThrow } from "@lakesync/core";
import {
  findMariadb,
  findPostgres,
  ManualClock,
  startMariadb,
  startPostgres,
  test,
  withTempDir,
} from "@lakesync/testing";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { assertEquals, assertThrows } from "@std/assert";
import { lifecycle } from "./lifecycle.ts";
import { startServer } from "./server.ts";

const notes = defineTable("notes", { text: string() }).schema;
const { bin, skip: noPostgres } = await findPostgres();
const { programs, skip: noMariadb } = await findMariadb();

test({
  name: "a server moves rows that were not changed for long from Postgres to MariaDB",
  skip: noPostgres ?? noMariadb,
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

test("lifecycle() refuses an age and an interval that are none", () => {
  const none = () => postgresServer({ url: "" });
  for (const wrong of [{ maxAgeDays: 0 }, { maxAgeDays: 1, every: NaN }]) {
    assertThrows(() => lifecycle({ hot: none, cold: none, ...wrong }), TypeError, "not a number");
  }
});
