import { join } from "node:path";
import { type ScriptProcess, spawnScript } from "@lakesync/testing";
import { type Benchmark, figureOf, measure, type Round, spread, type Target } from "./_harness.ts";
import { SERVE_FLAGS } from "./_server.ts";
import { Workload } from "./_workload.ts";

/** What idle clients cost, and how soon a change has reached all of them. */
export const idleSockets: Benchmark = {
  name: "idle-sockets",
  about:
    "1,000 WebSockets, each with its stream of pages open, on a durable gateway in another process: what each costs it in memory, and from the push of one change until the last of them has it. Memory is the growth of the process from the first thousand to the second, without a garbage collection; the first one is told too.",
  floor: "the same sockets on a bare server of the same runtime, which repeats one message to all",
  async run({ quick, directory, progress }) {
    const count = quick ? 20 : 1_000;
    const work = new Workload({ rows: 100 });
    const pushes = [...work.inserts(1)];
    await using gateway = await Crowd.start("./_idle_gateway_child.ts", [join(directory, "data")]);
    await using bare = await Crowd.start("./_idle_bare_child.ts", []);
    const hello = JSON.stringify({ type: "pull", clientId: "reader" });
    const costs = { gateway: [] as number[], bare: [] as number[] };
    progress(`opening twice ${count} sockets on each`);
    await gateway.open(Math.min(count, 100), hello);
    await bare.open(Math.min(count, 100), "hello");
    for (let i = 0; i < 2; i++) {
      costs.gateway.push(await gateway.cost(count, hello));
      costs.bare.push(await bare.cost(count, "hello"));
    }
    gateway.keep(count);
    bare.keep(count);
    progress("changes");
    const times: number[] = [];
    let change = 0;
    const rates = await measure({
      async gateway() {
        const body = JSON.stringify(pushes[change++]!);
        const round = await gateway.reachAll(async () => {
          const answer = await fetch(`${gateway.url}/v1/sync/default/push`, {
            method: "POST",
            body,
          });
          const { accepted } = await answer.json() as { accepted: number };
          if (accepted !== 1) throw new Error("The change was not accepted");
        });
        times.push(round.seconds * 1000);
        return round;
      },
      bare: () => bare.reachAll(() => bare.say("x".repeat(500))),
    }, { rounds: quick ? 1 : 10, warmUps: quick ? 0 : 1 });
    const [first, second] = costs.gateway;
    const targets: Target[] = [
      { name: "memory of a socket", value: second!, unit: "KiB", bound: "at most", limit: 30 },
      { name: "all reached", value: spread(times).max, unit: "ms", bound: "at most", limit: 500 },
    ];
    return [
      figureOf(rates, {
        name: `one change to ${count.toLocaleString("en")} sockets`,
        unit: "sockets",
        lane: "gateway",
        floor: "bare",
        targets,
        facts: [
          { name: "memory of a socket, the first thousand", value: first!, unit: "KiB" },
          { name: "the floor's, the first thousand", value: costs.bare[0]!, unit: "KiB" },
          { name: "the floor's, the second", value: costs.bare[1]!, unit: "KiB" },
        ],
      }),
    ];
  },
};

/** Many sockets on one server. */
class Crowd implements AsyncDisposable {
  readonly url: string;
  readonly #child: ScriptProcess;
  #sockets: WebSocket[] = [];

  private constructor(child: ScriptProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(script: string, args: readonly string[]): Promise<Crowd> {
    const child = spawnScript(new URL(script, import.meta.url), { args, v8Flags: SERVE_FLAGS });
    const { url } = await child.nextJson() as { url: string };
    return new Crowd(child, url);
  }

  /** Opens so many more; each says something and waits for the answer. */
  async open(count: number, hello: string): Promise<void> {
    for (let i = 0; i < count; i++) {
      const socket = new WebSocket(
        `${this.url.replace("http", "ws")}/v1/sync/default/ws`,
        "lakesync.v1",
      );
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      socket.onopen = () => socket.send(hello);
      socket.onmessage = resolve;
      socket.onerror = reject;
      await promise;
      this.#sockets.push(socket);
    }
  }

  /** What so many more cost the server each, in KiB. */
  async cost(count: number, hello: string): Promise<number> {
    const before = await this.#rss();
    await this.open(count, hello);
    return (await this.#rss() - before) / count / 1024;
  }

  async #rss(): Promise<number> {
    this.#child.send("memory");
    return (await this.#child.nextJson() as { rss: number }).rss;
  }

  /** Closes all but so many. */
  keep(count: number): void {
    for (const socket of this.#sockets.splice(count)) socket.close();
  }

  /** Sends something through one of them. */
  say(text: string): void {
    this.#sockets[0]!.send(text);
  }

  /** Does something, and waits until each has been told of it. */
  async reachAll(cause: () => unknown): Promise<Round> {
    const start = performance.now();
    const told = this.#sockets.map((socket) =>
      new Promise((resolve) => {
        socket.onmessage = resolve;
      })
    );
    await cause();
    await Promise.all(told);
    return { units: told.length, seconds: (performance.now() - start) / 1000 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.keep(0);
    await this.#child[Symbol.asyncDispose]();
  }
}
