import { join } from "node:path";
import { gatewayPaths } from "@lakesync/deploy";
import { fillLog } from "./_gateway.ts";
import { type Benchmark, figureOf, measure, type Target } from "./_harness.ts";
import { runScript, startGateway } from "./_server.ts";
import { Workload } from "./_workload.ts";

/** What a child tells of its sync. */
interface Synced {
  readonly seconds: number;
  readonly rssBefore: number;
  readonly rssPeak: number;
}

const MIB = 2 ** 20;

/** What a device's first sync takes in memory. */
export const firstSyncMemory: Benchmark = {
  name: "memory",
  about:
    "a new client in a process of its own takes a checkpoint over HTTP on loopback into a SQLite file: the process's greatest RSS, at 100,000 rows and at 1,000,000.",
  floor:
    "the checkpoint of 100,000 rows: what ten times as many rows need on top of that is what grows with them",
  async run({ quick, directory, progress }) {
    const sizes = quick ? [1_000, 10_000] : [100_000, 1_000_000];
    const [small, large] = sizes as [number, number];
    const synced = new Map<number, Synced>();
    const lane = (rows: number) => async (): Promise<{ units: number; seconds: number }> => {
      const data = join(directory, `data-${rows}`);
      progress(`filling a log with ${rows} rows`);
      await fillLog(gatewayPaths(data, "default").log, new Workload({ rows }).inserts(5_000));
      await using gateway = await startGateway(data);
      progress(`syncing ${rows} rows`);
      const args = [gateway.url, join(directory, `client-${rows}.db`), String(rows)];
      const outcome = await runScript("./first_sync_memory_child.ts", args) as Synced;
      synced.set(rows, outcome);
      return { units: rows, seconds: outcome.seconds };
    };
    const rates = await measure({ small: lane(small), large: lane(large) }, {
      rounds: 1,
      warmUps: 0,
    });
    const peak = (rows: number): number => synced.get(rows)!.rssPeak / MIB;
    const growth: Target = {
      name: `RSS at ${large.toLocaleString("en")} rows on top of that at ${
        small.toLocaleString("en")
      }`,
      value: peak(large) - peak(small),
      unit: "MiB",
      bound: "at most",
      // Rows that were kept in memory would take more than 300.
      limit: 128,
    };
    return [
      figureOf(rates, {
        name: `checkpoint of ${large.toLocaleString("en")} rows`,
        unit: "rows",
        lane: "large",
        floor: "small",
        targets: [growth],
        facts: [
          ...sizes.map((rows) => ({
            name: `RSS at ${rows.toLocaleString("en")} rows`,
            value: peak(rows),
            unit: "MiB",
          })),
          { name: "RSS before", value: synced.get(large)!.rssBefore / MIB, unit: "MiB" },
        ],
      }),
    ];
  },
};
