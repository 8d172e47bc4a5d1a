/** Rows on their way from device A to device B, in processes of their own. */
import { join } from "node:path";
import { type ScriptProcess, spawnScript } from "@lakesync/testing";
import { checkClock, tell } from "./_commands.ts";
import type { Round } from "./_harness.ts";
import { SERVE_FLAGS } from "./_server.ts";

/** How A's rows come to B. */
export type Way = "ws" | "http";

/** How many rows are moved. */
export interface Load {
  /** Imports, one after the other. */
  readonly steps: number;
  /** Rows of each. */
  readonly rows: number;
}

/** What a move took. */
export interface Move extends Round {
  /** From the first import until the last one was durable on A, in ms. */
  readonly writtenMs: number;
  /** The processes' CPU a row, in µs. */
  readonly cpu: { readonly a: number; readonly gateway: number; readonly b: number };
}

/** A, B and a gateway; each move begins with empty databases and an empty log. */
export class Moves implements AsyncDisposable {
  readonly #directory: string;
  readonly #a: ScriptProcess = spawnScript(new URL("./move_device.ts", import.meta.url));
  readonly #b: ScriptProcess = spawnScript(new URL("./move_device.ts", import.meta.url));
  readonly #gateway: ScriptProcess = spawnScript(new URL("./move_gateway.ts", import.meta.url), {
    v8Flags: SERVE_FLAGS,
  });
  #moves = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Starts the processes. */
  static async start(directory: string): Promise<Moves> {
    const moves = new Moves(directory);
    for (const device of [moves.#a, moves.#b]) await checkClock(device);
    return moves;
  }

  /** Moves rows; both devices are live when the time begins. */
  async move(way: Way, { steps, rows }: Load): Promise<Move> {
    const path = (name: string) => join(this.#directory, `move-${this.#moves}-${name}`);
    this.#moves++;
    const [a, b, gateway] = [this.#a, this.#b, this.#gateway];
    const url = await tell(gateway, "open", path("data"));
    await tell(a, "open", { url, database: path("a.db"), way });
    await tell(b, "open", { url, database: path("b.db"), way });
    const seen = tell(b, "wait", "first");
    await tell(a, "insert", "first");
    await seen;

    await tell(gateway, "start", null);
    await tell(b, "watch", "last");
    const shown = tell(b, "shown", null);
    const [began, written] = await tell(a, "move", { last: "last", steps, rows }) as number[];
    const seconds = (await shown as number - began!) / 1000;
    const units = steps * rows;
    const took = [];
    for (const process of [a, b, gateway]) {
      took.push(await tell(process, "took", null) as { cpu: number; rows?: number });
    }
    if (took[1]!.rows !== units + 1) throw new Error(`B has ${took[1]!.rows} rows`);
    for (const process of [a, b, gateway]) await tell(process, "close", null);
    const [ofA, ofB, ofGateway] = took.map(({ cpu }) => cpu / units) as [number, number, number];
    return {
      units,
      seconds,
      writtenMs: written! - began!,
      cpu: { a: ofA, gateway: ofGateway, b: ofB },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of [this.#a, this.#b, this.#gateway]) await process.kill();
  }
}

/** The same with bare SQLite and a bare WebSocket in each process. */
export class BareMoves implements AsyncDisposable {
  readonly #directory: string;
  readonly #a: ScriptProcess = spawnScript(new URL("./move_bare.ts", import.meta.url));
  readonly #b: ScriptProcess = spawnScript(new URL("./move_bare.ts", import.meta.url));
  readonly #relay: ScriptProcess;
  #url: string | undefined;
  #moves = 0;

  /** Starts the processes. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#relay = spawnScript(new URL("./one_change_relay.ts", import.meta.url), {
      args: [join(directory, "relay.db")],
    });
  }

  /** Moves rows. */
  async move({ steps, rows }: Load): Promise<Round> {
    const [a, b] = [this.#a, this.#b];
    this.#url ??= (await this.#relay.nextJson() as { url: string }).url;
    const path = (name: string) => join(this.#directory, `bare-${this.#moves}-${name}`);
    this.#moves++;
    await tell(a, "open", { url: this.#url, database: path("a.db") });
    await tell(b, "open", { url: this.#url, database: path("b.db") });
    await tell(b, "watch", "last");
    const shown = tell(b, "shown", null);
    const [began] = await tell(a, "move", { last: "last", steps, rows }) as number[];
    const seconds = (await shown as number - began!) / 1000;
    for (const process of [a, b]) await tell(process, "close", null);
    return { units: steps * rows, seconds };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of [this.#a, this.#b, this.#relay]) await process.kill();
  }
}
