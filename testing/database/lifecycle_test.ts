import { fileObjectStore } from "@lakesync/adapter-file";
import { filesCatalogue, icebergDestination } from "@lakesync/adapter-iceberg";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { type DatabaseAdapter, type Result, unwrapOrThrow } from "@lakesync/core";
import { lakeDatabase } from "@lakesync/deploy";
import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "../clock.ts";
import { findMariadb, startMariadb } from "../mariadb_server.ts";
import { findPostgres, startPostgres } from "../postgres_server.ts";
import { Prng } from "../prng.ts";
import { withTempDir } from "../temp.ts";
import { test } from "../test.ts";
import { DAY, stateText, TABLES, World } from "./lifecycle_world.ts";

/** All rows as one database shows them, by pages of so many. */
async function statesOf(database: DatabaseAdapter, limit: number): Promise<string[]> {
  const texts: string[] = [];
  for (const { table } of TABLES) {
    for (let after: string | undefined, more = true; more;) {
      const query = { limit, ...(after !== undefined && { after }) };
      const page = unwrapOrThrow(await database.getLatestState(table, query));
      for (const { rowId, state } of page.rows) texts.push(stateText(`${table}/${rowId}`, state));
      after = page.next;
      more = after !== undefined;
    }
  }
  return texts.toSorted();
}

/** Reads on from a cursor; at most so many pages. */
async function readOn(
  database: DatabaseAdapter,
  reader: { cursor: string | undefined; readonly got: string[] },
  options: { limit: number; pages: number },
): Promise<Result<void>> {
  for (let more = true, pages = 0; more && pages < options.pages; pages++) {
    const page = await database.queryDeltasSince(reader.cursor, { limit: options.limit });
    if (!page.ok) return page;
    for (const { delta } of page.value.entries) reader.got.push(delta.deltaId);
    reader.cursor = page.value.cursor;
    more = page.value.hasMore;
  }
  return { ok: true, value: undefined };
}

const count = async (database: DatabaseAdapter) =>
  unwrapOrThrow(await database.queryDeltasSince(undefined, { limit: 10_000 })).entries.length;

/** Disks and processors may be busy. */
const timeoutMs = 180_000;

/** What a test does with worlds, and how often where once is not enough. */
type Body = (world: () => Promise<World>, options: { readonly rounds: number }) => Promise<void>;

/** Runs a test on Postgres beside Postgres, and beside MariaDB. */
function each(title: string, body: Body): void {
  test({ name: `${title} (Postgres and Postgres)`, skip: noPostgres, timeoutMs }, async () => {
    await using pg = await startPostgres({ bin: bin! });
    let made = 0;
    const opened: World[] = [];
    await body(async () => {
      const server = async (schema: string) =>
        unwrapOrThrow(await postgresServer({ url: pg.url, schema: `${schema}${made}` }));
      made++;
      const world = new World(await server("hot"), await server("cold"));
      opened.push(world);
      return world;
    }, { rounds: 3 });
    for (const world of opened) await world.open().close();
  });
  eachLake(title, body);
  test(
    { name: `${title} (Postgres and MariaDB)`, skip: noPostgres ?? noMariadb, timeoutMs },
    async () => {
      await using pg = await startPostgres({ bin: bin! });
      await using maria = await startMariadb({ programs: programs! });
      const root = unwrapOrThrow(await mysqlServer({ url: maria.url }));
      let made = 0;
      const opened: World[] = [];
      await body(async () => {
        const name = `cold${made++}`;
        const text = `CREATE DATABASE ${name} CHARACTER SET utf8mb4`;
        unwrapOrThrow(await root.transaction((work) => work.run({ text, parameters: [] })));
        const url = new URL(name, maria.url).href;
        const hot = await postgresServer({ url: pg.url, schema: `hot${made}` });
        const world = new World(unwrapOrThrow(hot), unwrapOrThrow(await mysqlServer({ url })));
        opened.push(world);
        return world;
      }, { rounds: 3 });
      for (const world of opened) await world.open().close();
      await root.close();
    },
  );
}

/** Runs a test on Postgres beside a lake in files. */
function eachLake(title: string, body: Body): void {
  test(
    { name: `${title} (Postgres and a lake)`, skip: noPostgres, timeoutMs },
    () =>
      withTempDir(async (dir) => {
        await using pg = await startPostgres({ bin: bin! });
        let made = 0;
        const opened: World[] = [];
        await body(async () => {
          const hot = await postgresServer({ url: pg.url, schema: `hot${++made}` });
          const store = fileObjectStore({ directory: `${dir}/${made}` });
          const destination = icebergDestination({ store, name: "cold" });
          const catalogue = filesCatalogue(store);
          // Its time stands still: what comes in later has a later one all the same.
          const clock = new ManualClock();
          const world = new World(
            unwrapOrThrow(hot),
            lakeDatabase({ catalogue, destination, clock }),
          );
          opened.push(world);
          return world;
        }, { rounds: 1 });
        for (const world of opened) await world.open().close();
      }),
  );
}

const { bin, skip: noPostgres } = await findPostgres();
const { programs, skip: noMariadb } = await findMariadb();

each("rows that were not changed for long are moved, and both are read as one", async (make) => {
  const world = await make();
  const database = world.open();
  await world.write(
    world.delta("todos", "old", 3),
    world.delta("__proto__", "old", 2),
    world.delta("todos", "new", 0.5),
  );
  await world.write(world.delta("todos", "back", 5), world.delta("todos", "gone", 4));
  await world.write(world.delta("todos", "gone", 3, "DELETE"));
  await world.write(world.delta("todos", "back", 0.1, "UPDATE"));
  const early = { cursor: undefined, got: [] as string[] };
  unwrapOrThrow(await readOn(database, early, { limit: 2, pages: 2 }));
  assertEquals(unwrapOrThrow(await database.move(TABLES)).moved, 4);
  assertEquals([await count(world.hot), await count(world.cold)], [3, 4]);
  assertEquals(unwrapOrThrow(await database.move(TABLES)).moved, 0);
  const { rows } = unwrapOrThrow(await world.hot.getLatestState("todos"));
  assertEquals(rows.map(({ rowId }) => rowId), ["back", "new"]);
  for (const limit of [1, 2, 100]) assertEquals(await statesOf(database, limit), world.states());
  const query = { rowIds: ["old", "new", "none"] };
  const some = unwrapOrThrow(await database.getLatestState("todos", query));
  assertEquals(some.rows.map(({ rowId }) => rowId), ["new", "old"]);
  // A late delta for a row that was moved.
  await world.write(world.delta("todos", "old", 2.5, "UPDATE"));
  assertEquals(await statesOf(database, 100), world.states());
  unwrapOrThrow(await readOn(database, early, { limit: 2, pages: Infinity }));
  const late = { cursor: undefined, got: [] as string[] };
  unwrapOrThrow(await readOn(database, late, { limit: 3, pages: Infinity }));
  const wanted = world.written.map(({ deltaId }) => deltaId).toSorted();
  assertEquals([early.got.toSorted(), late.got.toSorted()], [wanted, wanted]);
  await world.clock.advance(DAY);
  assertEquals(unwrapOrThrow(await database.move(TABLES)).moved, 4);
  assertEquals([await count(world.hot), await count(world.cold)], [0, 8]);
  assertEquals(await statesOf(database, 100), world.states());
  unwrapOrThrow(await readOn(database, early, { limit: 2, pages: Infinity }));
  assertEquals(early.got.toSorted(), wanted);
});

each("a move that is killed at any step neither loses nor doubles a delta", async (make) => {
  for (let nth = 1, dead = true; dead; nth++) {
    const world = await make();
    await world.write(world.delta("todos", "a", 3), world.delta("__proto__", "a", 3));
    await world.write(world.delta("todos", "b", 0));
    const reader = { cursor: undefined, got: [] as string[] };
    unwrapOrThrow(await readOn(world.open(), reader, { limit: 1, pages: nth % 4 }));
    const died = await world.open(nth).move(TABLES);
    dead = !died.ok;
    const database = world.open();
    if (nth % 2 === 0) unwrapOrThrow(await readOn(database, reader, { limit: 1, pages: 1 }));
    assertEquals(await statesOf(database, 10), world.states(), `killed at ${nth}`);
    unwrapOrThrow(await database.move(TABLES));
    unwrapOrThrow(await readOn(database, reader, { limit: 1, pages: Infinity }));
    const wanted = world.written.map(({ deltaId }) => deltaId).toSorted();
    assertEquals(reader.got.toSorted(), wanted, `killed at ${nth}`);
    assertEquals([await count(world.hot), await count(world.cold)], [1, 2]);
    if (!dead) assert(nth > 15);
  }
});

each(
  "readers get each delta once, whatever is written, moved, killed and run at once",
  async (make, { rounds }) => {
    const prng = new Prng(42);
    for (let round = 0; round < rounds; round++) {
      const world = await make();
      const readers = Array.from({ length: 3 }, () => ({
        cursor: undefined as string | undefined,
        got: [] as string[],
      }));
      for (let i = 0; i < 25; i++) {
        const kind = prng.int(0, 9);
        if (kind < 4) {
          await world.write(
            ...Array.from({ length: prng.int(1, 6) }, () =>
              world.delta(
                prng.pick(["todos", "__proto__"]),
                `r${prng.int(0, 8)}`,
                prng.int(0, 40) / 10,
                prng.pick(["INSERT", "UPDATE", "DELETE"]),
              )),
          );
        } else if (kind < 6) {
          await Promise.all([
            world.open(prng.pick([Infinity, prng.int(1, 30)])).move(TABLES),
            prng.chance(0.3) ? world.open().move(TABLES) : undefined,
            readOn(world.open(), prng.pick(readers), { limit: prng.int(1, 5), pages: 3 }),
          ]);
        } else if (kind < 9) {
          const options = { limit: prng.int(1, 5), pages: prng.int(1, 4) };
          unwrapOrThrow(await readOn(world.open(), prng.pick(readers), options));
        } else await world.clock.advance(DAY / 4);
        assertEquals(await statesOf(world.open(), prng.pick([2, 100])), world.states());
      }
      const wanted = world.written.map(({ deltaId }) => deltaId).toSorted();
      for (const reader of readers) {
        unwrapOrThrow(await readOn(world.open(), reader, { limit: 7, pages: Infinity }));
        assertEquals(reader.got.toSorted(), wanted);
      }
    }
  },
);

each(
  "a move that comes between a reader's look at the one and at the other hides nothing",
  async (make) => {
    const world = await make();
    await world.write(world.delta("todos", "old", 3), world.delta("todos", "new", 0));
    const asked = world.cold.queryDeltasSince.bind(world.cold);
    let moved = 0;
    world.cold.queryDeltasSince = async (after, query) => {
      const page = await asked(after, query);
      if (moved++ === 0) unwrapOrThrow(await world.open().move(TABLES));
      return page;
    };
    const reader = { cursor: undefined, got: [] as string[] };
    unwrapOrThrow(await readOn(world.open(), reader, { limit: 10, pages: Infinity }));
    unwrapOrThrow(await readOn(world.open(), reader, { limit: 10, pages: Infinity }));
    assertEquals(reader.got.toSorted(), world.written.map(({ deltaId }) => deltaId).toSorted());
  },
);
