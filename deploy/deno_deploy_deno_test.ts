import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  compareHlc,
  defineTable,
  type Delta,
  integer,
  isDelta,
  packHlc,
  type PullAnswer,
  type PushAnswer,
  unwrapOrThrow,
} from "@lakesync/core";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergDestination } from "@lakesync/adapter-iceberg";
import { makeDelta, Prng, test, withTempDir } from "@lakesync/testing";
import { serveDenoDeploy } from "./deno_deploy.ts";
import { openKvGateways } from "./kv_gateways.ts";

const todos = defineTable("todos", { n: integer() });
const path = (of: string): string => fileURLToPath(new URL(of, import.meta.url));

// A test that fails or runs out of time must leave no process behind.
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** An instance as Deno Deploy runs it: no disk but its KV, no subprocesses, nothing asked. */
class Instance implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
    this.#exited = new Promise((resolve) => child.once("close", (code) => resolve(code)));
  }

  static async start(directory: string): Promise<Instance> {
    const child = spawn(Deno.execPath(), [
      "run",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      "--allow-env",
      "--allow-read",
      // KV's own file and nothing else.
      ...["", "-wal", "-shm", "-journal"].map((end) => `--allow-write=${directory}/kv${end}`),
      "--deny-run",
      "--deny-ffi",
      `--config=${path("../deno.json")}`,
      path("./testdata/deploy_main.ts"),
    ], {
      env: { PATH: Deno.env.get("PATH")!, HOME: directory, TEST_KV_PATH: `${directory}/kv` },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    child.once("close", () => running.delete(child));
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
    for await (const line of createInterface({ input: child.stdout })) {
      return new Instance(child, (JSON.parse(line) as { url: string }).url);
    }
    throw new Error(`The instance did not start: ${errors}`);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: "SIGINT" | "SIGKILL"): Promise<number | null> {
    try {
      // Not `child.kill`: that reports the signal even where the process ends by itself.
      if (this.#child.exitCode === null) process.kill(this.#child.pid!, signal);
    } catch (thrown) {
      // It ended a moment ago, and the event of that is still to come.
      if ((thrown as { code?: string }).code !== "ESRCH") throw thrown;
    }
    return await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }
}

/** The parsed answer; undefined where none came, or one that says to try again. */
async function ask<T>(url: string, init?: RequestInit): Promise<T | undefined> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, init);
    text = await response.text();
  } catch {
    return undefined;
  }
  if (response.status === 503) return undefined;
  assertEquals(response.status, 200, text);
  return JSON.parse(text) as T;
}

/** A device that goes on with the other instance where one does not answer. */
class Device {
  readonly acknowledged: string[] = [];
  readonly #clientId: string;
  readonly #prng: Prng;
  #made = 0;
  #serverHlc = "0";

  constructor(clientId: string, prng: Prng) {
    this.#clientId = clientId;
    this.#prng = prng;
  }

  /** Pushes until it is answered. */
  async push(urls: () => readonly string[]): Promise<void> {
    const deltas: Delta[] = [];
    const count = this.#prng.int(1, 40);
    while (deltas.length < count) {
      const n = this.#made++;
      deltas.push(makeDelta({
        op: "INSERT",
        table: "todos",
        rowId: `${this.#clientId}/${n}`,
        clientId: this.#clientId,
        columns: [{ column: "n", value: n }],
        hlc: packHlc({ wallMs: 1_700_000_000_000 + n, counter: 0 }),
      }));
    }
    const body = JSON.stringify({ clientId: this.#clientId, deltas });
    for (;;) {
      const url = this.#prng.pick(urls());
      const answer = await ask<PushAnswer>(`${url}/v1/sync/default/push`, { method: "POST", body });
      if (answer === undefined) continue;
      assertEquals(answer.rejected, []);
      assert([0, count].includes(answer.accepted), "a push was torn");
      assertEquals(answer.accepted + answer.duplicates, count);
      assert(compareHlc(answer.serverHlc, this.#serverHlc) >= 0, "serverHlc went back");
      this.#serverHlc = answer.serverHlc;
      this.acknowledged.push(...deltas.map(({ deltaId }) => deltaId));
      return;
    }
  }
}

async function pullAll(url: string): Promise<Delta[]> {
  const deltas: Delta[] = [];
  for (let cursor = "", more = true; more;) {
    const page = await ask<PullAnswer>(
      `${url}/v1/sync/default/pull?clientId=watcher&limit=10000&cursor=${cursor}`,
    );
    assert(page !== undefined);
    deltas.push(...page.deltas.filter(isDelta));
    assertEquals(page.seq, deltas.length, "a seq is missing");
    cursor = page.cursor;
    more = page.hasMore;
  }
  return deltas;
}

test({
  name:
    "two Deno Deploy instances, ended by SIGINT and SIGKILL amid pushes, keep each acknowledged delta once",
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (directory) => {
    const prng = new Prng(7);
    const devices = ["alice", "bob", "carol"].map((id, i) => new Device(id, new Prng(i)));
    const instances = [await Instance.start(directory), await Instance.start(directory)];
    const urls = () => instances.map(({ url }) => url);
    try {
      for (let round = 0; round < 6; round++) {
        let pushes = 0;
        const endAt = prng.int(3, 20);
        let ended: Promise<void> | undefined;
        const victim = round % 2;
        const signal = round % 3 === 0 ? "SIGINT" : "SIGKILL";
        const endOne = async (): Promise<void> => {
          const code = await instances[victim]!.end(signal);
          if (signal === "SIGINT") assertEquals(code, 0);
          instances[victim] = await Instance.start(directory);
        };
        await Promise.all(devices.map(async (device) => {
          for (let i = 0; i < 15; i++) {
            await device.push(urls);
            if (++pushes === endAt) ended = endOne();
          }
        }));
        await ended;
      }
      const [one, two] = [await pullAll(urls()[0]!), await pullAll(urls()[1]!)];
      assertEquals(one, two);
      const ids = one.map(({ deltaId }) => deltaId);
      assertEquals(new Set(ids).size, ids.length, "a delta is there twice");
      const acknowledged = devices.flatMap((device) => device.acknowledged);
      assertEquals([...ids].sort(), acknowledged.sort());
    } finally {
      for (const instance of instances) await instance[Symbol.asyncDispose]();
    }
  }));

test("a pull held by one Deno Deploy instance is answered when another one takes a push", () =>
  withTempDir(async (directory) => {
    await using a = await Instance.start(directory);
    await using b = await Instance.start(directory);
    const start = await ask<PullAnswer>(`${b.url}/v1/sync/default/pull?clientId=watcher`);
    const held = ask<PullAnswer>(
      `${b.url}/v1/sync/default/pull?clientId=watcher&wait=50&cursor=${start!.cursor}`,
    );
    await new Device("alice", new Prng(1)).push(() => [a.url]);
    assert((await held)!.deltas.length > 0);
  }));

test("the cron's flush takes the log to the lake once, whichever instance runs it", () =>
  withTempDir(async (directory) => {
    const config = {
      tables: [todos],
      kvPath: `${directory}/kv`,
      destinations: () => [
        icebergDestination({
          store: fileObjectStore({ directory: `${directory}/lake` }),
          name: "lake",
        }),
      ],
    };
    const lines: { event: string; deltas?: unknown }[] = [];
    const logger = {
      log: (_: string, event: string, facts: object = {}) => void lines.push({ event, ...facts }),
    };
    const server = serveDenoDeploy({
      ...config,
      address: { host: "127.0.0.1", port: 0 },
      flushSchedule: "0 0 1 1 *",
      logger,
    });
    const other = unwrapOrThrow(await openKvGateways(config, logger));
    const url = `http://127.0.0.1:${server.port}`;
    const device = new Device("alice", new Prng(3));
    await device.push(() => [url]);
    await Promise.all([server.flush(), other.flush()]);
    await server.flush();
    const { head, flushedSeq } = await ask(`${url}/v1/admin/default/stats`) as {
      head: number;
      flushedSeq: number;
    };
    assertEquals([head, flushedSeq], [device.acknowledged.length, device.acknowledged.length]);
    const flushed = lines.filter(({ event }) => event === "flush.done");
    assertEquals(flushed.map(({ deltas }) => deltas), [head]);
    assertEquals(
      lines.filter(({ event }) => event === "flush.failed").every((line) =>
        "code" in line && line.code === "CONFLICT"
      ),
      true,
    );
    await other.close();
    await server.stop();
  }));

test("a Deno Deploy gateway serves nobody but its own machine without authentication", () => {
  assertThrows(() => serveDenoDeploy({ tables: [todos] }), TypeError, "authentication");
});
