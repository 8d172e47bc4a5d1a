import { closeSync, copyFileSync, fsyncSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  cloneRow,
  type Delta,
  emptyRow,
  type EntryEffect,
  type LogStore,
  mergeDelta,
  type RowState,
  type RowWrite,
  unwrapOrThrow,
} from "@lakesync/core";
import { type Gateway, openSqliteLogStore } from "@lakesync/gateway";
import { runtimeName } from "@lakesync/testing";
import { BareLog } from "./_bare_sqlite.ts";
import { fillLog, openGateway, pushAll } from "./_gateway.ts";
import {
  type Benchmark,
  type BenchmarkOptions,
  type Figure,
  figureOf,
  type Lane,
  laneOf,
  measure,
  type Rates,
  spread,
  timed,
} from "./_harness.ts";
import { type PushBody, Workload } from "./_workload.ts";

const BATCHES = [1_000, 100, 1] as const;

interface Sizes {
  /** Rows that updates fall on. */
  readonly rows: number;
  /** Deltas of the large log. */
  readonly logged: number;
  /** Deltas of a round, by batch size. */
  readonly deltas: { readonly [Batch in (typeof BATCHES)[number]]: number };
  /** Deltas that a small log gets before it is measured, so that rows are being folded as ever. */
  readonly warm: number;
  readonly rounds: number;
}

const FULL: Sizes = {
  rows: 100_000,
  logged: 1_000_000,
  deltas: { 1_000: 50_000, 100: 20_000, 1: 500 },
  warm: 30_000,
  rounds: 5,
};
const QUICK: Sizes = {
  rows: 500,
  logged: 2_000,
  deltas: { 1_000: 2_000, 100: 500, 1: 10 },
  warm: 0,
  rounds: 1,
};

/** Pushes into the SQLite store. */
export const pushStore: Benchmark = {
  name: "push-store",
  about:
    "gateway.push (decode, check, plan, append; durable) of parsed bodies, one push at a time by 8 clients in turn; and store.append alone of entries that are planned already.",
  floor:
    "the deltas' JSON texts into a bare SQLite table (seq, payload), a commit a batch, WAL and synchronous = FULL",
  async run(options) {
    const sizes = options.quick ? QUICK : FULL;
    const { directory, progress } = options;
    const work = new Workload({ rows: sizes.rows });
    progress(`filling a log with ${sizes.rows} rows`);
    const seed = join(directory, "rows.db");
    await fillLog(seed, work.inserts(5_000));
    progress(`filling a log with ${sizes.logged} deltas`);
    const large = join(directory, "large.db");
    copyFileSync(seed, large);
    await fillLog(large, work.updates(sizes.logged - sizes.rows, 5_000));
    const gateway = await openGateway(large);
    const context: Context = { ...options, sizes, work, seed, large: gateway, files: 0 };
    const figures: Figure[] = [];
    for (const kind of ["updates", "inserts"] as const) {
      for (const batch of BATCHES) figures.push(...await measureBatch(context, kind, batch));
    }
    await gateway.close();
    return figures;
  },
};

interface Context extends BenchmarkOptions {
  readonly sizes: Sizes;
  readonly work: Workload;
  /** A closed log that has the rows. */
  readonly seed: string;
  /** A gateway over the large log. */
  readonly large: Gateway;
  files: number;
}

type Kind = "updates" | "inserts";

async function measureBatch(
  context: Context,
  kind: Kind,
  batch: (typeof BATCHES)[number],
): Promise<Figure[]> {
  const { sizes, work, directory, progress } = context;
  const count = sizes.deltas[batch];
  const warm = batch === 1 ? 0 : sizes.warm;
  progress(`${kind}, ${batch} a push`);
  const bodies = (deltas: number, size: number): PushBody[] => [
    ...(kind === "updates" ? work.updates(deltas, size) : work.freshInserts(deltas, size)),
  ];
  const newFile = (): string => join(directory, `${context.files++}.db`);
  // Updates need rows to fall on; inserts start from nothing.
  const newLog = (): string => {
    const path = newFile();
    if (kind === "updates") copyDurably(context.seed, path);
    return path;
  };
  const bare = new BareLog(newFile());
  const lanes: { [name: string]: Lane } = {
    async small() {
      const path = newLog();
      const gateway = await openGateway(path);
      await pushAll(gateway, bodies(warm, 1_000));
      const measured = bodies(count, batch);
      const round = await timed(count, () => pushAll(gateway, measured));
      await gateway.close();
      rmSync(path);
      return round;
    },
    async large() {
      const measured = bodies(count, batch);
      return await timed(count, () => pushAll(context.large, measured));
    },
    async append() {
      const path = newLog();
      const store = unwrapOrThrow(await openSqliteLogStore({ path }));
      const planner = new Planner(kind);
      for (const body of bodies(warm, 1_000)) await planner.plan(body)(store);
      const measured = bodies(count, batch).map((body) => planner.plan(body));
      const round = await timed(count, async () => {
        for (const append of measured) await append(store);
      });
      await store.close();
      rmSync(path);
      return round;
    },
    bare() {
      const measured = bodies(count, batch).map(({ deltas }) =>
        deltas.map((delta) => JSON.stringify(delta))
      );
      return timed(count, () => {
        for (const payloads of measured) bare.append(payloads);
      });
    },
  };
  const rates = await measure(lanes, { rounds: sizes.rounds, warmUps: context.quick ? 0 : 1 });
  bare.close();
  return figuresOf(rates, { kind, batch, sizes });
}

function figuresOf(
  rates: Rates,
  options: { kind: Kind; batch: number; sizes: Sizes },
): Figure[] {
  const { kind, batch, sizes } = options;
  const target = batch === 1_000;
  const name = `${kind}, ${batch.toLocaleString("en")} a push`;
  const small = kind === "updates"
    ? `log of the ${sizes.rows.toLocaleString("en")} rows`
    : "empty log";
  const logged = sizes.logged.toLocaleString("en");
  const large = laneOf(rates, "large");
  const loss = spread(laneOf(rates, "small").map((rate, i) => 100 * (1 - large[i]! / rate)));
  const slower = { name: `slower than with the ${small}`, value: loss.median, unit: "%" };
  const common = { unit: "deltas", floor: "bare" };
  return [
    figureOf(rates, {
      ...common,
      name: `${name}, ${small}`,
      lane: "small",
      ...(target && { atLeast: runtimeName === "bun" ? 100_000 : 80_000 }),
    }),
    figureOf(rates, {
      ...common,
      name: `${name}, log of ${logged}`,
      lane: "large",
      facts: target ? [] : [slower],
      targets: target ? [{ ...slower, bound: "at most", limit: 10 }] : [],
    }),
    figureOf(rates, { ...common, name: `${name}, ${small}, append alone`, lane: "append" }),
  ];
}

/** Copies a file to the disk, so that the first commit on the copy does not have to wait for it. */
function copyDurably(from: string, to: string): void {
  copyFileSync(from, to);
  const file = openSync(to, "r+");
  fsyncSync(file);
  closeSync(file);
}

/** Plans pushes beforehand, so that an append is nothing but that. */
class Planner {
  readonly #kind: Kind;
  readonly #rows = new Map<string, RowState>();

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  plan({ clientId, deltas }: PushBody): (store: LogStore) => Promise<void> {
    const before = this.#kind === "inserts" ? "none" : "alive";
    const effect: EntryEffect = {
      before,
      after: "alive",
      last: true,
      life: this.#kind === "inserts",
      columns: undefined,
      state: undefined,
      judged: undefined,
    };
    const entries = deltas.map((delta) => ({
      delta,
      effect,
      txEnd: true,
      keys: [`t:${delta.table}`],
    }));
    const rows = [...new Map(deltas.map((delta) => [delta.rowId, this.#merge(delta)])).values()];
    return async (store) => {
      unwrapOrThrow(
        await store.append({
          clientId,
          deltas,
          rows: deltas,
          plan: () => ({ entries, rows }),
        }),
      );
    };
  }

  #merge(delta: Delta): RowWrite {
    const { table, rowId } = delta;
    const held = this.#rows.get(rowId);
    const state = held === undefined ? emptyRow() : cloneRow(held);
    // A row that the seed has: what matters is that its state has a life and its columns.
    if (held === undefined && delta.op === "UPDATE") {
      const columns = [
        { column: "title", value: "Task number 1" },
        { column: "done", value: false },
        { column: "n", value: 1 },
      ];
      mergeDelta(state, { op: "INSERT", hlc: "1", clientId: delta.clientId, columns });
    }
    mergeDelta(state, delta);
    this.#rows.set(rowId, state);
    return { table, rowId, state };
  }
}
