import { join } from "node:path";
import { type PullAnswer, unwrapOrThrow } from "@lakesync/core";
import { gatewayPaths } from "@lakesync/deploy";
import { pageToJson } from "@lakesync/gateway";
import { BareLog } from "./_bare_sqlite.ts";
import { fillLog, openGateway } from "./_gateway.ts";
import { type Benchmark, figureOf, measure, timed } from "./_harness.ts";
import { startGateway } from "./_server.ts";
import { type PushBody, Workload } from "./_workload.ts";

const PAGE = 1_000;

/** Pulls from the beginning of the log to its end. */
export const pull: Benchmark = {
  name: "pull",
  about:
    "pages of 1,000 deltas from the beginning to the end of a log of as many inserts as updates: gateway.pull to its JSON text, and over HTTP on loopback from another process, packed (as fetch asks for it) and not, parsed.",
  floor: "the deltas' JSON texts read in pages of 1,000 from a bare SQLite table",
  async run({ quick, directory, progress }) {
    const rows = quick ? 1_500 : 100_000;
    const work = new Workload({ rows });
    const count = 2 * rows;
    progress(`filling a log with ${count} deltas`);
    const bare = new BareLog(join(directory, "bare.db"));
    const data = join(directory, "data");
    const local = join(directory, "local.db");
    const bodies = [...work.inserts(5_000), ...work.updates(rows, 5_000)];
    for (const { deltas } of bodies) bare.append(deltas.map((delta) => JSON.stringify(delta)));
    await fillBoth([local, gatewayPaths(data, "default").log], bodies);
    const gateway = await openGateway(local);
    await using server = await startGateway(data);
    progress("pulling");

    const query = (cursor: string) =>
      new URLSearchParams({ clientId: "reader", cursor, limit: String(PAGE) });
    const pages = (page: (cursor: string) => Promise<string>) => async () => {
      let pulled = 0;
      const round = await timed(count, async () => {
        for (let cursor = "", more = true; more;) {
          const answer = JSON.parse(await page(cursor)) as PullAnswer;
          pulled += answer.deltas.length;
          ({ cursor, hasMore: more } = answer);
        }
      });
      if (pulled !== count) throw new Error(`Pulled ${pulled} of ${count} deltas`);
      return round;
    };
    const overHttp = (encoding: string) =>
      pages(async (cursor) => {
        const response = await fetch(`${server.url}/v1/sync/default/pull?${query(cursor)}`, {
          headers: { "accept-encoding": encoding },
        });
        return await response.text();
      });
    const rates = await measure({
      // The text alone: parsing it is the receiver's work.
      async store() {
        let pulled = 0;
        return await timed(count, async () => {
          let chars = 0;
          for (let cursor = "", more = true; more; pulled += PAGE) {
            const context = { caller: { sub: undefined } };
            const page = unwrapOrThrow(await gateway.pull(query(cursor), context));
            chars += pageToJson(page).length;
            cursor = page.cursor;
            more = page.hasMore;
          }
          if (pulled < count || chars === 0) throw new Error(`Pulled ${pulled} of ${count} deltas`);
        });
      },
      gzip: overHttp("gzip"),
      identity: overHttp("identity"),
      bare: () =>
        timed(count, () => {
          let texts = 0;
          for (let after = 0;;) {
            const page = bare.read(after, PAGE);
            if (page.length === 0) break;
            texts += page.map(({ payload }) => payload).join(",").length;
            after = page.at(-1)!.seq;
          }
          if (texts === 0) throw new Error("Read nothing");
        }),
    }, { rounds: quick ? 1 : 5, warmUps: quick ? 0 : 1 });
    await gateway.close();
    bare.close();
    const figure = (name: string, lane: string, atLeast: number) =>
      figureOf(rates, { name, unit: "deltas", lane, floor: "bare", atLeast });
    return [
      figure("gateway.pull", "store", 300_000),
      figure("HTTP, gzip", "gzip", 100_000),
      figure("HTTP, not packed", "identity", 100_000),
    ];
  },
};

async function fillBoth(paths: readonly string[], bodies: readonly PushBody[]): Promise<void> {
  for (const path of paths) await fillLog(path, bodies);
}
