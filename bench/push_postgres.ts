import { unwrapOrThrow } from "@lakesync/core";
import {
  createGateway,
  type Gateway,
  openPostgresDatabase,
  openPostgresLogStore,
  type PostgresDatabase,
} from "@lakesync/gateway";
import { findPostgres, startPostgres } from "@lakesync/testing";
import { BarePostgres } from "./_bare_postgres.ts";
import { pushAll } from "./_gateway.ts";
import {
  type Benchmark,
  type Figure,
  figureOf,
  laneOf,
  measure,
  spread,
  timed,
} from "./_harness.ts";
import { type PushBody, todos, Workload } from "./_workload.ts";

const { bin, skip } = await findPostgres({ install: false });

/** Why this machine cannot run it; undefined where it can. */
export const postgresMissing: string | undefined = skip;

interface Sizes {
  /** Rows that updates fall on. */
  readonly rows: number;
  /** Deltas of the large log. */
  readonly logged: number;
  /** Deltas of a round, by batch size. */
  readonly deltas: readonly (readonly [batch: number, deltas: number])[];
  readonly rounds: number;
}

const FULL: Sizes = {
  rows: 20_000,
  logged: 400_000,
  deltas: [[1_000, 20_000], [100, 10_000], [1, 300]],
  rounds: 5,
};
const QUICK: Sizes = { rows: 200, logged: 1_000, deltas: [[1_000, 1_000], [1, 5]], rounds: 1 };

/** Pushes into the Postgres store. */
export const pushPostgres: Benchmark = {
  name: "push-postgres",
  about:
    "gateway.push of updates into the Postgres store (a server on this machine, over loopback TCP, fsync on), one push at a time by 8 clients in turn.",
  floor:
    "the deltas' JSON texts into a bare Postgres table (seq, payload) by INSERT … SELECT unnest, a commit a batch",
  async run({ quick, progress }) {
    const sizes = quick ? QUICK : FULL;
    await using server = await startPostgres({ bin: bin!, fsync: true });
    const database = unwrapOrThrow(await openPostgresDatabase({ url: server.url }));
    const work = new Workload({ rows: sizes.rows });
    const small = await openGateway(database, "small");
    const large = await openGateway(database, "large");
    const bare = await BarePostgres.open(server.url);
    progress(`filling a log with ${sizes.rows} rows and one with ${sizes.logged} deltas`);
    await pushAll(small, work.inserts(5_000));
    await pushAll(large, work.inserts(5_000));
    await pushAll(large, work.updates(sizes.logged - sizes.rows, 5_000));
    const figures: Figure[] = [];
    for (const [batch, deltas] of sizes.deltas) {
      progress(`${batch} a push`);
      const bodies = (): PushBody[] => [...work.updates(deltas, batch)];
      const lane = (gateway: Gateway) => () => {
        const measured = bodies();
        return timed(deltas, () => pushAll(gateway, measured));
      };
      const rates = await measure({
        small: lane(small),
        large: lane(large),
        bare() {
          const measured = bodies().map(({ deltas }) =>
            deltas.map((delta) => JSON.stringify(delta))
          );
          return timed(deltas, async () => {
            for (const payloads of measured) await bare.append(payloads);
          });
        },
      }, { rounds: sizes.rounds, warmUps: quick ? 0 : 1 });
      const behind = laneOf(rates, "large");
      const loss = spread(laneOf(rates, "small").map((rate, i) => 100 * (1 - behind[i]! / rate)));
      const name = `updates, ${batch.toLocaleString("en")} a push`;
      const common = { unit: "deltas", floor: "bare" };
      const logged = sizes.logged.toLocaleString("en");
      figures.push(
        figureOf(rates, { ...common, name: `${name}, small log`, lane: "small" }),
        figureOf(rates, {
          ...common,
          name: `${name}, log of ${logged}`,
          lane: "large",
          facts: [{ name: "slower than with the small log", value: loss.median, unit: "%" }],
        }),
      );
    }
    await small.close();
    await large.close();
    await bare.close();
    await database.close();
    return figures;
  },
};

async function openGateway(database: PostgresDatabase, schema: string): Promise<Gateway> {
  const store = unwrapOrThrow(await openPostgresLogStore({ database, schema }));
  return unwrapOrThrow(await createGateway({ id: "default", store, tables: [todos.schema] }));
}
