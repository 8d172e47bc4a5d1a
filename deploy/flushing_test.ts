import { createGateway, type Gateway, memoryLogStore } from "@lakesync/gateway";
import { type Destination, ok, silentLogger, unwrapOrThrow, type Watermark } from "@lakesync/core";
import {
  appendRequest,
  insertTodo,
  ManualClock,
  serveHandler,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { flushLast, flushRegularly, type FlushThresholds } from "./flushing.ts";
import { startServer } from "./server.ts";
import { put, tables } from "./testdata/bad_input.ts";

const TODOS = {
  table: "todos",
  version: 1,
  columns: [{ name: "title", type: "string" }, { name: "done", type: "boolean" }],
} as const;

/** Notes how many deltas each flush brings. */
function counting(flushes: number[], fails: () => boolean): Destination {
  let mark: Watermark | undefined;
  return {
    name: "counting",
    watermarks: () => Promise.resolve(ok(new Map(mark && [["todos", mark]]))),
    async write(batch) {
      let deltas = 0;
      for await (const chunk of batch.entries) deltas += chunk.length;
      flushes.push(deltas);
      if (fails()) throw new Error("the lake is away");
      mark = batch.to;
      const done = { status: "committed", deltas, objects: 1, bytes: 1 } as const;
      return ok(new Map([["todos", deltas > 0 ? done : { status: "empty" } as const]]));
    },
  };
}

/** Runs regular flushes of one gateway, with time in the test's hands. */
async function withFlushing(
  { flushAt, fails = () => false }: { flushAt: FlushThresholds; fails?: () => boolean },
  body: (context: {
    gateway: Gateway;
    flushes: number[];
    push: (count: number) => Promise<void>;
    seconds: (count: number) => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const flushes: number[] = [];
  const clock = new ManualClock();
  const gateway = unwrapOrThrow(
    await createGateway({
      id: "g",
      store: memoryLogStore({ clock }),
      tables: [TODOS],
      destinations: [counting(flushes, fails)],
    }),
  );
  const stopping = new AbortController();
  const flushing = flushRegularly([gateway], {
    everyMs: 60_000,
    flushAt,
    scheduler: clock,
    logger: silentLogger,
    signal: stopping.signal,
  });
  let row = 0;
  try {
    await body({
      gateway,
      flushes,
      async push(count) {
        const deltas = Array.from({ length: count }, () => insertTodo(`r${++row}`, row));
        unwrapOrThrow(await gateway.store.append(appendRequest(deltas)));
      },
      async seconds(count) {
        for (let i = 0; i < count; i++) await clock.advance(1_000);
      },
    });
  } finally {
    stopping.abort();
    await flushing;
    await gateway.close();
  }
}

test("a flush waits for its time, without thresholds whatever there is", () =>
  withFlushing({ flushAt: {} }, async ({ flushes, push, seconds }) => {
    await push(50);
    await seconds(59);
    assertEquals(flushes, []);
    await seconds(1);
    assertEquals(flushes, [50]);
  }));

test("a flush does not wait for its time once so many deltas are there", () =>
  withFlushing({ flushAt: { rows: 10 } }, async ({ flushes, push, seconds }) => {
    await seconds(1);
    await push(9);
    await seconds(2);
    assertEquals(flushes, []);
    await push(1);
    await seconds(1);
    assertEquals(flushes, [10]);
    // Less than that waits for its time, which is not put off.
    await push(3);
    await seconds(55);
    assertEquals(flushes, [10]);
    await seconds(1);
    assertEquals(flushes, [10, 3]);
    await push(12);
    await seconds(1);
    assertEquals(flushes, [10, 3, 12]);
  }));

test("a flush does not wait for its time once so many bytes are there", () =>
  withFlushing({ flushAt: { bytes: 2_000 } }, async ({ flushes, push, seconds }) => {
    await seconds(1);
    await push(5);
    await seconds(3);
    assertEquals(flushes, []);
    await push(20);
    await seconds(1);
    assertEquals(flushes, [25]);
    await push(5);
    await seconds(2);
    assertEquals(flushes, [25]);
  }));

test("a flush that fails at a threshold is not tried again before as much has come again", () => {
  let fails = true;
  const options = { flushAt: { rows: 10 }, fails: () => fails };
  return withFlushing(options, async ({ flushes, push, seconds }) => {
    await seconds(1);
    await push(10);
    await seconds(1);
    const tries = flushes.length;
    await seconds(20);
    assertEquals(flushes.length, tries);
    fails = false;
    await push(10);
    await seconds(1);
    assertEquals(flushes.slice(tries), [20]);
  });
});

test("the last flushes have half a minute together; those that hang are left behind", async () => {
  const clock = new ManualClock();
  const stores = [memoryLogStore({ clock }), memoryLogStore({ clock }), memoryLogStore({ clock })];
  const flushes: number[] = [];
  const hanging = {
    ...counting(flushes, () => false),
    watermarks: () => new Promise<never>(() => {}),
  };
  const gateways: Gateway[] = [];
  for (const [i, store] of stores.entries()) {
    const destinations = [i === 1 ? hanging : counting(flushes, () => false)];
    const about = { id: `g${i}`, store, tables: [TODOS], scheduler: clock, destinations };
    gateways.push(unwrapOrThrow(await createGateway(about)));
    unwrapOrThrow(await store.append(appendRequest([insertTodo("r", 1)])));
  }
  let ended = false;
  const last = flushLast(gateways, { logger: silentLogger, scheduler: clock })
    .then(() => ended = true);
  await clock.advance(29_999);
  assertEquals([flushes, ended], [[1], false]);
  await clock.advance(1);
  await last;
  assertEquals(flushes, [1], "what comes behind it is left for the next server");
  for (const gateway of gateways) {
    const closing = gateway.close();
    await clock.advance(5_000);
    await closing;
  }
});

test("a lake that does not answer keeps a server neither from starting nor from stopping", () =>
  withTempDir(async (data) => {
    const held = Promise.withResolvers<Response>();
    const asked = Promise.withResolvers<void>();
    await using mute = await serveHandler(() => {
      asked.resolve();
      return held.promise;
    });
    const scheduler = new ManualClock();
    const lake = { catalogue: { url: mute.url } };
    const server = unwrapOrThrow(await startServer({ data, tables, lake, scheduler }));
    const flushed = put(server.gateways[0]!, "notes", "a", { text: "stays in the log" });
    await asked.promise;
    const stopped = server.stop();
    let ended = false;
    void stopped.then(() => ended = true);
    while (!ended) await scheduler.advance(1_000);
    held.resolve(new Response(null, { status: 404 }));
    await flushed;
    const next = unwrapOrThrow(await startServer({ data, tables }));
    unwrapOrThrow(await next.gateways[0]!.flush());
    const { destinations, tables: shown } = unwrapOrThrow(await next.gateways[0]!.stats());
    assertEquals([shown["notes"]?.rows, destinations["lake"]?.lag], [1, 0]);
    await next.stop();
  }));
