import { DuckDBInstance } from "@duckdb/node-api";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergDestination, icebergLake } from "@lakesync/adapter-iceberg";
import { type Analyst, fileLocation, openAnalyst, type PendingDeltas } from "@lakesync/analyst";
import { type Delta, type FlushEntry, ok, unwrapOrThrow, type Watermark } from "@lakesync/core";
import { type Benchmark, type Figure, figureOf, measure, timed } from "./_harness.ts";
import { type PushBody, todos, Workload } from "./_workload.ts";

const EPOCH = "bench";
const COLUMNS = "count(*) AS rows, sum(n) AS n, max(title) AS title, count_if(done) AS done";
/** Carries a column, as an analyst by hand would ask. */
const CARRIES = (column: string) => `contains(_columns, '${column}')`;

/** Reading the rows that a lake's changes, and what is not flushed, amount to. */
export const unionRead: Benchmark = {
  name: "union-read",
  about:
    "an aggregate over all rows and columns of a table, merged from 1,000,000 changes (100,000 inserts of rows with random UUIDs, then one-column updates of random rows) of which 1 % are not flushed; the second figure with a filter on one row's id.",
  floor:
    "DuckDB over the same Parquet files and one with the unflushed changes: the newest value of each column by hand (arg_max by stamp, GROUP BY id; no tie rules, no deletes)",
  async run({ quick, directory, progress }) {
    const rows = quick ? 1_000 : 100_000;
    const count = 10 * rows;
    progress(`writing a lake of ${count.toLocaleString("en")} changes`);
    const workload = new Workload({ rows });
    const flushed = count - count / 100;
    const lake = await fillLake(`${directory}/lake`, [
      workload.inserts(5_000),
      workload.updates(flushed - rows, 5_000),
    ]);
    const fresh = entriesOf(workload.updates(count - flushed, 5_000), flushed);
    const pending = pendingOf(fresh);
    const { files } = unwrapOrThrow(await lake.scan("todos_changes"));
    const parquet = await freshParquet(`${directory}/fresh.parquet`, { lake, pending });
    const list = [...files.map(fileLocation), parquet].map((path) => `'${path}'`);
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const analyst = unwrapOrThrow(await openAnalyst({ lake, pending }));
    const id = workload.rowIds[rows >> 1]!;
    const figures: Figure[] = [];
    for (const where of ["", ` WHERE id = '${id}'`]) {
      const byHand = `SELECT ${COLUMNS} FROM (SELECT id${
        todos.schema.columns.map(({ name }) =>
          `, arg_max(${name}, _hlc) FILTER (${CARRIES(name)}) AS ${name}`
        ).join("")
      } FROM read_parquet([${list}])${where} GROUP BY id)`;
      const ask = async () =>
        JSON.stringify((await connection.runAndReadAll(byHand)).getRowsJson()[0]);
      let ours = "";
      let theirs = "";
      const rates = await measure({
        analyst: () => timed(count, async () => ours = await answer(analyst, where)),
        byHand: () => timed(count, async () => theirs = await ask()),
      }, { rounds: quick ? 1 : 5, warmUps: quick ? 0 : 1 });
      if (ours !== theirs) throw new Error(`The analyst says ${ours}, DuckDB alone ${theirs}`);
      const figure = figureOf(rates, {
        name: where === "" ? "all rows" : "one row by id",
        unit: "changes",
        lane: "analyst",
        floor: "byHand",
      });
      const times = 1 / figure.ratio.median;
      figures.push(
        where !== "" ? figure : {
          ...figure,
          targets: [{
            name: "times the floor",
            value: times,
            unit: "",
            bound: "at most",
            limit: 2,
          }],
        },
      );
    }
    await analyst.close();
    connection.closeSync();
    instance.closeSync();
    return figures;
  },
};

async function answer(analyst: Analyst, where: string): Promise<string> {
  const { rows } = unwrapOrThrow(
    await analyst.query(`SELECT ${COLUMNS} FROM todos${where}`),
  );
  return JSON.stringify(Object.values(rows[0]!).map(String));
}

/** Flushes pushes to a new lake. */
async function fillLake(directory: string, parts: readonly Iterable<PushBody>[]) {
  const store = fileObjectStore({ directory });
  const destination = icebergDestination({ store });
  let from: Watermark | undefined;
  for (const part of parts) {
    const all = entriesOf(part, from?.seq ?? 0);
    const to = { epoch: EPOCH, seq: all.at(-1)!.seq };
    const entries = async function* () {
      for (let start = 0; start < all.length; start += 5_000) {
        yield await Promise.resolve(all.slice(start, start + 5_000));
      }
    };
    const outcomes = unwrapOrThrow(
      await destination.write({
        id: `batch-${to.seq}`,
        to,
        tables: new Map([[todos.name, { schema: todos.schema, from }]]),
        entries: entries(),
      }),
    );
    const outcome = outcomes.get(todos.name);
    if (outcome?.status === "failed") throw outcome.error;
    from = to;
  }
  return icebergLake({ store });
}

function entriesOf(pushes: Iterable<PushBody>, after: number): readonly FlushEntry[] {
  const deltas: Delta[] = [];
  for (const push of pushes) for (const delta of push.deltas) deltas.push(delta);
  const start = Date.now() - deltas.length;
  return deltas.map((delta, i) => ({ seq: after + 1 + i, at: start + i, delta }));
}

function pendingOf(entries: readonly FlushEntry[]): PendingDeltas {
  return {
    epoch: EPOCH,
    schemas: () => Promise.resolve(ok([todos.schema])),
    async *read() {
      yield await Promise.resolve(ok(entries));
    },
  };
}

/** What is pending, as a file like those of the lake. */
async function freshParquet(
  path: string,
  options: { lake: ReturnType<typeof icebergLake>; pending: PendingDeltas },
): Promise<string> {
  const analyst = unwrapOrThrow(await openAnalyst(options));
  const { watermark } = unwrapOrThrow(await options.lake.scan("todos_changes"));
  unwrapOrThrow(
    await analyst.query(
      `COPY (SELECT * FROM todos_changes WHERE _seq > ${
        watermark!.seq
      }) TO '${path}' (FORMAT parquet)`,
    ),
  );
  await analyst.close();
  return path;
}
