import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import {
  type Client,
  createClient,
  webSocketTransport,
  type WebSocketTransportOptions,
} from "@lakesync/client";
import { protobufFrames } from "@lakesync/client/protobuf";
import {
  boolean,
  type Column,
  defineTable,
  integer,
  type SyncTransport,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";
import { type RunningServer, startServer } from "@lakesync/deploy";
import { signToken } from "@lakesync/gateway";
import { assert, assertEquals } from "@std/assert";
import { Prng } from "./prng.ts";
import { type ScriptProcess, spawnScript } from "./process.ts";
import { serveHandler } from "./serve.ts";
import { withTempDir } from "./temp.ts";
import { test } from "./test.ts";

const todos: Table<"todos", {
  n: Column<number, number | bigint>;
  done: Column<boolean, boolean>;
}> = defineTable("todos", { n: integer(), done: boolean() });

type Todos = Client<readonly [typeof todos]>;

/** What a device was delivered, and what it sent over HTTP. */
interface Trace {
  /** The ids of the deltas, own ones too, in the order in which they came. */
  readonly delivered: string[];
  /** The routes of its HTTP requests. */
  readonly http: string[];
  /** Resolves when it has opened its first socket. */
  readonly socketOpened: Promise<void>;
  /** Resolves when its socket closes the next time. */
  socketClosed(): Promise<void>;
}

interface Device extends Trace {
  readonly client: Todos;
}

async function openDevice(
  database: string,
  options: WebSocketTransportOptions & { clientId?: string },
): Promise<Device> {
  const delivered: string[] = [];
  const http: string[] = [];
  const opened = Promise.withResolvers<void>();
  const closing: (() => void)[] = [];
  const transport = webSocketTransport({
    fetch: (request) => {
      http.push(new URL(request.url).pathname.split("/").at(-1)!);
      return fetch(request);
    },
    logger: {
      log(_, event) {
        if (event === "socket.open") opened.resolve();
        if (event === "socket.closed") { for (const tell of closing.splice(0)) tell(); }
      },
    },
    ...options,
  });
  const traced: SyncTransport = {
    ...transport,
    async pull(request, requestOptions) {
      const page = await transport.pull(request, requestOptions);
      if (page.ok) {
        for (const item of page.value.deltas) if ("deltaId" in item) delivered.push(item.deltaId);
      }
      return page;
    },
  };
  const client = unwrapOrThrow(
    await createClient({
      tables: [todos],
      database,
      transport: traced,
      ...(options.clientId !== undefined && { clientId: options.clientId }),
    }),
  );
  const socketClosed = (): Promise<void> => new Promise((resolve) => closing.push(resolve));
  return { client, delivered, http, socketOpened: opened.promise, socketClosed };
}

/** Resolves when a client's query gives this; and for good, as no write follows. */
async function shows(client: Todos, sql: string, expected: unknown): Promise<void> {
  const wanted = JSON.stringify(expected);
  for await (const rows of client.live(sql)) {
    if (JSON.stringify(rows.map((row) => Object.values(row))) === wanted) return;
  }
}

/** Resolves when all that was written here is in the gateway's log. */
async function pushed(client: Todos): Promise<void> {
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const off = client.on("synced", () => resolve());
    if (unwrapOrThrow(await client.pending()) === 0) return off();
    await promise;
    off();
  }
}

async function rowsOf(client: Todos): Promise<unknown[]> {
  const rows = unwrapOrThrow(await client.query("SELECT id, n, done FROM todos ORDER BY id"));
  return rows.map((row) => Object.values(row));
}

const COUNT = "SELECT count(*), sum(n), sum(done) FROM todos";

/** Each inserts rows and changes its own and the other's, without waiting for anything. */
async function scribble(devices: readonly Device[], options: { rows: number }): Promise<void> {
  const random = new Prng(7);
  await Promise.all(devices.map(async ({ client }, d) => {
    for (let i = 0; i < options.rows; i++) {
      unwrapOrThrow(await client.tables.todos.insert({ id: `${d}-${i}`, n: i, done: false }));
      const [dice = 0] = random.bytes(1);
      const id = `${dice % devices.length}-${dice % (i + 1)}`;
      // It may not have come yet.
      const there = unwrapOrThrow(await client.tables.todos.get(id)) !== undefined;
      if (there) unwrapOrThrow(await client.tables.todos.update(id, { n: i + 1 }));
      // The other devices and the gateway have their turn; a gateway that is down is waited for.
      await setImmediate();
      if (i % 20 === 19) await pushed(client);
    }
  }));
}

/** Waits until each device has all of the others' rows and nothing more is under way. */
async function quiet(devices: readonly Device[], options: { rows: number }): Promise<void> {
  for (const { client } of devices) await pushed(client);
  // A last word of each: who has them has all that was before.
  for (const [d, { client }] of devices.entries()) {
    unwrapOrThrow(await client.tables.todos.insert({ id: `last-${d}`, n: 0, done: true }));
  }
  const rows = devices.length * (options.rows + 1);
  for (const { client } of devices) {
    await shows(client, "SELECT count(*), sum(done) FROM todos", [[rows, devices.length]]);
  }
  for (const { client } of devices) await pushed(client);
}

function assertNoRepeats({ delivered }: Trace): void {
  assertEquals(new Set(delivered).size, delivered.length, "a delta was delivered twice");
}

for (const form of ["json", "protobuf"] as const) {
  test({
    name: `devices converge over WebSockets in ${form}, and use nothing else once they are open`,
    timeoutMs: 60_000,
  }, () =>
    withTempDir(async (directory) => {
      const server = unwrapOrThrow(
        await startServer({ data: join(directory, "data"), tables: [todos.schema] }),
      );
      const devices = await Promise.all(["a", "b", "c"].map((name) =>
        openDevice(join(directory, `${name}.db`), {
          url: server.url,
          ...(form === "protobuf" && { frames: protobufFrames }),
        })
      ));
      try {
        for (const { socketOpened } of devices) {
          await socketOpened;
        }
        // All that was under way over HTTP is over once this has been everywhere.
        unwrapOrThrow(
          await devices[0]!.client.tables.todos.insert({ id: "0-0", n: 0, done: false }),
        );
        for (const { client } of devices) {
          await shows(client, COUNT, [[1, 0, 0]]);
        }
        unwrapOrThrow(await devices[0]!.client.tables.todos.delete("0-0"));
        for (const { client } of devices) {
          await shows(client, COUNT, [[0, null, null]]);
        }
        for (const { http } of devices) {
          http.length = 0;
        }
        await scribble(devices, { rows: 100 });
        await quiet(devices, { rows: 100 });
        const [a, b, c] = await Promise.all(devices.map(({ client }) =>
          rowsOf(client)
        ));
        assertEquals([b, c], [a, a]);
        for (const device of devices) {
          assertNoRepeats(device);
          assertEquals(device.http, []);
        }
      } finally {
        for (const { client } of devices) await client.close();
        await server.stop();
      }
    }));
}

test("two clients that are given a URL alone show each other's changes as they come", () =>
  withServer({}, async (server, directory) => {
    const open = async (name: string): Promise<Todos> =>
      unwrapOrThrow(
        await createClient({
          tables: [todos],
          database: join(directory, `${name}.db`),
          url: server.url,
          // What comes sooner has come by itself.
          sync: { intervalMs: 3_600_000 },
        }),
      );
    const a = await open("a");
    const b = await open("b");
    try {
      for (let n = 1; n <= 5; n++) {
        unwrapOrThrow(await a.tables.todos.insert({ id: `a${n}`, n, done: false }));
        await shows(b, COUNT, [[2 * n - 1, n * n, 0]]);
        unwrapOrThrow(await b.tables.todos.insert({ id: `b${n}`, n, done: false }));
        await shows(a, COUNT, [[2 * n, n * (n + 1), 0]]);
      }
    } finally {
      await a.close();
      await b.close();
    }
  }));

const SERVE = new URL("../deploy/serve.ts", import.meta.url);

async function startGateway(
  data: string,
  port: number,
): Promise<{ gateway: ScriptProcess; url: string }> {
  const gateway = spawnScript(SERVE, { args: ["--port", String(port), "--data", data] });
  const line = await gateway.nextJson() as { url: string } | undefined;
  assert(line !== undefined, gateway.stderr);
  const response = await fetch(`${line.url}/v1/admin/default/schema`, {
    method: "PUT",
    body: JSON.stringify({ tables: [todos.schema] }),
  });
  assertEquals(response.status, 200, await response.text());
  return { gateway, url: line.url };
}

test({
  name: "a gateway that is killed and started again is found again: no gap, nothing twice",
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (directory) => {
    const data = join(directory, "data");
    let { gateway, url } = await startGateway(data, 0);
    const port = Number(new URL(url).port);
    const devices = await Promise.all(
      ["a", "b"].map((name) => openDevice(join(directory, `${name}.db`), { url })),
    );
    try {
      for (const { client } of devices) await shows(client, COUNT, [[0, null, null]]);
      const work = scribble(devices, { rows: 150 });
      for (let kill = 0; kill < 2; kill++) {
        const sql = `SELECT count(*) > ${kill * 40 + 5} FROM todos WHERE id LIKE '0-%'`;
        await shows(devices[1]!.client, sql, [[1]]);
        await gateway.kill();
        ({ gateway } = await startGateway(data, port));
      }
      await work;
      await quiet(devices, { rows: 150 });
      const [a, b] = await Promise.all(devices.map(({ client }) => rowsOf(client)));
      assertEquals(a, b);
      for (const device of devices) assertNoRepeats(device);
    } finally {
      for (const { client } of devices) await client.close();
      await gateway.kill();
    }
  }));

async function withServer(
  options: Partial<Parameters<typeof startServer>[0]>,
  body: (server: RunningServer, directory: string) => Promise<void>,
): Promise<void> {
  await withTempDir(async (directory) => {
    const data = join(directory, "data");
    const server = unwrapOrThrow(await startServer({ data, tables: [todos.schema], ...options }));
    try {
      await body(server, directory);
    } finally {
      await server.stop();
    }
  });
}

for (const status of [400, 502]) {
  test(`behind a proxy that answers upgrades ${status}, news come by long polls`, () =>
    withServer({}, async (server, directory) => {
      let upgrades = 0;
      const refused = Promise.withResolvers<void>();
      await using proxy = await serveHandler(async (request) => {
        if (request.headers.get("upgrade") !== null) {
          if (++upgrades === 2) refused.resolve();
          return new Response("No such thing", { status });
        }
        const { pathname, search } = new URL(request.url);
        const answer = await fetch(`${server.url}${pathname}${search}`, {
          method: request.method,
          signal: request.signal,
          ...(request.method === "POST" && { body: await request.text() }),
        });
        // Its body is decoded.
        return new Response(answer.body, { status: answer.status });
      });
      const devices = await Promise.all(
        ["a", "b"].map((name) => openDevice(join(directory, `${name}.db`), { url: proxy.url })),
      );
      try {
        await refused.promise;
        await scribble(devices, { rows: 20 });
        await quiet(devices, { rows: 20 });
        const [a, b] = await Promise.all(devices.map(({ client }) => rowsOf(client)));
        assertEquals(a, b);
        for (const device of devices) {
          assertNoRepeats(device);
          assert(device.http.includes("pull") && device.http.includes("push"));
        }
      } finally {
        for (const { client } of devices) await client.close();
      }
    }));
}

test({
  name: "a token that expires is replaced on the way, and nothing is lost",
  timeoutMs: 60_000,
}, () => {
  const secret = "a secret of this test that is long enough";
  return withServer({ auth: { secrets: [secret] } }, async (server, directory) => {
    let tokens = 0;
    const getToken = async (): Promise<string> => {
      tokens++;
      return await signToken({ sub: "ann", gw: "default" }, { secret, expiresInSeconds: 2 });
    };
    const devices = await Promise.all(
      ["a", "b"].map((name) =>
        openDevice(join(directory, `${name}.db`), {
          url: server.url,
          getToken,
          clientId: `ann:${name}`,
        })
      ),
    );
    try {
      for (let round = 0; round < 3; round++) {
        const n = round + 1;
        const expired = Promise.all(devices.map((device) => device.socketClosed()));
        unwrapOrThrow(
          await devices[round % 2]!.client.tables.todos.insert({ id: `${n}`, n, done: false }),
        );
        for (const { client } of devices) {
          await shows(client, "SELECT count(*) FROM todos", [[n]]);
        }
        await expired;
      }
      assert(tokens > 4, `${tokens} tokens`);
      for (const device of devices) assertNoRepeats(device);
    } finally {
      for (const { client } of devices) await client.close();
    }
  });
});
