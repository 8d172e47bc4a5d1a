import { join } from "node:path";
import { unwrapOrThrow } from "@lakesync/core";
import { createGateway, type Gateway, kvLogStore, openDenoKv } from "@lakesync/gateway";
import { pushAll } from "./_gateway.ts";
import { type Benchmark, figureOf, measure, timed } from "./_harness.ts";
import { BareKv } from "./_bare_kv.ts";
import { type PushBody, todos, Workload } from "./_workload.ts";

const BATCHES = [1_000, 100, 1] as const;

interface Sizes {
  /** Rows that updates fall on. */
  readonly rows: number;
  /** Deltas of a round, by batch size. */
  readonly deltas: { readonly [Batch in (typeof BATCHES)[number]]: number };
  readonly rounds: number;
}

const FULL: Sizes = { rows: 10_000, deltas: { 1_000: 10_000, 100: 4_000, 1: 300 }, rounds: 5 };
const QUICK: Sizes = { rows: 200, deltas: { 1_000: 1_000, 100: 200, 1: 5 }, rounds: 1 };

/** Why Deno KV cannot be measured here; undefined where it can. */
export const kvMissing: string | undefined = "Deno" in globalThis ? undefined : "this is not Deno";

/** Pushes into the Deno KV store, on a local file. */
export const pushKv: Benchmark = {
  name: "push-kv",
  about:
    "gateway.push (decode, check, plan, append; durable) over Deno KV in a local file, one push at a time.",
  floor:
    "the deltas' JSON texts in values of 60,000 bytes and a value for each row, in as few atomics as KV's limits allow",
  async run({ quick, directory, progress }) {
    const sizes = quick ? QUICK : FULL;
    const work = new Workload({ rows: sizes.rows });
    progress(`filling a log with ${sizes.rows} rows`);
    const gateway = await openKvGateway(join(directory, "log.kv"));
    await pushAll(gateway, work.inserts(1_000));
    const bare = await BareKv.open(join(directory, "bare.kv"));
    const figures = [];
    for (const kind of ["updates", "inserts"] as const) {
      for (const batch of BATCHES) {
        progress(`${kind}, ${batch} a push`);
        const count = sizes.deltas[batch];
        const bodies = (): PushBody[] => [
          ...(kind === "updates" ? work.updates(count, batch) : work.freshInserts(count, batch)),
        ];
        const rates = await measure({
          kv() {
            const measured = bodies();
            return timed(count, () => pushAll(gateway, measured));
          },
          bare() {
            const measured = bodies();
            return timed(count, async () => {
              for (const { deltas } of measured) await bare.push(deltas);
            });
          },
        }, { rounds: sizes.rounds, warmUps: quick ? 0 : 1 });
        const name = `${kind}, ${batch.toLocaleString("en")} a push`;
        figures.push(figureOf(rates, { name, unit: "deltas", lane: "kv", floor: "bare" }));
      }
    }
    await gateway.close();
    bare.close();
    return figures;
  },
};

async function openKvGateway(path: string): Promise<Gateway> {
  const kv = unwrapOrThrow(await openDenoKv({ path }));
  const store = unwrapOrThrow(await kvLogStore({ kv, closesKv: true }));
  return unwrapOrThrow(await createGateway({ id: "default", store, tables: [todos.schema] }));
}
