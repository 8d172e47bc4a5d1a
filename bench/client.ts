import { join } from "node:path";
import process from "node:process";
import { type Client, createClient } from "@lakesync/client";
import { unwrapOrThrow } from "@lakesync/core";
import { Prng } from "@lakesync/testing";
import { type BareRow, BareTodos } from "./_bare_sqlite.ts";
import { type Benchmark, type Fact, figureOf, measure, spread, timed } from "./_harness.ts";
import { BareMoves, type Move, Moves, type Way } from "./_moves.ts";
import { startGateway } from "./_server.ts";
import { todos } from "./_workload.ts";

type TodosClient = Client<readonly [typeof todos]>;

/** What an app sees: its own writes, and how fast they reach another device. */
export const client: Benchmark = {
  name: "client",
  about:
    "single local inserts, each durable before the next; and 10 times 1,000 rows from device A to device B: live, over WebSocket and over HTTP on loopback, A, B and the gateway processes of their own and at first without rows, from A's first import until B's live query shows the last row; and step by step over HTTP, both devices in one process (import on A, A pushes, B pulls, then the next).",
  floor:
    "the same rows into a bare SQLite table, a commit for each insert; live: three such processes with a bare WebSocket between them and a bare SQLite commit for each 1,000 rows in each; step by step: into two bare tables, a commit for each 1,000",
  async run({ quick, directory, progress }) {
    const inserts = quick ? 20 : 1_000;
    const steps = quick ? 2 : 10;
    const stepRows = quick ? 100 : 1_000;
    const random = new Prng(7);
    await using gateway = await startGateway(join(directory, "data"));
    const open = async (name: string): Promise<TodosClient> =>
      unwrapOrThrow(
        await createClient({
          tables: [todos],
          database: join(directory, `${name}.db`),
          url: gateway.url,
          sync: { auto: false },
        }),
      );
    const loner = await open("loner");
    const a = await open("a");
    const b = await open("b");
    const bare = new BareTodos(join(directory, "bare.db"));
    const bareA = new BareTodos(join(directory, "bare-a.db"));
    const bareB = new BareTodos(join(directory, "bare-b.db"));
    const bareRows = (count: number): BareRow[] =>
      Array.from({ length: count }, (_, i) => [random.uuid(), `Task number ${i}`, 0, i]);
    const makeRows = (count: number) =>
      Array.from({ length: count }, (_, i) => ({
        id: random.uuid(),
        title: `Task number ${i}`,
        done: false,
        n: i,
      }));

    progress("single writes");
    const writes = await measure({
      client() {
        const rows = makeRows(inserts);
        return timed(inserts, async () => {
          for (const row of rows) unwrapOrThrow(await loner.tables.todos.insert(row));
        });
      },
      bare() {
        const rows = bareRows(inserts);
        return timed(inserts, () => {
          for (const row of rows) bare.insert([row]);
        });
      },
    }, { rounds: quick ? 1 : 5, warmUps: quick ? 0 : 1 });

    progress("from A to B, live");
    const load = { steps, rows: stepRows };
    const moved: { readonly [way in Way]: Move[] } = { ws: [], http: [] };
    const lives = await (async () => {
      await using devices = await Moves.start(directory);
      await using floor = new BareMoves(directory);
      const lane = (way: Way) => async () => {
        const move = await devices.move(way, load);
        moved[way].push(move);
        return move;
      };
      return await measure({ ws: lane("ws"), http: lane("http"), bare: () => floor.move(load) }, {
        rounds: quick ? 1 : 5,
        warmUps: quick ? 0 : 3,
      });
    })();

    progress("from A to B, step by step");
    const stepMs: number[] = [];
    const rowUs: number[] = [];
    const moves = await measure({
      async devices() {
        const batches = Array.from({ length: steps }, () => makeRows(stepRows));
        const before = process.cpuUsage();
        const round = await timed(steps * stepRows, async () => {
          for (const batch of batches) {
            const start = performance.now();
            unwrapOrThrow(await a.import("todos", batch));
            unwrapOrThrow(await a.syncOnce());
            unwrapOrThrow(await b.syncOnce());
            stepMs.push(performance.now() - start);
          }
        });
        const { user, system } = process.cpuUsage(before);
        rowUs.push((user + system) / (steps * stepRows));
        const last = batches.at(-1)!.at(-1)!;
        if (unwrapOrThrow(await b.tables.todos.get(last.id))?.n !== last.n) {
          throw new Error("A row of A did not reach B");
        }
        return round;
      },
      bare() {
        const batches = Array.from({ length: steps }, () => bareRows(stepRows));
        return timed(steps * stepRows, () => {
          for (const batch of batches) {
            bareA.insert(batch);
            bareB.insert(batch);
          }
        });
      },
    }, { rounds: quick ? 1 : 5, warmUps: quick ? 0 : 1 });

    for (const client of [loner, a, b]) await client.close();
    for (const file of [bare, bareA, bareB]) file.close();
    const size = `${steps} × ${stepRows.toLocaleString("en")} rows`;
    return [
      figureOf(writes, {
        name: "local inserts",
        unit: "rows",
        lane: "client",
        floor: "bare",
        atLeast: 3_000,
      }),
      ...(["ws", "http"] as const).map((way) =>
        figureOf(lives, {
          name: `A to B live over ${way === "ws" ? "WebSocket" : "HTTP"}, ${size}`,
          unit: "rows",
          lane: way,
          floor: "bare",
          atLeast: 20_000,
          facts: moveFacts(moved[way].slice(quick ? 0 : 3)),
        })
      ),
      figureOf(moves, {
        name: `A to B step by step, ${size}`,
        unit: "rows",
        lane: "devices",
        floor: "bare",
        facts: [
          { name: "a step", value: spread(stepMs).median, unit: "ms" },
          { name: "CPU of both devices a row", value: spread(rowUs).median, unit: "µs" },
        ],
      }),
    ];
  },
};

/** What the processes did, beside how fast the rows came. */
function moveFacts(moves: readonly Move[]): Fact[] {
  const cpu = (of: keyof Move["cpu"]): number => spread(moves.map((move) => move.cpu[of])).median;
  return [
    {
      name: "all written on A after",
      value: spread(moves.map((m) => m.writtenMs)).median,
      unit: "ms",
    },
    { name: "CPU of A a row", value: cpu("a"), unit: "µs" },
    { name: "of the gateway", value: cpu("gateway"), unit: "µs" },
    { name: "of B", value: cpu("b"), unit: "µs" },
  ];
}
