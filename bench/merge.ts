import { emptyRow, type JsonValue, mergeDelta, packHlc } from "@lakesync/core";
import { type Benchmark, type Figure, figureOf, measure, timed } from "./_harness.ts";

const COLUMNS = [1, 5, 20] as const;

interface Change {
  readonly row: number;
  readonly hlc: string;
  readonly clientId: string;
  readonly columns: readonly { column: string; value: JsonValue }[];
}

/** Merging deltas into rows in memory. */
export const merge: Benchmark = {
  name: "merge",
  about: "core's mergeDelta: updates of all columns of 1,000 rows, by two clients in stamp order.",
  floor: "the same values set in a plain Map for each row, no stamps",
  async run({ quick }) {
    const count = quick ? 2_000 : 100_000;
    const figures: Figure[] = [];
    for (const width of COLUMNS) {
      const changes = makeChanges(count, width);
      const rates = await measure({
        merge: () => {
          const rows = Array.from({ length: 1_000 }, emptyRow);
          return timed(count, () => {
            for (const { row, hlc, clientId, columns } of changes) {
              mergeDelta(rows[row]!, { op: "UPDATE", hlc, clientId, columns });
            }
          });
        },
        map: () => {
          const rows = Array.from({ length: 1_000 }, () => new Map<string, JsonValue>());
          return timed(count, () => {
            for (const { row, columns } of changes) {
              const map = rows[row]!;
              for (const { column, value } of columns) map.set(column, value);
            }
          });
        },
      }, { rounds: quick ? 2 : 9, warmUps: quick ? 0 : 2 });
      figures.push(figureOf(rates, {
        name: `${width} column${width > 1 ? "s" : ""}`,
        unit: "deltas",
        lane: "merge",
        floor: "map",
      }));
    }
    return figures;
  },
};

function makeChanges(count: number, width: number): Change[] {
  return Array.from({ length: count }, (_, i) => ({
    row: (i * 7_919) % 1_000,
    hlc: packHlc({ wallMs: 1_700_000_000_000 + i, counter: 0 }),
    clientId: `client-${i % 2}`,
    columns: Array.from({ length: width }, (_, c) => ({ column: `column${c}`, value: i + c })),
  }));
}
