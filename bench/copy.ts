import { join } from "node:path";
import type { CopySourceReport } from "./_copy_source_child.ts";
import { type Benchmark, type Figure, figureOf, measure, spread, timed } from "./_harness.ts";
import { runScript, SERVE_FLAGS } from "./_server.ts";
import { fillSource, SOURCES } from "./_source_table.ts";

const MIB = 2 ** 20;
/** A table of a database into the lake. */
export const copy: Benchmark = {
  name: "copy",
  about:
    "copySource of 1,000,000 rows (random UUIDs, a text, a boolean, an integer) by sqlCursorSource into a committed Iceberg table in local files, in a process of its own with the V8 flags of `deno task serve`, in which flows run; the server on this machine.",
  floor:
    "the same rows read by the same pages through the driver, in this process, and thrown away",
  async run({ quick, directory, progress }) {
    const figures: Figure[] = [];
    const rows = quick ? 2_000 : 1_000_000;
    for (const [name, start] of SOURCES) {
      await using source = await start();
      progress(`${name}: filling a table`);
      await fillSource(source, rows);
      progress(`${name}: copying it`);
      const reports: CopySourceReport[] = [];
      const rates = await measure({
        async copy() {
          const args = [source.kind, source.url, join(directory, `${name}-${reports.length}`)];
          const report = await runScript(
            "./_copy_source_child.ts",
            args,
            SERVE_FLAGS,
          ) as CopySourceReport;
          if (report.records !== rows) throw new Error(`Copied ${report.records} of ${rows} rows`);
          reports.push(report);
          return { units: rows, seconds: report.seconds };
        },
        read: () =>
          timed(rows, async () => {
            for (let version = 0; version < rows; version += 2_000) {
              await source.run(
                `SELECT * FROM source_todos WHERE version > ${version} ORDER BY version, id LIMIT 2000`,
              );
            }
          }),
      }, { rounds: quick ? 1 : 3, warmUps: 0 });
      const peak = spread(reports.map(({ peakRss }) => peakRss)).max / MIB;
      figures.push(figureOf(rates, {
        name: `${name} to Iceberg, ${rows.toLocaleString("en")} rows`,
        unit: "rows",
        lane: "copy",
        floor: "read",
        ...(quick || source.kind !== "postgres" ? {} : { atLeast: 80_000 }),
        facts: [
          {
            name: "CPU of this process a row",
            value: spread(reports.map(({ cpu }) => cpu)).median / rows * 1e6,
            unit: "µs",
          },
          { name: "bytes a row", value: reports[0]!.bytes / rows, unit: "B" },
        ],
        targets: quick
          ? []
          : [{ name: "peak memory", value: peak, unit: "MiB", bound: "at most", limit: 500 }],
      }));
    }
    return figures;
  },
};
