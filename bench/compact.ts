import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import type { CompactReport } from "./_compact_child.ts";
import { type Benchmark, type Figure, figureOf, measure, type Target } from "./_harness.ts";
import { fillLake, insertAt, updateAt } from "./_lake.ts";
import { runScript } from "./_server.ts";

const MIB = 2 ** 20;
const ROUNDS = 2;

/** Changes folded into a table of current rows. */
export const compact: Benchmark = {
  name: "compact",
  about:
    "one-column updates of 1 % of a table's rows, at random, folded into the rows in local files with deletion vectors, in a process of its own; the rate counts the table's rows",
  floor: "folding the same changes by rewriting the table, with the same engine",
  async run({ quick, directory, progress }) {
    const rows = quick ? 8_000 : 5_000_000;
    const base = join(directory, "base");
    const store = fileObjectStore({ directory: base });
    progress(`filling a changelog with ${rows} inserts`);
    await fillLake(store, { from: 0, count: rows, make: insertAt });
    progress("making the table");
    const made = await compactIn(base, ["rewrite", "streaming"]);
    const make = (i: number) => updateAt(i, rows);
    await fillLake(store, { from: rows, count: rows / 100, make });
    const figures: Figure[] = [];
    for (const engine of ["streaming", "duckdb"] as const) {
      const reports = { rewrite: [] as CompactReport[], vectors: [] as CompactReport[] };
      // Each begins with the same table. Its files are read before: both find them in memory.
      const lane = (deletes: "rewrite" | "vectors") => async () => {
        const copy = join(directory, "copy");
        cpSync(base, copy, { recursive: true });
        progress(`folding 1 % (${engine}, ${deletes})`);
        const report = await compactIn(copy, [deletes, engine]);
        reports[deletes].push(report);
        rmSync(copy, { recursive: true });
        return { units: rows, seconds: report.seconds };
      };
      const rates = await measure({ rewrite: lane("rewrite"), fold: lane("vectors") }, {
        rounds: quick ? 1 : ROUNDS,
        warmUps: 0,
      });
      const all = [...reports.rewrite, ...reports.vectors];
      const cpu = (some: readonly CompactReport[]) =>
        some.reduce((sum, r) => sum + r.cpuSeconds, 0);
      const figure = figureOf(rates, {
        name: `1 % of ${rows.toLocaleString("en")} rows, ${engine}`,
        unit: "rows",
        lane: "fold",
        floor: "rewrite",
        facts: [
          { name: "bytes a row", value: made.bytes / rows, unit: "B" },
          { name: "making the table (streaming)", value: made.seconds, unit: "s" },
          { name: "its processor time", value: made.cpuSeconds, unit: "s" },
          { name: "quickest fold", value: quickest(reports.vectors), unit: "s" },
          { name: "quickest rewrite", value: quickest(reports.rewrite), unit: "s" },
          {
            name: "processor time, of rewriting the table",
            value: 100 * cpu(reports.vectors) / cpu(reports.rewrite),
            unit: "%",
          },
        ],
        targets: targetsOf({ made, folded: reports.vectors.at(-1)!, reports: all }),
      });
      const time: Target = {
        name: "time, of rewriting the table",
        value: 100 / figure.ratio.median,
        unit: "%",
        bound: "at most",
        limit: 10,
      };
      figures.push({ ...figure, targets: [time, ...figure.targets] });
    }
    return figures;
  },
};

function targetsOf({ made, folded, reports }: {
  made: CompactReport;
  folded: CompactReport;
  reports: readonly CompactReport[];
}): Target[] {
  const most = Math.max(...[made, ...reports].map(({ peakRss }) => peakRss));
  return [
    {
      name: "time, of making the table",
      value: 100 * folded.seconds / made.seconds,
      unit: "%",
      bound: "at most",
      limit: 10,
    },
    {
      name: "bytes written, of the table's",
      value: 100 * folded.bytes / made.bytes,
      unit: "%",
      bound: "at most",
      limit: 10,
    },
    { name: "peak memory", value: most / MIB, unit: "MiB", bound: "at most", limit: 1024 },
  ];
}

function quickest(reports: readonly CompactReport[]): number {
  return Math.min(...reports.map(({ seconds }) => seconds));
}

async function compactIn(lake: string, args: readonly [string, string]): Promise<CompactReport> {
  return await runScript("./_compact_child.ts", [lake, ...args]) as CompactReport;
}
