import { join } from "node:path";
import { createClient } from "@lakesync/client";
import { unwrapOrThrow } from "@lakesync/core";
import { gatewayPaths } from "@lakesync/deploy";
import { type BareRow, BareTodos } from "./_bare_sqlite.ts";
import { fillLog } from "./_gateway.ts";
import { type Benchmark, figureOf, measure, timed } from "./_harness.ts";
import { startGateway } from "./_server.ts";
import { todos, Workload } from "./_workload.ts";

/** The first sync of a device. */
export const firstSync: Benchmark = {
  name: "first-sync",
  about:
    "a new client with an empty SQLite file takes a checkpoint of 100,000 rows over HTTP on loopback from a gateway in another process: syncOnce() until all rows are committed.",
  floor: "the same rows inserted into a bare SQLite table in one transaction",
  async run({ quick, directory, progress }) {
    const rows = quick ? 2_000 : 100_000;
    const work = new Workload({ rows });
    const bodies = [...work.inserts(5_000)];
    progress(`filling a log with ${rows} rows`);
    const data = join(directory, "data");
    await fillLog(gatewayPaths(data, "default").log, bodies);
    const bareRows: BareRow[] = bodies.flatMap(({ deltas }) =>
      deltas.map(({ rowId, columns: [title, done, n] }) =>
        [rowId, title!.value as string, Number(done!.value), n!.value as number] as const
      )
    );
    await using gateway = await startGateway(data);
    progress("syncing");
    let files = 0;
    const rates = await measure({
      async client() {
        const client = unwrapOrThrow(
          await createClient({
            tables: [todos],
            database: join(directory, `client-${files++}.db`),
            url: gateway.url,
            sync: { auto: false },
          }),
        );
        const round = await timed(rows, async () => unwrapOrThrow(await client.syncOnce()));
        const [count] = unwrapOrThrow(await client.query("SELECT count(*) AS n FROM todos"));
        if (count?.n !== rows) throw new Error(`The client has ${count?.n} of ${rows} rows`);
        await client.close();
        return round;
      },
      async bare() {
        const bare = new BareTodos(join(directory, `bare-${files++}.db`));
        const round = await timed(rows, () => bare.insert(bareRows));
        bare.close();
        return round;
      },
    }, { rounds: quick ? 1 : 5, warmUps: quick ? 0 : 1 });
    return [
      figureOf(rates, {
        name: `checkpoint of ${rows.toLocaleString("en")} rows`,
        unit: "rows",
        lane: "client",
        floor: "bare",
        atLeast: 120_000,
      }),
    ];
  },
};
