// Requests that last: held pulls, checkpoints on their way, and what a drain does to them.
import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import {
  type CheckpointRow,
  type Delta,
  type LogLevel,
  type LogStore,
  ok,
  type PullAnswer,
  unwrapOrThrow,
} from "@lakesync/core";
import { insertTodo, makeDelta, ManualClock, Prng, test, withTempDir } from "@lakesync/testing";
import { memoryLogStore } from "./store_memory.ts";
import { openSqliteLogStore } from "./store_sqlite.ts";
import { deleteTodo, pull, push, storeWith, updateTodo } from "./testdata/fixture.ts";
import {
  errorOf,
  pushBody,
  RawConnection,
  type Served,
  serveGateway,
  until,
} from "./testdata/http_fixture.ts";
import { nextTurn } from "./turn.ts";

async function pageOf(response: Response): Promise<PullAnswer> {
  const text = await response.text();
  assertEquals(response.status, 200, text);
  return JSON.parse(text) as PullAnswer;
}

/** A gateway whose held pulls end by a clock that the test owns. */
async function serveHeld(): Promise<{ served: Served; clock: ManualClock; cursor: string }> {
  const clock = new ManualClock();
  const served = await serveGateway({ clock, scheduler: clock });
  await push(served.gateway, [insertTodo("a", 1)]);
  const { cursor } = await pull(served.gateway);
  return { served, clock, cursor };
}

async function settle(turns = 50): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>(nextTurn);
}

test("a pull with wait is held until a push comes", async () => {
  const { served, clock, cursor } = await serveHeld();
  await using _ = served;
  let answered = false;
  const held = served.pull(`clientId=bob&wait=60&cursor=${cursor}`).then((response) => {
    answered = true;
    return pageOf(response);
  });
  await until(() => clock.pending === 1);
  await clock.advance(59_999);
  await settle();
  assertEquals(answered, false);
  await served.push({ clientId: "alice:phone", deltas: [insertTodo("b", 2)] });
  const page = await held;
  assertEquals([page.deltas, page.seq, page.hasMore], [[insertTodo("b", 2)], 2, false]);
  assertEquals(clock.pending, 0, "its timer is gone");
});

test("a pull with wait answers an empty page at its time, at most a minute later", async () => {
  const { served, clock, cursor } = await serveHeld();
  await using _ = served;
  for (const [wait, ms] of [["1", 1_000], ["0.25", 250], ["60", 60_000], ["3600", 60_000]]) {
    let answered = false;
    const held = served.pull(`clientId=bob&wait=${wait}&cursor=${cursor}`).then((response) => {
      answered = true;
      return pageOf(response);
    });
    await until(() => clock.pending === 1);
    await clock.advance(Number(ms) - 1);
    await settle();
    assertEquals(answered, false, String(wait));
    await clock.advance(1);
    const page = await held;
    assertEquals([page.deltas, page.seq, page.hasMore], [[], 1, false]);
  }
});

test("a pull with wait is answered at once where there is something", async () => {
  const { served, clock } = await serveHeld();
  await using _ = served;
  const page = await pageOf(await served.pull("clientId=bob&wait=60"));
  assertEquals([page.deltas.length, clock.pending], [1, 0]);
});

test("a pull with wait is held over changes that it does not get, and its seq goes on", async () => {
  const { served, clock } = await serveHeld();
  await using _ = served;
  const { cursor } = await pull(served.gateway, { tables: "__proto__" });
  const held = served.pull(`clientId=bob&wait=60&tables=__proto__&cursor=${cursor}`);
  await until(() => clock.pending === 1);
  await push(served.gateway, [insertTodo("b", 2), updateTodo("never", 3, { done: true })]);
  await settle();
  assertEquals(clock.pending, 1);
  await clock.advance(60_000);
  const page = await pageOf(await held);
  assertEquals([page.deltas, page.seq], [[], 3]);
});

test("a hundred pulls with wait are all answered by one push", async () => {
  const { served, clock, cursor } = await serveHeld();
  await using _ = served;
  const held = Array.from(
    { length: 100 },
    (_, i) => served.pull(`clientId=c${i}&wait=60&cursor=${cursor}`),
  );
  await until(() => clock.pending === 100);
  await push(served.gateway, [insertTodo("b", 2)]);
  for (const response of held) assertEquals((await pageOf(await response)).seq, 2);
});

test("a client that breaks off a pull with wait leaves nothing behind", async () => {
  const { served, clock, cursor } = await serveHeld();
  await using _ = served;
  const stop = new AbortController();
  const held = fetch(
    `${served.url}/v1/sync/default/pull?clientId=bob&wait=60&cursor=${cursor}`,
    { signal: stop.signal },
  ).then(() => "answered", () => "broken off");
  await until(() => clock.pending === 1);
  stop.abort();
  assertEquals(await held, "broken off");
  await until(() => clock.pending === 0);
});

test("a drain ends held pulls at once with an empty page, and refuses what comes after", async () => {
  const { served, clock, cursor } = await serveHeld();
  await using _ = served;
  const held = served.pull(`clientId=bob&wait=60&cursor=${cursor}`);
  await until(() => clock.pending === 1);
  await served.handler.drain();
  const page = await pageOf(await held);
  assertEquals([page.deltas, page.cursor], [[], cursor]);
  const refused = [
    served.push({ clientId: "alice:phone", deltas: [insertTodo("b", 2)] }),
    served.pull(),
    served.ask("/v1/sync/default/checkpoint?clientId=bob"),
    served.ask("/v1/admin/default/flush", { method: "POST" }),
    served.ask("/ready"),
  ];
  for (const request of refused) {
    const response = await request;
    assertEquals(response.headers.has("retry-after"), true);
    await errorOf(response, { status: 503, code: "SHUTTING_DOWN" });
  }
  assertEquals(unwrapOrThrow(await served.gateway.store.head()).seq, 1);
});

test("a request whose body is half received is still answered in a drain", async () => {
  await using served = await serveGateway();
  const body = pushBody([insertTodo("a", 1), insertTodo("b", 2)]);
  using connection = new RawConnection(served.port);
  connection.send(
    "POST /v1/sync/default/push HTTP/1.1\r\nHost: g\r\nConnection: close\r\n" +
      `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 40)}`,
  );
  await until(() => served.requests() === 1);
  let drained = false;
  const draining = served.handler.drain().then(() => drained = true);
  const late = await served.push({ clientId: "alice:phone", deltas: [insertTodo("c", 3)] });
  await errorOf(late, { status: 503, code: "SHUTTING_DOWN" });
  await settle();
  assertEquals(drained, false);
  connection.send(body.slice(40));
  const answer = await connection.answer();
  assertEquals(answer?.status, 200);
  assertEquals(JSON.parse(Buffer.from(answer!.body).toString()).accepted, 2);
  await draining;
  assertEquals(unwrapOrThrow(await served.gateway.store.head()).seq, 2);
});

test("a drain does not wait for a client that broke off in the middle of its body", async () => {
  await using served = await serveGateway();
  using connection = new RawConnection(served.port);
  connection.send(
    "POST /v1/sync/default/push HTTP/1.1\r\nHost: g\r\nContent-Length: 1000\r\n\r\n{",
  );
  await until(() => served.requests() === 1);
  connection.destroy();
  await served.handler.drain();
  assertEquals(unwrapOrThrow(await served.gateway.store.head()).seq, 0);
});

interface Lines {
  header: { checkpoint: { seq: number; cursor: string; tables: string[] } };
  rows: CheckpointRow[];
  end: unknown;
}

async function linesOf(response: Response): Promise<Lines> {
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("content-type"), "application/x-ndjson");
  const text = await response.text();
  assert(text.endsWith("\n"));
  const lines = text.slice(0, -1).split("\n").map((line) => JSON.parse(line) as unknown);
  return {
    header: lines[0] as Lines["header"],
    rows: lines.slice(1, -1) as CheckpointRow[],
    end: lines.at(-1),
  };
}

const proto = makeDelta({
  op: "INSERT",
  table: "__proto__",
  rowId: "__proto__",
  clientId: "alice:phone",
  hlc: "7",
  columns: [{ column: "constructor", value: "c" }],
});

test("a checkpoint comes line by line: its head, each visible row once, its end", async () => {
  await using served = await serveGateway();
  const path = "/v1/sync/default/checkpoint?clientId=bob";
  const empty = await linesOf(await served.ask(path));
  assertEquals(empty.header.checkpoint.seq, 0);
  assertEquals(empty.header.checkpoint.tables, ["todos", "__proto__"]);
  assertEquals([empty.rows, empty.end], [[], { end: { rows: 0 } }]);

  const maker = "alice:phone";
  await push(served.gateway, [
    insertTodo("a", 1),
    updateTodo("a", 2, { title: "x", note: null }),
    insertTodo("dead", 3),
    deleteTodo("dead", 4),
    updateTodo("lifeless", 5, { done: true }),
    proto,
  ]);
  const { header, rows, end } = await linesOf(await served.ask(path));
  assertEquals(Object.keys(header.checkpoint), ["seq", "cursor", "tables"]);
  assertEquals(header.checkpoint.seq, 6);
  assertEquals(end, { end: { rows: 2 } });
  const byTable = rows.toSorted((a, b) => a.table < b.table ? 1 : -1);
  assertEquals(byTable, [
    {
      table: "todos",
      rowId: "a",
      life: ["1", maker],
      columns: {
        title: ["x", "2", maker],
        done: [false, "1", maker],
        note: [null, "2", maker],
      },
    },
    {
      table: "__proto__",
      rowId: "__proto__",
      life: ["7", maker],
      columns: { constructor: ["c", "7", maker] },
    } as unknown as CheckpointRow,
  ]);
  const { cursor } = header.checkpoint;
  const next = await pageOf(await served.pull(`clientId=bob&cursor=${cursor}`));
  assertEquals([next.deltas, next.seq], [[], 6]);
});

test("a checkpoint of some tables has only those, and its cursor goes on with them", async () => {
  await using served = await serveGateway();
  await push(served.gateway, [insertTodo("a", 1), proto]);
  const ask = (tables: string) =>
    served.ask(`/v1/sync/default/checkpoint?clientId=bob&tables=${tables}&schemaVersion=1`);
  const { header, rows, end } = await linesOf(await ask("__proto__"));
  assertEquals(header.checkpoint.tables, ["__proto__"]);
  assertEquals([rows.map(({ table }) => table), end], [["__proto__"], { end: { rows: 1 } }]);
  const { cursor } = header.checkpoint;
  const query = `clientId=bob&tables=__proto__&schemaVersion=1&cursor=${cursor}`;
  assertEquals((await pageOf(await served.pull(query))).deltas, []);
  await errorOf(await served.pull(`clientId=bob&cursor=${cursor}`), {
    status: 410,
    code: "CHECKPOINT_REQUIRED",
  });
  const none = await linesOf(await ask("nothing"));
  assertEquals([none.header.checkpoint.tables, none.rows], [[], []]);
});

test("a checkpoint refuses a query that is none", async () => {
  await using served = await serveGateway();
  for (
    const query of ["", "clientId=", "clientId=bob&tables=a-b", "clientId=bob&schemaVersion=x"]
  ) {
    const response = await served.ask(`/v1/sync/default/checkpoint?${query}`);
    await errorOf(response, { status: 400, code: "VALIDATION_ERROR" });
  }
});

/** Runs `body` over a SQLite store that holds many large rows and counts its open snapshots. */
function withLargeLog(
  rows: number,
  body: (context: { served: Served; open: () => number }) => Promise<void>,
): Promise<void> {
  return withTempDir(async (directory) => {
    const inner = unwrapOrThrow(await openSqliteLogStore({ path: `${directory}/log.db` }));
    let open = 0;
    const store: LogStore = storeWith(inner, {
      async snapshot() {
        const snapshot = unwrapOrThrow(await inner.snapshot());
        open++;
        let closed = false;
        return ok({
          position: snapshot.position,
          rows: (tables) => snapshot.rows(tables),
          close: async () => {
            if (!closed) open--;
            closed = true;
            await snapshot.close();
          },
        });
      },
    });
    await using served = await serveGateway({ store });
    const noise = new Prng(42);
    for (let i = 0; i < rows; i += 1_000) {
      await push(
        served.gateway,
        Array.from({ length: 1_000 }, (_, n): Delta =>
          makeDelta({
            op: "INSERT",
            table: "todos",
            rowId: `r${i + n}`,
            clientId: "alice:phone",
            hlc: String(i + n + 1),
            columns: [
              // Noise, so that it is large in gzip too.
              { column: "title", value: Buffer.from(noise.bytes(900)).toString("base64") },
              { column: "done", value: n % 2 === 0 },
            ],
          })),
      );
    }
    await body({ served, open: () => open });
  });
}

const CHECKPOINT = "/v1/sync/default/checkpoint?clientId=bob";

test("a checkpoint of 20,000 rows shows one position, while pushes go on", () =>
  withLargeLog(20_000, async ({ served, open }) => {
    const response = await served.ask(CHECKPOINT);
    const reader = response.body!.getReader();
    const first = await reader.read();
    await push(served.gateway, [
      updateTodo("r19999", 1_000_000, { title: "later" }),
      deleteTodo("r0", 1_000_001),
      insertTodo("later", 1_000_002),
    ]);
    const decoder = new TextDecoder();
    let text = decoder.decode(first.value, { stream: true });
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      text += decoder.decode(next.value, { stream: true });
    }
    const lines = text.trimEnd().split("\n");
    assertEquals(JSON.parse(lines[0]!).checkpoint.seq, 20_000);
    assertEquals(JSON.parse(lines.at(-1)!), { end: { rows: 20_000 } });
    assertEquals(lines.length, 20_002);
    assert(!text.includes("later"));
    const { cursor } = JSON.parse(lines[0]!).checkpoint as { cursor: string };
    const page = await pageOf(await served.pull(`clientId=bob&cursor=${cursor}`));
    assertEquals([page.deltas.length, page.seq], [3, 20_003]);
    await until(() => open() === 0);
  }));

test("a client that breaks off a checkpoint leaves no snapshot open", () =>
  withLargeLog(20_000, async ({ served, open }) => {
    for (const gzip of [false, true]) {
      using connection = new RawConnection(served.port);
      connection.send(
        `GET ${CHECKPOINT} HTTP/1.1\r\nHost: g\r\n${gzip ? "Accept-Encoding: gzip\r\n" : ""}\r\n`,
      );
      await until(() => connection.received > 10_000);
      connection.pause();
      assertEquals(open(), 1, `gzip: ${gzip}`);
      connection.destroy();
      await until(() => open() === 0);
    }
    const stop = new AbortController();
    const response = await served.ask(CHECKPOINT, { signal: stop.signal });
    await response.body!.getReader().read();
    stop.abort();
    await until(() => open() === 0);
    // HEAD has no body to stream.
    await (await served.ask(CHECKPOINT, { method: "HEAD" })).body?.cancel();
    await until(() => open() === 0);
  }));

test("a drain breaks off a checkpoint, also one that nobody reads", () =>
  withLargeLog(20_000, async ({ served, open }) => {
    using connection = new RawConnection(served.port);
    connection.send(`GET ${CHECKPOINT} HTTP/1.1\r\nHost: g\r\n\r\n`);
    await until(() => connection.received > 10_000);
    connection.pause();
    const response = await served.ask(CHECKPOINT);
    const reader = response.body!.getReader();
    await reader.read();
    await served.handler.drain();
    await until(() => open() === 0);
    let text = "";
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        text += new TextDecoder().decode(next.value);
      }
    } catch {
      // Broken off in the middle of a chunked body: that is what it looks like to a client.
    }
    assert(!text.includes('"end"'), "it does not look whole");
  }));

test("a checkpoint that fails on its way has no end line, and its failure is logged", async () => {
  const inner = memoryLogStore();
  let closed = 0;
  const store = storeWith(inner, {
    async snapshot() {
      const { position } = unwrapOrThrow(await inner.snapshot());
      return ok({
        position,
        close: () => Promise.resolve(void closed++),
        rows: () => ({
          [Symbol.asyncIterator]: () => ({
            next: () => Promise.reject(new Error("The disk is gone")),
          }),
        }),
      });
    },
  });
  const messages: unknown[] = [];
  const logger = {
    log: (_: LogLevel, event: string, facts?: { readonly [key: string]: unknown }) =>
      void messages.push([event, facts?.message]),
  };
  await using served = await serveGateway({ store }, { logger });
  const text = await served.ask(CHECKPOINT).then((response) => response.text()).catch(() => "");
  assert(!text.includes('"end"'));
  assertEquals(messages, [["request.failed", "The disk is gone"]]);
  assertEquals(closed, 1);
  assertEquals((await served.ask("/health")).status, 200);
});
