import { assert, assertEquals } from "@std/assert";
import { type Delta, packHlc, type PullAnswer, type PushAnswer } from "@lakesync/core";
import { makeDelta, type ScriptProcess, spawnScript } from "@lakesync/testing";

const SERVE = new URL("../serve.ts", import.meta.url);

/** Options of {@linkcode Cluster.start}. */
export interface ClusterOptions {
  /** The Postgres database that all instances share. */
  readonly url: string;
  /** The data directory that they share: of it they use the lake. */
  readonly data: string;
  readonly instances: number;
}

interface Instance {
  readonly server: ScriptProcess;
  readonly url: string;
}

/** Some gateway processes on one database. */
export class Cluster {
  readonly #options: ClusterOptions;
  #instances: Instance[] = [];

  private constructor(options: ClusterOptions) {
    this.#options = options;
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    // All at once: one of them makes the tables.
    cluster.#instances = await Promise.all(
      Array.from({ length: options.instances }, () => cluster.#spawn()),
    );
    return cluster;
  }

  async #spawn(): Promise<Instance> {
    const { url, data } = this.#options;
    const server = spawnScript(SERVE, {
      args: ["--port", "0", "--data", data, "--store", "postgres"],
      env: { LAKESYNC_STORE_URL: url },
    });
    const line = await server.nextJson() as { url: string } | undefined;
    assert(line !== undefined, server.stderr);
    return { server, url: line.url };
  }

  get size(): number {
    return this.#instances.length;
  }

  /** What an instance has logged. */
  logged(instance: number): string {
    return this.#instances[instance]!.server.stderr;
  }

  /** Kills an instance and starts another one in its place. */
  async replace(instance: number): Promise<void> {
    await this.#instances[instance]!.server.kill();
    this.#instances[instance] = await this.#spawn();
  }

  async stop(): Promise<void> {
    for (const { server } of this.#instances) {
      assertEquals(await server.kill("SIGTERM"), { code: 0, signal: null }, server.stderr);
    }
  }

  /**
   * Sends a request to an instance of gateway `default`.
   *
   * @returns The status and the JSON of its answer; undefined where it did not come, or where its
   * store was away.
   */
  async send(
    instance: number,
    path: string,
    init: { method?: string; body?: unknown } = {},
  ): Promise<{ readonly status: number; readonly body: unknown } | undefined> {
    const { method = "GET", body } = init;
    const url = `${this.#instances[instance]!.url}/v1${path.replace("{gw}", "default")}`;
    try {
      const response = await fetch(url, {
        method,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const answer = { status: response.status, body: await response.json() as unknown };
      return answer.status === 500 ? undefined : answer;
    } catch (thrown) {
      assert(thrown instanceof Error, String(thrown));
      return undefined; // it was killed
    }
  }

  /** Pushes; undefined as with {@linkcode send}. */
  async push(
    instance: number,
    clientId: string,
    deltas: readonly Delta[],
  ): Promise<PushAnswer | undefined> {
    const answer = await this.send(instance, "/sync/{gw}/push", {
      method: "POST",
      body: { clientId, deltas },
    });
    if (answer === undefined) return undefined;
    assertEquals(answer.status, 200, JSON.stringify(answer.body));
    return answer.body as PushAnswer;
  }

  /** Pulls; undefined as with {@linkcode send}. */
  async pull(
    instance: number,
    query: { clientId: string; cursor: string; wait?: number },
  ): Promise<PullAnswer | undefined> {
    const { clientId, cursor, wait = 0 } = query;
    const params = new URLSearchParams({ clientId, cursor, wait: String(wait), limit: "10000" });
    const answer = await this.send(instance, `/sync/{gw}/pull?${params}`);
    if (answer === undefined) return undefined;
    assertEquals(answer.status, 200, JSON.stringify(answer.body));
    return answer.body as PullAnswer;
  }
}

/** Makes INSERTs of new rows into `todos`, each with a stamp of its own. */
export class Maker {
  #made = 0;

  make(clientId: string, count: number): Delta[] {
    return Array.from({ length: count }, () => {
      const n = this.#made++;
      return makeDelta({
        op: "INSERT",
        table: "todos",
        rowId: `row-${n}`,
        clientId,
        columns: [{ column: "n", value: n }],
        hlc: packHlc({ wallMs: 1_700_000_000_000 + n, counter: 0 }),
      });
    });
  }
}
