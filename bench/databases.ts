import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { type Delta, unwrapOrThrow } from "@lakesync/core";
import { findMariadb, findPostgres, startMariadb, startPostgres } from "@lakesync/testing";
import { DatabaseLane } from "./_databases.ts";
import { type Benchmark, type Figure, figureOf, measure, timed } from "./_harness.ts";
import { MARIADB_SIZES } from "./_source_table.ts";
import { Workload } from "./_workload.ts";

const { bin } = await findPostgres({ install: false });
const { programs } = await findMariadb({ install: false });

/** Whether this machine has a database server at all. */
export const hasDatabase: boolean = bin !== undefined || programs !== undefined;

interface Sizes {
  readonly deltas: number;
  readonly rounds: number;
}

const FULL: Sizes = { deltas: 100_000, rounds: 5 };
const QUICK: Sizes = { deltas: 1_000, rounds: 1 };

/** Deltas into databases, and the tables that people query. */
export const databases: Benchmark = {
  name: "databases",
  about:
    "insertDeltas of new rows in one batch (deltas, merged states, watermark: one commit), then materialise of them, into Postgres and MariaDB (servers on this machine, loopback TCP, fsync on; MariaDB with 1 GiB of buffers and of log).",
  floor:
    "the same bytes into bare tables of the same form by the same statements, a commit a round: deltas and states for insertDeltas, the rows for materialise",
  async run({ quick, progress }) {
    const sizes = quick ? QUICK : FULL;
    const figures: Figure[] = [];
    if (bin !== undefined) {
      progress("Postgres");
      await using server = await startPostgres({ bin, fsync: true });
      const { url } = server;
      const lane = await DatabaseLane.open(() => postgresServer({ url }));
      figures.push(...await runLane("Postgres", lane, { sizes, quick }));
    }
    if (programs !== undefined) {
      progress("MariaDB");
      await using server = await startMariadb({ programs, fsync: true });
      const root = unwrapOrThrow(await mysqlServer({ url: server.url }));
      for (const text of [...MARIADB_SIZES, "CREATE DATABASE bench"]) {
        unwrapOrThrow(await root.transaction((work) => work.run({ text, parameters: [] })));
      }
      await root.close();
      const url = server.url.replace(/mysql$/, "bench");
      const lane = await DatabaseLane.open(() => mysqlServer({ url }));
      figures.push(...await runLane("MariaDB", lane, { sizes, quick }));
    }
    return figures;
  },
};

async function runLane(
  name: string,
  lane: DatabaseLane,
  options: { sizes: Sizes; quick: boolean },
): Promise<Figure[]> {
  const { sizes, quick } = options;
  const work = new Workload({ rows: 0 });
  let deltas: readonly Delta[] = [];
  const fresh = () => {
    deltas = [...work.freshInserts(sizes.deltas, sizes.deltas)][0]!.deltas;
  };
  const rates = await measure({
    insert() {
      fresh();
      return timed(sizes.deltas, () => lane.insert(deltas));
    },
    bareInsert: () => timed(sizes.deltas, () => lane.bareInsert(deltas)),
    materialise: () => timed(sizes.deltas, () => lane.materialise()),
    bareMaterialise: () => timed(sizes.deltas, () => lane.bareMaterialise(deltas)),
  }, { rounds: sizes.rounds, warmUps: quick ? 0 : 1 });
  await lane.close();
  const atLeast = quick ? {} : { atLeast: 60_000 };
  const unit = "rows";
  return [
    figureOf(rates, {
      name: `${name}, insert`,
      unit,
      lane: "insert",
      floor: "bareInsert",
      ...atLeast,
    }),
    figureOf(rates, {
      name: `${name}, materialise`,
      unit,
      lane: "materialise",
      floor: "bareMaterialise",
      ...atLeast,
    }),
  ];
}
