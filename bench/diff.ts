import { join } from "node:path";
import type { DiffReport } from "./_diff_child.ts";
import { type Benchmark, type Figure, figureOf, measure, spread, timed } from "./_harness.ts";
import { runScript } from "./_server.ts";
import { fillSource, SOURCES, type SourceTable } from "./_source_table.ts";

const MIB = 2 ** 20;

/** Finds what has changed in a table of a database. */
export const diff: Benchmark = {
  name: "diff",
  about:
    "sqlDiffSource over a table of 1,000,000 rows (random UUIDs as keys, a text, a boolean, an integer) in which 1,000 have changed since the last reading: 500 updated, 250 deleted, 250 new; in a process of its own, the server on this machine.",
  floor: "one statement by which the database hashes all rows and sums them up",
  async run({ quick, directory, progress }) {
    const figures: Figure[] = [];
    for (const [name, start] of SOURCES) {
      await using source = await start();
      figures.push(await diffOf(source, { name, quick, directory, progress }));
    }
    return figures;
  },
};

async function diffOf(
  source: SourceTable,
  options: { name: string; quick: boolean; directory: string; progress: (what: string) => void },
): Promise<Figure> {
  const { name, quick, directory, progress } = options;
  const rows = quick ? 2_000 : 1_000_000;
  const changes = quick ? 40 : 1_000;
  const read = async (label: string, cursor?: string) =>
    await runScript("./_diff_child.ts", [
      source.kind,
      source.url,
      join(directory, `${name}-${label}`),
      ...(cursor === undefined ? [] : [cursor]),
    ]) as DiffReport;
  // What a table of a tenth takes tells whether memory grows with it.
  await fillSource(source, rows / 10);
  let small = await read("small");
  let at = rows / 10;
  at = await change(source, { at, changes: changes / 10 });
  small = await read("small", small.cursor);
  progress(`${name}: filling a table, and reading it for the first time`);
  await fillSource(source, rows);
  at = rows;
  const first = await read("large");
  if (first.changes !== rows) throw new Error(`Read ${first.changes} of ${rows} rows`);
  let { cursor } = first;
  progress(`${name}: polling it`);
  const seconds: number[] = [];
  const cpu: number[] = [];
  const peaks: number[] = [];
  const rates = await measure({
    async diff() {
      at = await change(source, { at, changes });
      const report = await read("large", cursor);
      if (report.changes !== changes) throw new Error(`Found ${report.changes} changes`);
      cursor = report.cursor;
      seconds.push(report.seconds);
      cpu.push(report.cpu);
      peaks.push(report.peakRss);
      return { units: rows, seconds: report.seconds };
    },
    hash: () => timed(rows, () => source.run(HASHED[source.kind])),
  }, { rounds: quick ? 1 : 5, warmUps: 0 });
  const growth = (spread(peaks).max - small.peakRss) / MIB;
  return figureOf(rates, {
    name: `${name}, ${rows.toLocaleString("en")} rows`,
    unit: "rows",
    lane: "diff",
    floor: "hash",
    facts: [
      { name: "the first reading", value: first.seconds, unit: "s" },
      { name: "CPU of this process", value: spread(cpu).median, unit: "s" },
      { name: "peak memory", value: spread(peaks).max / MIB, unit: "MiB" },
    ],
    targets: quick ? [] : [
      { name: "a poll", value: spread(seconds).median, unit: "s", bound: "at most", limit: 5 },
      {
        name: "memory beyond 100,000 rows",
        value: growth,
        unit: "MiB",
        bound: "at most",
        limit: 64,
      },
    ],
  });
}

const HASHED = {
  postgres: "SELECT sum(hashtextextended(ROW(id, title, done, n)::text, 0) >> 4) FROM source_todos",
  mysql: "SELECT SUM(CONV(LEFT(MD5(CONCAT(id, title, done, n)), 15), 16, 10)) FROM source_todos",
};

/** Changes, removes and adds rows: `version` tells which ones. */
async function change(
  source: SourceTable,
  { at, changes }: { at: number; changes: number },
): Promise<number> {
  const quarter = Math.floor(changes / 4);
  const rest = changes - 2 * quarter;
  // Random ones, as the keys are random: the least of them.
  await source.run(
    `DELETE FROM source_todos WHERE version IN (SELECT version FROM (SELECT version FROM source_todos ORDER BY version LIMIT ${quarter}) AS v)`,
  );
  await source.run(
    `UPDATE source_todos SET n = n + 1 WHERE version IN (SELECT version FROM (SELECT version FROM source_todos ORDER BY version LIMIT ${rest}) AS v)`,
  );
  const values = Array.from(
    { length: quarter },
    (_, i) => `('new-${at + i}', 'New', TRUE, 1, ${at + i + 1})`,
  );
  await source.run(`INSERT INTO source_todos VALUES ${values.join(", ")}`);
  return at + quarter;
}
