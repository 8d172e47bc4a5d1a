import { type SqlAdapter, sqlAdapter } from "@lakesync/adapter-database";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import {
  type Delta,
  deltaId,
  emptyRow,
  type FlushBatch,
  mergeDelta,
  type Result,
  type RowState,
  type SqlServer,
  unwrapOrThrow,
} from "@lakesync/core";
import { assertEquals } from "@std/assert";
import { findMariadb, startMariadb } from "../mariadb_server.ts";
import { findPostgres, startPostgres } from "../postgres_server.ts";
import { test } from "../test.ts";

const SCHEMA = { table: "todos", version: 1, columns: [{ name: "n", type: "integer" }] } as const;

/** Servers, with how they are connected to. */
const postgres = await findPostgres();
const mariadb = await findMariadb();
const SERVERS = [{
  name: "Postgres",
  skip: postgres.skip,
  start: () => startPostgres({ bin: postgres.bin! }),
  connect: (url: string): Promise<Result<SqlServer>> => postgresServer({ url }),
}, {
  name: "MariaDB",
  skip: mariadb.skip,
  start: () => startMariadb({ programs: mariadb.programs! }),
  connect: (url: string): Promise<Result<SqlServer>> => mysqlServer({ url }),
}];

function insertOf(row: number, n: number): Delta {
  const content = {
    op: "INSERT",
    table: "todos",
    rowId: `r${row}`,
    clientId: "a",
    hlc: String(65_536 * n),
    columns: [{ column: "n", value: n }],
  } as const;
  return { ...content, deltaId: deltaId(content) };
}

function batchOf(deltas: readonly Delta[], from: number | undefined): FlushBatch {
  const first = from ?? 0;
  const mark = from === undefined ? undefined : { epoch: "e", seq: from };
  async function* entries() {
    await Promise.resolve();
    yield deltas.map((delta, i) => ({ seq: first + i + 1, at: 1_700_000_000_000, delta }));
  }
  return {
    id: String(first),
    to: { epoch: "e", seq: first + deltas.length },
    tables: new Map([["todos", { schema: SCHEMA, from: mark }]]),
    entries: entries(),
  };
}

async function statesOf(adapter: SqlAdapter): Promise<Map<string, RowState>> {
  const { rows } = unwrapOrThrow(await adapter.getLatestState("todos", { limit: 100_000 }));
  return new Map(rows.map(({ rowId, state }) => [rowId, state]));
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

for (const { name, skip, start, connect } of SERVERS) {
  test(
    { name: `${name}: INSERTs of rows that are there merge, among new ones`, skip },
    async () => {
      await using server = await start();
      const adapter = sqlAdapter({ server: unwrapOrThrow(await connect(server.url)), name: "db" });
      // In several rounds: a first batch of new rows; one of which a third is there, one stamp earlier or
      // later; one with a row that is in two rounds of it.
      const first = numbers(0, 9_000).map((row) => insertOf(row, 5));
      const second = numbers(6_000, 20_000).map((row) => insertOf(row, row % 2 === 0 ? 4 : 6));
      const third = [...numbers(20_000, 27_000), 20_000, 1].map((row, i) =>
        insertOf(row, 7 + i % 3)
      );
      const model = new Map<string, RowState>();
      let from: number | undefined;
      for (const deltas of [first, second, third]) {
        for (const delta of deltas) {
          const state = model.get(delta.rowId) ?? emptyRow();
          model.set(delta.rowId, state);
          mergeDelta(state, delta);
        }
        const outcomes = unwrapOrThrow(await adapter.insertDeltas(batchOf(deltas, from)));
        assertEquals(outcomes.get("todos")?.status, "committed");
        from = (from ?? 0) + deltas.length;
      }
      const states = await statesOf(adapter);
      assertEquals(states.size, model.size);
      for (const [rowId, state] of model) assertEquals(states.get(rowId), state);
      await adapter.close();
    },
  );

  test(
    { name: `${name}: tables of format 1 are taken over, later ones left alone`, skip },
    async () => {
      await using server = await start();
      const raw = unwrapOrThrow(await connect(server.url));
      const run = async (...texts: string[]) => {
        for (const text of texts) {
          unwrapOrThrow(await raw.transaction((work) => work.run({ text, parameters: [] })));
        }
      };
      const open = async () =>
        sqlAdapter({ server: unwrapOrThrow(await connect(server.url)), name: "db" });
      const key = (type: "key" | "name" | "text" | "integer") => raw.dialect.column(type).sql;
      // As format 1 had it: the place alone is the key, a state names all stamps.
      unwrapOrThrow(await raw.transaction(() => Promise.resolve()));
      await run(
        `CREATE TABLE lakesync_deltas (pos ${key("integer")} PRIMARY KEY, table_name ${
          key("name")
        } NOT NULL,
        seq ${key("integer")}, at ${key("integer")}, row_key ${key("key")}, delta ${key("text")})`,
        "CREATE INDEX lakesync_deltas_by_table_name ON lakesync_deltas (table_name, pos)",
      );
      const before = await open();
      unwrapOrThrow(await before.insertDeltas(batchOf([insertOf(1, 5)], undefined)));
      await before.close();
      const state = '["r1",[true,"327680","a"],[["n",5,"327680","a"]]]';
      await run(
        "UPDATE lakesync_head SET value = 1 WHERE name = 'format'",
        `UPDATE lakesync_rows SET state = '${state}'`,
      );
      const adapter = await open();
      unwrapOrThrow(await adapter.insertDeltas(batchOf([insertOf(1, 6), insertOf(2, 6)], 1)));
      assertEquals(
        [...await statesOf(adapter)].map(([row, { columns }]) => [row, columns.get("n")]),
        [
          ["r1", [6, "393216", "a"]],
          ["r2", [6, "393216", "a"]],
        ],
      );
      const { entries } = unwrapOrThrow(await adapter.queryDeltasSince(undefined, { limit: 10 }));
      assertEquals(entries.map(({ delta }) => delta.rowId), ["r1", "r1", "r2"]);
      await adapter.close();
      await run("UPDATE lakesync_head SET value = 3 WHERE name = 'format'");
      const later = await open();
      const refused = await later.watermarks(["todos"]);
      assertEquals(refused.ok || refused.error.code, "CONFLICT");
      await later.close();
      await raw.close();
    },
  );
}
