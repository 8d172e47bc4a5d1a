// Lakes that servers keep in shape by themselves.
import { readdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { filesCatalogue, icebergDestination, icebergLake } from "@lakesync/adapter-iceberg";
import { openAnalyst } from "@lakesync/analyst";
import {
  type FlushEntry,
  type Logger,
  packHlc,
  type Scheduler,
  systemScheduler,
  unwrapOrThrow,
} from "@lakesync/core";
import { memoryLogStore } from "@lakesync/gateway";
import {
  fileObjectStore,
  insertTodo,
  makeDelta,
  Prng,
  type ScriptProcess,
  spawnScript,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { gatewayPaths } from "./gateway_paths.ts";
import { lakeStates } from "./lake_states.ts";
import { type KeptGateway, Upkeep } from "./upkeep.ts";

const SERVE = new URL("./serve.ts", import.meta.url);
const TABLES = {
  tables: [{ table: "todos", version: 1, columns: [{ name: "n", type: "integer" }] }],
};

interface Stats {
  readonly head: number;
  readonly maintenance?: {
    readonly runs: number;
    readonly failures: number;
    readonly running: boolean;
    readonly lastEndedAt: string | null;
  };
}

class Server {
  readonly process: ScriptProcess;
  readonly url: string;
  readonly #made: { n: number };

  private constructor(process: ScriptProcess, url: string, made: { n: number }) {
    this.process = process;
    this.url = url;
    this.#made = made;
  }

  static async start(data: string, maintain: string, made: { n: number }): Promise<Server> {
    const args = ["--port", "0", "--data", data, "--maintain", maintain];
    const process = spawnScript(SERVE, { args });
    const line = await process.nextJson() as { url: string } | undefined;
    assert(line !== undefined, process.stderr);
    return new Server(process, line.url, made);
  }

  async send(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(this.url + path, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    assertEquals(response.status, 200, JSON.stringify(answer));
    return answer;
  }

  /** Changes ten of twenty rows, and flushes. */
  async change(): Promise<void> {
    const deltas = Array.from({ length: 10 }, () => {
      const n = ++this.#made.n;
      return makeDelta({
        op: "INSERT",
        table: "todos",
        rowId: `r${n % 20}`,
        clientId: "alice",
        columns: [{ column: "n", value: n }],
        hlc: packHlc({ wallMs: 1_700_000_000_000, counter: n }),
      });
    });
    await this.send("POST", "/v1/sync/default/push", { clientId: "alice", deltas });
    await this.send("POST", "/v1/admin/default/flush");
  }

  async stats(): Promise<Stats> {
    return await this.send("GET", "/v1/admin/default/stats") as Stats;
  }

  /** Asks until its upkeep is where it is waited for. */
  async until(there: (maintenance: NonNullable<Stats["maintenance"]>) => boolean): Promise<void> {
    while (!there((await this.stats()).maintenance!));
  }
}

/** All files of a lake were last written long ago. */
async function age(directory: string): Promise<void> {
  const files = await readdir(directory, { recursive: true });
  const old = new Date(1_600_000_000_000);
  await Promise.all(files.map((file) => utimes(join(directory, file), old, old)));
}

/** The last value of each row, from the changelog and from the table of current rows. */
async function checkRows(directory: string, made: number): Promise<void> {
  const store = fileObjectStore({ directory });
  const catalogue = filesCatalogue(store);
  assert(unwrapOrThrow(await catalogue.load("todos")) !== undefined, "it was compacted");
  const expected = Array.from({ length: 20 }, (_, i) => made - i).map((n) => [`r${n % 20}`, n]);
  for (const findState of [undefined, lakeStates(catalogue)]) {
    const lake = icebergLake({ catalogue });
    const analyst = unwrapOrThrow(
      await openAnalyst({ lake, threads: 1, ...(findState && { findState }) }),
    );
    const { rows } = unwrapOrThrow(await analyst.query("SELECT id, n FROM todos"));
    assertEquals(
      rows.map(({ id, n }) => [id, Number(n)]).sort((a, b) => Number(b[1]) - Number(a[1])),
      expected,
    );
    const changes = unwrapOrThrow(await analyst.query("SELECT count(*) AS n FROM todos_changes"));
    assertEquals(Number(changes.rows[0]!["n"]), made, "each change once");
    await analyst.close();
  }
}

test("serve --maintain folds what was flushed; stats, metrics and logs tell; it ends in good order", () =>
  withTempDir(async (data) => {
    const made = { n: 0 };
    const server = await Server.start(data, "1", made);
    await server.send("PUT", "/v1/admin/default/schema", TABLES);
    assertEquals((await server.stats()).maintenance!.lastEndedAt, null);
    await server.change();
    await server.change();
    const { runs } = (await server.stats()).maintenance!;
    // The run under way may have begun before the flush.
    await server.until((now) => now.runs >= runs + 2);
    const { maintenance } = await server.stats();
    assertEquals(maintenance!.failures, 0);
    assert(Math.abs(Date.parse(maintenance!.lastEndedAt!) - Date.now()) < 60_000);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert(/^lakesync_maintenance_runs\{gateway="default"\} [1-9]/m.test(metrics), metrics);
    assert(/^lakesync_maintenance_last_end_seconds\{gateway="default"\} \d{10}/m.test(metrics));
    assertEquals(await server.process.kill("SIGTERM"), { code: 0, signal: null });
    const lines = [...server.process.stderr.matchAll(/^\{.*\}$/gm)].map(([line]) =>
      JSON.parse(line)
    );
    assert(
      lines.some(({ event, gateway, engine }) =>
        event === "maintain.compact" && gateway === "default" && engine === "duckdb"
      ),
    );
    assert(lines.some(({ event, well }) => event === "maintain.done" && well === true));
    await checkRows(gatewayPaths(data, "default").lake, made.n);
  }));

test("serve --maintain 0 keeps no lake, and says nothing of it", () =>
  withTempDir(async (data) => {
    const server = await Server.start(data, "0", { n: 0 });
    assertEquals((await server.stats()).maintenance, undefined);
    assertEquals((await server.process.kill("SIGTERM")).code, 0);
  }));

test("a server that is told to end while it keeps its lake leaves off and drains", () =>
  withTempDir(async (data) => {
    const made = { n: 0 };
    const server = await Server.start(data, "1", made);
    await server.send("PUT", "/v1/admin/default/schema", TABLES);
    for (let i = 0; i < 10; i++) await server.change();
    await server.until(({ running }) => running);
    assertEquals(await server.process.kill("SIGTERM"), { code: 0, signal: null });
    // The next one begins where it was.
    const next = await Server.start(data, "1", made);
    await next.until(({ runs }) => runs >= 1);
    assertEquals((await next.stats()).maintenance!.failures, 0);
    assertEquals((await next.process.kill("SIGTERM")).code, 0);
    await checkRows(gatewayPaths(data, "default").lake, made.n);
  }));

test({
  name: "a server killed at any moment of its upkeep, again and again, loses and doubles no row",
  timeoutMs: 240_000,
}, () =>
  withTempDir(async (data) => {
    const random = new Prng(42);
    const made = { n: 0 };
    const { lake } = gatewayPaths(data, "default");
    const seen = new Set<string>();
    for (let round = 0; round < 8; round++) {
      const server = await Server.start(data, "1", made);
      if (round === 0) await server.send("PUT", "/v1/admin/default/schema", TABLES);
      for (let flushes = random.int(3, 6); flushes > 0; flushes--) await server.change();
      await server.until(({ running }) => running);
      // Somewhere within the run, and now and then behind it.
      for (let waits = random.int(0, 200); waits > 0; waits--) await server.stats();
      await server.process.kill();
      for (const [, step] of server.process.stderr.matchAll(/"maintain\.(\w+)"/g)) seen.add(step!);
      await age(lake);
    }
    const server = await Server.start(data, "1", made);
    await server.change();
    // Nobody waits for the lease of a server that is dead.
    await server.until(({ runs }) => runs >= 2);
    assertEquals((await server.stats()).maintenance!.failures, 0);
    assertEquals((await server.process.kill("SIGTERM")).code, 0);
    for (const [, step] of server.process.stderr.matchAll(/"maintain\.(\w+)"/g)) seen.add(step!);
    for (const step of ["compact", "rewrite", "expire", "orphans"]) {
      assert(seen.has(step), `${step} of ${[...seen]}`);
    }
    await checkRows(lake, made.n);
  }));

async function* entriesOf(seq: number): AsyncGenerator<FlushEntry[]> {
  await Promise.resolve();
  yield [{ seq, at: 1_700_000_000_000, delta: insertTodo(`r${seq}`, seq) }];
}

const TODOS = {
  table: "todos",
  version: 1,
  columns: [{ name: "title", type: "string" }, { name: "done", type: "boolean" }],
} as const;

/** A lake of five flushed rows, and servers' upkeeps of it. */
async function upkeepsOf(
  data: string,
  stores: readonly KeptGateway["store"][],
  scheduler: Scheduler = systemScheduler,
) {
  const store = fileObjectStore({ directory: gatewayPaths(data, "default").lake });
  for (let seq = 1; seq <= 5; seq++) {
    const from = seq === 1 ? undefined : { epoch: "e", seq: seq - 1 };
    unwrapOrThrow(
      await icebergDestination({ store }).write({
        id: `batch ${seq}`,
        to: { epoch: "e", seq },
        tables: new Map([["todos", { schema: TODOS, from }]]),
        entries: entriesOf(seq),
      }),
    );
  }
  const events: string[] = [];
  const logger: Logger = { log: (_level, event) => void (isOwn(event) && events.push(event)) };
  const { signal } = new AbortController();
  const upkeeps = stores.map((store) => {
    const upkeep = new Upkeep({ data, lake: {}, scheduler, logger, signal });
    return { upkeep, run: () => upkeep.once([{ id: "default", store }]) };
  });
  return { store, events, upkeeps };
}

/** What others' killed processes have left on this machine may be removed by the way. */
const isOwn = (event: string): boolean => event !== "maintain.scratch";

test("two servers on one log and lake: one sees to it, the other leaves it alone", () =>
  withTempDir(async (data) => {
    const log = memoryLogStore();
    const { events, upkeeps } = await upkeepsOf(data, [log, log]);
    await Promise.all(upkeeps.map(({ run }) => run()));
    assertEquals(events.sort(), ["maintain.busy", "maintain.compact", "maintain.done"]);
    assertEquals(upkeeps.map(({ upkeep }) => upkeep.stats("default")!.runs).sort(), [0, 1]);
    // The lease was let go of.
    await upkeeps[1]!.run();
    await upkeeps[0]!.run();
    assertEquals(events.filter((event) => event === "maintain.done").length, 3);
  }));

test("two servers without a common log see to one lake at once, and its rows are right", () =>
  withTempDir(async (data) => {
    const { store, upkeeps } = await upkeepsOf(data, [memoryLogStore(), memoryLogStore()]);
    await Promise.all(upkeeps.map(({ run }) => run()));
    for (const { upkeep } of upkeeps) {
      const { runs, running } = upkeep.stats("default")!;
      assertEquals([runs, running], [1, false]);
    }
    const scan = unwrapOrThrow(await icebergLake({ store }).scan("todos"));
    assertEquals(scan.watermark, { epoch: "e", seq: 5 });
    assertEquals(scan.files.reduce((sum, { rows }) => sum + rows, 0), 5);
  }));

test("a server that has lost its lease while it is at it leaves off", () =>
  withTempDir(async (data) => {
    let asked = 0;
    const store: KeptGateway["store"] = {
      acquireLease: () => Promise.resolve({ ok: true, value: ++asked === 1 }),
      releaseLease: () => Promise.resolve({ ok: true, value: undefined }),
    };
    // It is time to renew it at once.
    const { events, upkeeps: [upkeep] } = await upkeepsOf(data, [store], {
      delay: (_ms, { signal } = {}) =>
        asked === 1
          ? Promise.resolve()
          : new Promise((resolve) => signal?.addEventListener("abort", () => resolve())),
    });
    await upkeep!.run();
    assertEquals(asked, 2);
    assertEquals(upkeep!.upkeep.stats("default")!.runs, 0);
    assertEquals(events.filter((event) => event !== "maintain.compact"), []);
  }));

test("a lake that cannot be opened is a failure, and told of", () =>
  withTempDir(async (data) => {
    const events: string[] = [];
    const upkeep = new Upkeep({
      data,
      lake: { catalogue: { url: "http://127.0.0.1:1" } },
      scheduler: systemScheduler,
      logger: { log: (level, event) => void (isOwn(event) && events.push(`${level} ${event}`)) },
      signal: new AbortController().signal,
    });
    await upkeep.once([{ id: "default", store: memoryLogStore() }]);
    const { runs, failures, running } = upkeep.stats("default")!;
    assertEquals([runs, failures, running], [1, 1, false]);
    assertEquals(events, ["error maintain.failed", "error maintain.done"]);
  }));
