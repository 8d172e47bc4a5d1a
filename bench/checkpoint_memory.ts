import { join } from "node:path";
import { gatewayPaths } from "@lakesync/deploy";
import { fillLog } from "./_gateway.ts";
import {
  type Benchmark,
  type Fact,
  type Figure,
  figureOf,
  measure,
  type Round,
  timed,
} from "./_harness.ts";
import { type ServerProcess, startCheckpointGateway } from "./_server.ts";
import { Workload } from "./_workload.ts";

const CALLERS = 8;

/** Checkpoints for many at once, and what they cost a gateway's memory. */
export const checkpointMemory: Benchmark = {
  name: "checkpoint-memory",
  about:
    `${CALLERS} callers at once, each reading a whole checkpoint in gzip over HTTP on loopback from a gateway in another process that keeps checkpoints on its disk; the most memory that the gateway ever had.`,
  floor: "the same callers at a gateway that makes the checkpoint anew for each",
  async run({ quick, directory, progress }) {
    const figures: Figure[] = [];
    for (const rows of quick ? [2_000] : [100_000, 1_000_000]) {
      progress(`filling a log with ${rows} rows`);
      const data = join(directory, `data-${rows}`);
      await fillLog(gatewayPaths(data, "default").log, new Workload({ rows }).inserts(5_000));
      progress("reading");
      const facts: Fact[] = [];
      const lane = (way: "keep" | "anew") => async (): Promise<Round> => {
        await using gateway = await startCheckpointGateway(data, way);
        const round = await timed(
          rows * CALLERS,
          () => Promise.all(Array.from({ length: CALLERS }, (_, i) => read(gateway, i))),
        );
        facts.push({ name: `most memory, ${way}`, value: await maxMiB(gateway), unit: "MiB" });
        return round;
      };
      const rates = await measure({ keep: lane("keep"), anew: lane("anew") }, {
        rounds: 1,
        warmUps: 0,
      });
      figures.push(figureOf(rates, {
        name: `${CALLERS} checkpoints of ${rows.toLocaleString("en")} rows`,
        unit: "rows",
        lane: "keep",
        floor: "anew",
        facts: facts.slice(1),
        targets: [{ ...facts[0]!, bound: "at most", limit: 250 }],
      }));
    }
    return figures;
  },
};

/** Reads a checkpoint and forgets it. */
async function read({ url }: ServerProcess, caller: number): Promise<void> {
  const response = await fetch(`${url}/v1/sync/default/checkpoint?clientId=caller-${caller}`);
  if (!response.ok) throw new Error(`No checkpoint: ${await response.text()}`);
  for await (const _ of response.body!);
}

async function maxMiB({ url }: ServerProcess): Promise<number> {
  const { maxRss } = await (await fetch(`${url}/memory`)).json() as { maxRss: number };
  return maxRss / 2 ** 20;
}
