import { join } from "node:path";
import { runtimeName } from "@lakesync/testing";
import { gatewayPaths } from "@lakesync/deploy";
import { fillLog } from "./_gateway.ts";
import { type Benchmark, figureOf, measure, type Round, timed } from "./_harness.ts";
import { startBareServer, startGateway } from "./_server.ts";
import { CLIENTS, Workload } from "./_workload.ts";

const BATCH = 100;

/** Pushes over HTTP. */
export const pushHttp: Benchmark = {
  name: "push-http",
  about:
    "8 clients at once, each a push of 100 one-column updates after the other, durable, over HTTP on loopback to a gateway in another process; the load comes from this one.",
  floor:
    "the same bodies to a bare server on the same runtime that parses them and answers a small JSON (nothing is stored)",
  async run({ quick, directory, progress }) {
    const rows = quick ? 500 : 100_000;
    const pushes = quick ? 8 : 320;
    const work = new Workload({ rows });
    progress(`filling a log with ${rows} rows`);
    const data = join(directory, "data");
    await fillLog(gatewayPaths(data, "default").log, work.inserts(5_000));
    await using gateway = await startGateway(data);
    await using bare = await startBareServer();
    progress("pushing");
    const encoder = new TextEncoder();
    const load = (url: string) => (): Promise<Round> => {
      const queues = CLIENTS.map((): Uint8Array<ArrayBuffer>[] => []);
      for (const body of work.updates(pushes * BATCH, BATCH)) {
        queues[CLIENTS.indexOf(body.clientId)]!.push(encoder.encode(JSON.stringify(body)));
      }
      return timed(pushes * BATCH, () => Promise.all(queues.map((queue) => send(url, queue))));
    };
    const rates = await measure({
      gateway: load(`${gateway.url}/v1/sync/default/push`),
      bare: load(bare.url),
    }, { rounds: quick ? 1 : 7, warmUps: quick ? 0 : 2 });
    return [
      figureOf(rates, {
        name: "8 clients × 100 deltas",
        unit: "deltas",
        lane: "gateway",
        floor: "bare",
        atLeast: runtimeName === "bun" ? 40_000 : 20_000,
      }),
    ];
  },
};

async function send(url: string, bodies: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
  for (const body of bodies) {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body });
    const answer = await response.json() as { accepted?: number };
    if (answer.accepted !== BATCH) {
      throw new Error(`A push was not accepted: ${response.status} ${JSON.stringify(answer)}`);
    }
  }
}
