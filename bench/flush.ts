import { join } from "node:path";
import { loadChanges } from "./_duckdb.ts";
import type { CopyReport } from "./_copy_child.ts";
import type { FlushChildReport } from "./_flush_child.ts";
import { fillLog } from "./_gateway.ts";
import { type Benchmark, type Figure, figureOf, measure, spread } from "./_harness.ts";
import { runScript } from "./_server.ts";
import { Workload } from "./_workload.ts";

const MIB = 2 ** 20;

/** Flushes from the log to a committed Iceberg table. */
export const flush: Benchmark = {
  name: "flush",
  about:
    "one-column updates that go through 100,000 rows (random UUIDs, 8 clients; a third each of a text of 16 characters, a boolean and an integer below 10,000), from the SQLite log to a committed Iceberg table in local files, in a process of its own.",
  floor:
    "DuckDB's COPY … TO parquet (zstd) of the same columns from its own table, all cores, in a process of its own; not sorted, not synced to disk",
  async run({ quick, directory, progress }) {
    const rows = quick ? 1_000 : 100_000;
    const figures: Figure[] = [];
    let smallPeak: number | undefined;
    for (const count of [rows, 10 * rows]) {
      const name = count.toLocaleString("en");
      progress(`filling a log with ${name} deltas`);
      const log = join(directory, `${count}.db`);
      await fillLog(log, new Workload({ rows }).sweep(count, 5_000));
      const duckdb = join(directory, `${count}.duckdb`);
      await loadChanges(log, duckdb);
      progress(`flushing ${name} deltas`);
      const peaks: number[] = [];
      let bytes = 0;
      let copied = 0;
      let run = 0;
      const rates = await measure({
        async flush() {
          const name = `lake-${count}-${run++}`;
          const args = [log, join(directory, name), name];
          const report = await runScript("./_flush_child.ts", args) as FlushChildReport;
          if (report.deltas !== count) throw new Error(`Flushed ${report.deltas} of ${count}`);
          peaks.push(report.peakRss);
          bytes = report.bytes;
          return { units: count, seconds: report.seconds };
        },
        async copy() {
          const args = [duckdb, join(directory, `${count}-${run++}.parquet`)];
          const report = await runScript("./_copy_child.ts", args) as CopyReport;
          copied = report.bytes;
          return { units: count, seconds: report.seconds };
        },
      }, { rounds: quick ? 1 : 5, warmUps: 0 });
      const peak = spread(peaks).max;
      const limit = smallPeak === undefined ? undefined : 1.5 * smallPeak + 200 * MIB;
      smallPeak ??= peak;
      const memory = { name: "peak memory", value: peak / MIB, unit: "MiB" };
      figures.push(figureOf(rates, {
        name: `${name} deltas`,
        unit: "rows",
        lane: "flush",
        floor: "copy",
        atLeast: 120_000,
        facts: [
          ...(limit === undefined ? [memory] : []),
          { name: "the floor's bytes a row", value: copied / count, unit: "B" },
        ],
        targets: [
          { name: "bytes a row", value: bytes / count, unit: "B", bound: "at most", limit: 45 },
          ...(limit === undefined
            ? []
            : [{ ...memory, bound: "at most" as const, limit: limit / MIB }]),
        ],
      }));
    }
    return figures;
  },
};
