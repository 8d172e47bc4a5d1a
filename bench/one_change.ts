import { join } from "node:path";
import { type ScriptProcess, spawnScript } from "@lakesync/testing";
import { type Benchmark, figureOf, measure, type Round, type Target } from "./_harness.ts";
import { startGateway } from "./_server.ts";

/** A change and when it was made, or shown: ms since the Unix epoch. */
type Times = readonly (readonly [n: number, at: number])[];

/** What an app's user waits for: a change made on one device, seen on another. */
export const oneChange: Benchmark = {
  name: "one-change",
  about:
    "device A changes a row every 5 to 15 ms, device B's live query shows it: from the call on A to the callback on B, over WebSocket on loopback; A, B and the gateway are processes of their own and durable (SQLite, synchronous=FULL).",
  floor:
    "the same three processes with a bare WebSocket between them and one bare SQLite commit in each: on A before it sends, in the middle before it passes on, on B before the callback",
  async run({ quick, directory, progress }) {
    const changes = quick ? 20 : 300;
    await using gateway = await startGateway(join(directory, "data"));
    await using relay = spawnScript(new URL("./one_change_relay.ts", import.meta.url), {
      args: [join(directory, "relay.db")],
    });
    const { url } = await relay.nextJson() as { url: string };
    await using lakesync = await Pair.start("device", gateway.url, directory);
    await using bare = await Pair.start("bare", url, directory);
    const latencies = { lakesync: [] as number[], bare: [] as number[] };
    const lane = (pair: Pair, into: number[]) => async (): Promise<Round> => {
      const measured = await pair.run(changes);
      into.push(...measured);
      return { units: changes, seconds: measured.reduce((sum, ms) => sum + ms, 0) / 1000 };
    };
    progress("warming up");
    await pairWarmUp(lakesync, bare, changes);
    progress("changes");
    const rates = await measure({
      lakesync: lane(lakesync, latencies.lakesync),
      bare: lane(bare, latencies.bare),
    }, { rounds: quick ? 1 : 3, warmUps: 0 });
    const ours = quantiles(latencies.lakesync);
    const floor = quantiles(latencies.bare);
    const target = (name: string, value: number, limit: number): Target => ({
      name,
      value,
      unit: "ms",
      bound: "at most",
      limit,
    });
    return [
      figureOf(rates, {
        name: "one change, one after the other",
        unit: "changes",
        lane: "lakesync",
        floor: "bare",
        targets: [target("p50", ours.p50, 3), target("p99", ours.p99, 10)],
        facts: [
          { name: "slowest", value: ours.max, unit: "ms" },
          { name: "the floor's p50", value: floor.p50, unit: "ms" },
          { name: "the floor's p99", value: floor.p99, unit: "ms" },
        ],
      }),
    ];
  },
};

async function pairWarmUp(lakesync: Pair, bare: Pair, changes: number): Promise<void> {
  await lakesync.run(changes);
  await bare.run(changes);
}

/** Two devices in processes of their own. */
class Pair implements AsyncDisposable {
  readonly #a: ScriptProcess;
  readonly #b: ScriptProcess;

  private constructor(a: ScriptProcess, b: ScriptProcess) {
    this.#a = a;
    this.#b = b;
  }

  /** Starts them and sees to it that their clocks are this process's. */
  static async start(kind: "device" | "bare", url: string, directory: string): Promise<Pair> {
    const script = new URL(`./one_change_${kind}.ts`, import.meta.url);
    const start = (role: string): ScriptProcess =>
      spawnScript(script, { args: [role, url, join(directory, `${kind}-${role}.db`)] });
    const pair = new Pair(start("a"), start("b"));
    for (const device of [pair.#a, pair.#b]) {
      if (await device.nextJson() === undefined) {
        throw new Error(`A device did not start: ${device.stderr}`);
      }
      const before = now();
      device.send({ clock: true });
      const its = await device.nextJson() as number;
      if (its < before - 0.1 || its > now() + 0.1) {
        throw new Error(`The processes' clocks differ: ${its} is not from ${before} to ${now()}`);
      }
    }
    return pair;
  }

  /** Makes changes; how long each took to be seen, in ms. */
  async run(changes: number): Promise<number[]> {
    this.#b.send({ watch: changes });
    await this.#b.nextJson();
    this.#a.send({ change: changes });
    const [made, seen] = await Promise.all([this.#a.nextJson(), this.#b.nextJson()]) as Times[];
    if (made === undefined || seen === undefined) {
      throw new Error(`A device ended: ${this.#a.stderr} ${this.#b.stderr}`);
    }
    return made.map(([n, at]) => {
      // Two changes that came together are shown together.
      const shown = seen.find(([m]) => m >= n);
      if (shown === undefined) throw new Error(`Change ${n} was never seen`);
      return shown[1] - at;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#a.kill();
    await this.#b.kill();
  }
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

function quantiles(values: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)]!;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1)! };
}
