import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import type { CompactReport } from "./_compact_child.ts";
import { type Benchmark, figureOf, measure } from "./_harness.ts";
import { fillLake, insertAt, updateAt } from "./_lake.ts";
import { runScript } from "./_server.ts";

const MIB = 2 ** 20;

/** Changes folded into a table of current rows. */
export const compact: Benchmark = {
  name: "compact",
  about:
    "one-column updates of 1 % of a table's rows, at random, folded into the rows in local files, in a process of its own; the rate counts the table's rows",
  floor: "making the whole table from its inserts, in a process of its own",
  async run({ quick, directory, progress }) {
    const rows = quick ? 4_000 : 1_000_000;
    const rounds = quick ? 1 : 3;
    const figures = [];
    for (const deletes of ["rewrite", "positions"] as const) {
      const lake = join(directory, deletes);
      const store = fileObjectStore({ directory: lake });
      const made: CompactReport[] = [];
      const folded: CompactReport[] = [];
      let place = 0;
      const rates = await measure({
        async make() {
          const fresh = join(directory, `${deletes}-${made.length}`);
          progress(`filling a changelog with ${rows} inserts`);
          const options = { from: 0, count: rows, make: insertAt };
          await fillLake(fileObjectStore({ directory: fresh }), options);
          made.push(await runScript("./_compact_child.ts", [fresh, deletes]) as CompactReport);
          return { units: rows, seconds: made.at(-1)!.seconds };
        },
        async fold() {
          if (place === 0) {
            await fillLake(store, { from: 0, count: rows, make: insertAt });
            place = rows;
            await runScript("./_compact_child.ts", [lake, deletes]);
          }
          progress(`folding 1 % (${deletes})`);
          const make = (i: number) => updateAt(i, rows);
          await fillLake(store, { from: place, count: rows / 100, make });
          place += rows / 100;
          folded.push(await runScript("./_compact_child.ts", [lake, deletes]) as CompactReport);
          return { units: rows, seconds: folded.at(-1)!.seconds };
        },
      }, { rounds, warmUps: 0 });
      const [whole, part] = [made.at(-1)!, folded.at(-1)!];
      const most = Math.max(...[...made, ...folded].map(({ peakRss }) => peakRss));
      figures.push(figureOf(rates, {
        name: `1 % of ${rows.toLocaleString("en")} rows, ${deletes}`,
        unit: "rows",
        lane: "fold",
        floor: "make",
        facts: [{ name: "bytes a row", value: whole.bytes / rows, unit: "B" }],
        targets: [
          {
            name: "bytes written, of the table's",
            value: 100 * part.bytes / whole.bytes,
            unit: "%",
            bound: "at most",
            limit: 10,
          },
          {
            name: "time, of making the table",
            value: 100 * part.seconds / whole.seconds,
            unit: "%",
            bound: "at most",
            limit: 10,
          },
          { name: "peak memory", value: most / MIB, unit: "MiB", bound: "at most", limit: 1024 },
        ],
      }));
    }
    return figures;
  },
};
