// Tables for people of two databases that are read as one.
import { mergedTables } from "@lakesync/adapter-database";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { isVisible, type Materialisable, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";
import { findMariadb, startMariadb } from "../mariadb_server.ts";
import { findPostgres, startPostgres } from "../postgres_server.ts";
import { Prng } from "../prng.ts";
import { test } from "../test.ts";
import { TODOS } from "./fixture.ts";
import { DAY, dying, TABLES, World } from "./lifecycle_world.ts";

const { bin, skip: noPostgres } = await findPostgres();
const { programs, skip: noMariadb } = await findMariadb();

test({
  name:
    "tables for people show what two databases merge to, through moves, deaths and several at once",
  skip: noPostgres ?? noMariadb,
  timeoutMs: 120_000,
}, async () => {
  await using pg = await startPostgres({ bin: bin! });
  await using maria = await startMariadb({ programs: programs! });
  const hot = () => postgresServer({ url: pg.url });
  const cold = unwrapOrThrow(await mysqlServer({ url: maria.url }));
  const world = new World(unwrapOrThrow(await hot()), cold);
  const server = unwrapOrThrow(await hot());
  const ask = async (text: string) =>
    unwrapOrThrow(await server.transaction((work) => work.run({ text, parameters: [] })));
  /** What keeps the tables; it dies at its nth call of anything. */
  const tables = (nth = Infinity): Materialisable => {
    const [database, store] = dying<object>([world.open(), world.store], nth);
    return mergedTables(
      { database, store, server, key: "shown" } as Parameters<
        typeof mergedTables
      >[0],
    );
  };
  const prng = new Prng(42);
  let deaths = 0;
  for (let i = 0; i < 60; i++) {
    const deltas = Array.from({ length: prng.int(1, 5) }, () =>
      world.delta(
        "todos",
        `r${prng.int(0, 8)}`,
        prng.int(0, 40) / 10,
        prng.pick(["INSERT", "UPDATE", "UPDATE", "DELETE"]),
      ));
    await world.write(...deltas);
    const done = await Promise.all([
      tables(prng.int(1, 8)).materialise(TODOS),
      world.open(prng.pick([Infinity, prng.int(1, 30)])).move(TABLES),
      ...prng.chance(0.5) ? [tables().materialise(TODOS), tables().materialise(TODOS)] : [],
    ]);
    if (!done[0]!.ok) deaths++;
    if (prng.chance(0.2)) await world.clock.advance(DAY / 2);
    if (prng.chance(0.1)) await ask("DROP TABLE IF EXISTS todos");
    if (!prng.chance(0.5)) continue;
    unwrapOrThrow(await tables().materialise(TODOS));
    const wanted = Array.from(world.rows()).filter(([, state]) => isVisible(state))
      .map(([key, { columns }]) => [key.slice("todos/".length), columns.get("title")?.[0] ?? null]);
    const shown: unknown = await ask("SELECT id, title FROM todos ORDER BY id");
    assertEquals(shown, wanted.toSorted(), `${i}`);
  }
  assert(deaths > 10, `${deaths} deaths`);
  await server.close();
  await world.open().close();
});
