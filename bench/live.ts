import { join } from "node:path";
import process from "node:process";
import { type Client, createClient } from "@lakesync/client";
import { unwrapOrThrow } from "@lakesync/core";
import { Prng } from "@lakesync/testing";
import { type Benchmark, type Figure, figureOf, measure, type Round, timed } from "./_harness.ts";
import { todos } from "./_workload.ts";

type TodosClient = Client<readonly [typeof todos]>;

const VIEW = "SELECT id, title, n FROM todos WHERE done = 0 ORDER BY n DESC, id LIMIT 50";

/** What a live view costs while its table changes. */
export const live: Benchmark = {
  name: "live",
  about:
    "local updates, one after the other, of a table of 100,000 rows without an index but on id, under a sorted, limited live query over it: of every three one is beyond the view, one comes into it, one is in it already. A change is over when the live query has settled.",
  floor: "the same updates without a live query",
  async run({ quick, directory, progress }) {
    const rows = quick ? 2_000 : 100_000;
    const changes = quick ? 9 : 300;
    const random = new Prng(3);
    const open = async (name: string): Promise<TodosClient> => {
      progress(`${rows} rows into ${name}`);
      const database = join(directory, `${name}.db`);
      const client = unwrapOrThrow(await createClient({ tables: [todos], database }));
      unwrapOrThrow(await client.import("todos", makeRows(rows)));
      return client;
    };
    const watched = await open("watched");
    const bare = await open("bare");
    let shown: readonly { id: string; n: number }[] = [];
    watched.live<{ id: string; title: string; n: number }>(VIEW).subscribe((rows) => shown = rows);
    let top = rows;
    const change = async (client: TodosClient, i: number): Promise<void> => {
      const id = i % 3 === 2 && shown.length > 0
        ? shown[random.int(0, shown.length - 1)]!.id
        : String(random.int(0, rows - 1));
      const update = i % 3 === 0 ? { title: `Task ${i}` } : { n: ++top };
      unwrapOrThrow(await client.tables.todos.update(id, update));
      // The live query has its turn.
      await new Promise((resolve) => setTimeout(resolve));
    };
    const costs = { watched: [] as number[], bare: [] as number[] };
    const lane = (client: TodosClient, into: number[]) => async (): Promise<Round> => {
      const before = process.cpuUsage();
      const round = await timed(changes, async () => {
        for (let i = 0; i < changes; i++) await change(client, i);
      });
      const { user, system } = process.cpuUsage(before);
      into.push((user + system) / 1000 / changes);
      return round;
    };
    progress("changes");
    const rates = await measure({
      watched: lane(watched, costs.watched),
      bare: lane(bare, costs.bare),
    }, { rounds: quick ? 1 : 3, warmUps: quick ? 0 : 1 });
    const expected = unwrapOrThrow(await watched.query(VIEW));
    if (JSON.stringify(expected) !== JSON.stringify(shown)) {
      throw new Error("The live result is not that of its query");
    }
    await watched.close();
    await bare.close();
    const figure: Figure = figureOf(rates, {
      name: `${rows.toLocaleString("en")} rows, 50 shown`,
      unit: "changes",
      lane: "watched",
      floor: "bare",
      targets: [{
        name: "CPU a change, its write included",
        value: median(costs.watched),
        unit: "ms",
        bound: "at most",
        limit: 4,
      }],
      facts: [{ name: "the floor's", value: median(costs.bare), unit: "ms" }],
    });
    return [figure];
  },
};

function* makeRows(count: number) {
  for (let i = 0; i < count; i++) {
    yield { id: String(i), title: `Task number ${i}`, done: i % 4 === 0, n: i };
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
