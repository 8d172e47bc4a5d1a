// The WebSocket's session without a network: what is said, in which order, and what bounds it.
import { type Delta, type LogStore, unwrapOrThrow, type WsPage } from "@lakesync/core";
import { insertTodo, ManualClock, Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { memoryLogStore } from "./store_memory.ts";
import { inTx, openGateway, pullAll, push, storeWith, withTables } from "./testdata/fixture.ts";
import { messageOf, settle, TestSocket } from "./testdata/ws_fixture.ts";

function todos(from: number, count: number): Delta[] {
  return Array.from(
    { length: count },
    (_, i) => insertTodo(`t${from + i}`, from + i),
  );
}

test("a push is answered once, with its id", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  const deltas = [insertTodo("a", 1)];
  socket.say({ type: "push", id: "p1", clientId: "alice:phone", deltas });
  const { serverHlc: _, ...answer } = await socket.answer();
  assertEquals(answer, {
    type: "answer",
    id: "p1",
    accepted: 1,
    duplicates: 0,
    rejected: [],
    seq: 1,
  });
  socket.say({ type: "push", id: 7, clientId: "alice:phone", deltas });
  const again = await socket.answer();
  assertEquals([again.id, again.accepted, again.duplicates, again.seq], [7, 0, 1, 1]);
  socket.say({ type: "push", clientId: "alice:phone", deltas: [] });
  assert(!("id" in await socket.answer()), "without an id there is none");
  assertEquals(socket.unread, 0);
  await gateway.close();
});

test("a push that is refused as a whole is an error with its id, and the next one goes through", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  socket.say({ type: "push", id: "p1", clientId: "alice:phone", deltas: "none" });
  assertEquals((await socket.error("VALIDATION_ERROR")).id, "p1");
  socket.say({ type: "push", id: "p2", clientId: "alice:phone", deltas: [], schemaVersion: 99 });
  const { id, error } = await socket.error("CONFLICT");
  assertEquals([id, error.details, error.requestId], ["p2", { schemaVersion: 1 }, "test"]);
  socket.say({ type: "push", id: "p3", clientId: "alice:phone", deltas: [insertTodo("a", 1)] });
  assertEquals((await socket.answer()).accepted, 1);
  await gateway.close();
});

test("pushes of one connection are appended and answered in the order in which they came", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  for (const [i, delta] of todos(1, 50).entries()) {
    socket.say({ type: "push", id: i, clientId: "alice:phone", deltas: [delta] });
  }
  for (let i = 0; i < 50; i++) {
    const { id, seq } = await socket.answer();
    assertEquals([id, seq], [i, i + 1]);
  }
  await gateway.close();
});

test("a pull gives a first page at once, also an empty one, and then pages by themselves", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  socket.say({ type: "pull", id: "s", clientId: "bob" });
  const first = await socket.page();
  assertEquals([first.id, first.deltas, first.seq, first.hasMore], ["s", [], 0, false]);
  await settle();
  assertEquals(socket.unread, 0, "without news there is no page");
  for (const delta of todos(1, 3)) {
    await push(gateway, [delta]);
    const page = await socket.page();
    assertEquals([page.id, page.deltas], ["s", [delta]]);
  }
  await gateway.close();
});

test("what a client may not see moves its stream's position without a page", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  socket.say({ type: "pull", clientId: "bob", tables: ["__proto__"] });
  await socket.page();
  await push(gateway, [insertTodo("a", 1)]);
  await settle();
  assertEquals(socket.unread, 0);
  await gateway.close();
});

test("a pull's parameters mean what they mean over HTTP", async () => {
  const gateway = await openGateway();
  await push(gateway, todos(1, 5));
  const socket = new TestSocket(gateway);
  socket.say({
    type: "pull",
    clientId: "bob",
    cursor: "",
    limit: 2,
    tables: ["todos"],
    own: "ids",
  });
  const sizes = [await socket.page(), await socket.page(), await socket.page()]
    .map(({ deltas, hasMore }) => [deltas.length, hasMore]);
  assertEquals(sizes, [[2, true], [2, true], [1, false]]);
  socket.say({ type: "pull", clientId: "alice:phone", own: "ids" });
  assertEquals((await socket.page()).deltas.map(({ op }) => op), Array(5).fill("OWN"));
  for (
    const wrong of [
      { limit: 0 },
      { limit: 1.5 },
      { limit: true },
      { tables: [1] },
      { tables: "no-name" },
      { own: "all" },
      { schemaVersion: -1 },
      { clientId: "" },
      { clientId: 7, cursor: {} },
    ]
  ) {
    socket.say({ type: "pull", id: "w", clientId: "bob", ...wrong });
    assertEquals((await socket.error("VALIDATION_ERROR")).id, "w", JSON.stringify(wrong));
  }
  await gateway.close();
});

test("a new pull takes the place of the stream that is open", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  socket.say({ type: "pull", id: "old", clientId: "bob" });
  await socket.page();
  socket.say({ type: "pull", id: "new", clientId: "bob" });
  await socket.page();
  await push(gateway, [insertTodo("a", 1)]);
  assertEquals((await socket.page()).id, "new");
  await settle();
  assertEquals(socket.unread, 0, "the old stream says nothing more");
  await gateway.close();
});

test("a client that breaks off anywhere goes on from its cursor without a gap or a repetition", async () => {
  const gateway = await openGateway();
  const prng = new Prng(42);
  const expected = todos(1, 200);
  const got: unknown[] = [];
  let cursor = "";
  for (let pushed = 0; got.length < expected.length;) {
    const socket = new TestSocket(gateway);
    socket.say({ type: "pull", clientId: "bob", cursor, limit: prng.int(1, 7) });
    for (let pages = prng.int(1, 4); pages > 0; pages--) {
      const count = prng.int(0, 9);
      if (pushed < expected.length) {
        await push(gateway, expected.slice(pushed, pushed += count));
      }
      const page = await Promise.race([socket.page(), settle(60)]);
      if (page === undefined) break;
      got.push(...page.deltas);
      cursor = page.cursor;
    }
    socket.session.closed();
  }
  assertEquals(got, expected);
  await gateway.close();
});

test("a page ends between transactions", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  await push(gateway, todos(1, 5).map((delta) => inTx(delta, "tx")));
  socket.say({ type: "pull", clientId: "bob", limit: 2 });
  assertEquals((await socket.page()).deltas.length, 5);
  await gateway.close();
});

test("a cursor that cannot be served is 410 with the pull's id, and the connection stays", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  socket.say({ type: "pull", id: "s", clientId: "bob", cursor: "nobody's" });
  const { id, error } = await socket.error("CHECKPOINT_REQUIRED");
  assertEquals([id, error.details], ["s", { reason: "foreign" }]);
  socket.say({ type: "ping", id: "still there" });
  assertEquals(await socket.next(), { type: "ping", id: "still there" });
  await gateway.close();
});

test("a stream that the log was trimmed under ends with 410, and the connection stays", async () => {
  const gateway = await openGateway({ limits: { sendBytes: 100 } });
  const socket = new TestSocket(gateway);
  socket.reads = false;
  await push(gateway, todos(1, 3));
  socket.say({ type: "pull", id: "s", clientId: "bob", limit: 1 });
  await socket.page();
  await settle();
  unwrapOrThrow(await gateway.store.trim({ through: 3 }));
  socket.reads = true;
  socket.take();
  assertEquals((await socket.error("CHECKPOINT_REQUIRED")).id, "s");
  await push(gateway, todos(4, 1));
  await settle();
  assertEquals(socket.unread, 0, "the stream has ended");
  const { cursor } = await pullAll(gateway, { cursor: "" }).catch(() => ({ cursor: "" }));
  assertEquals(cursor, "", "the beginning is trimmed");
  assertEquals(socket.closedWith, undefined);
  await gateway.close();
});

test("a ping is answered with the same", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  socket.say({ type: "ping" });
  assertEquals(await socket.next(), { type: "ping" });
  socket.say({ type: "ping", id: 3 });
  assertEquals(await socket.next(), { type: "ping", id: 3 });
  await gateway.close();
});

test("a connection is answered in the form it speaks, in JSON before it has spoken", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  socket.say(new Uint8Array([255, 255]));
  socket.sayBinary({ type: "ping", id: "b" });
  socket.sayBinary({ type: "pull", id: "s", clientId: "bob" });
  await settle();
  socket.say("{");
  await settle();
  await push(gateway, [insertTodo("a", 1)]);
  await settle();
  socket.say({ type: "ping" });
  await settle();
  assertEquals(
    socket.frames.map((frame) => `${messageOf(frame).type} ${typeof frame}`),
    ["error string", "ping object", "page object", "error object", "page object", "ping string"],
  );
  await gateway.close();
});

test("frames that are no messages are answered by an error, and the connection stays", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  const frames = ["", "null", "[]", "1", "{}", "{", '"push"', '{"type":"pong"}', '{"type":1}'];
  for (const frame of [...frames, '{"type":"ping","id":{}}', '{"type":"ping","id":1.5}']) {
    socket.say(frame);
    const message = await socket.error("VALIDATION_ERROR");
    assert(!("id" in message), frame);
  }
  for (const bytes of [[], [0], [0xff], [0x12], [0x12, 0x00, 0x3a], [0x32, 0x00]]) {
    socket.say(new Uint8Array(bytes));
    await socket.error("VALIDATION_ERROR");
  }
  socket.say({ type: "ping", id: "x".repeat(257) });
  await socket.error("VALIDATION_ERROR");
  assertEquals(socket.closedWith, undefined);
  await gateway.close();
});

test("a hundred frames in a row that are no messages end the connection with 1007", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  for (let i = 0; i < 99; i++) socket.say("garbage");
  socket.say({ type: "ping" });
  for (let i = 0; i < 99; i++) socket.say("garbage");
  await settle();
  assertEquals(socket.closedWith, undefined);
  socket.say("garbage");
  await settle();
  assertEquals([socket.closedWith?.code, socket.ended], [1007, true]);
  await gateway.close();
});

test("a message larger than a body may be is told so and ends the connection with 1009", async () => {
  const gateway = await openGateway({ limits: { bodyBytes: 1000 } });
  for (const frame of ["x".repeat(1001), "ö".repeat(501), new Uint8Array(1001)]) {
    const socket = new TestSocket(gateway);
    socket.say(frame);
    await socket.error("PAYLOAD_TOO_LARGE");
    assertEquals([socket.closedWith?.code, socket.ended], [1009, true]);
  }
  await gateway.close();
});

/** A gateway whose appends wait until the test lets them go. */
async function heldGateway(): Promise<
  { gateway: Awaited<ReturnType<typeof openGateway>>; held: () => number; release: () => void }
> {
  const store: LogStore = await withTables(memoryLogStore());
  const gate = Promise.withResolvers<void>();
  let held = 0;
  const gateway = await openGateway({
    store: storeWith(store, {
      async append(request) {
        held++;
        await gate.promise;
        return await store.append(request);
      },
    }),
    limits: { socketMessages: 3 },
  });
  return { gateway, held: () => held, release: gate.resolve };
}

test("more messages than may wait end the connection with BACKPRESSURE and 1013", async () => {
  const { gateway, held, release } = await heldGateway();
  const socket = new TestSocket(gateway);
  const say = (i: number) =>
    socket.say({ type: "push", id: i, clientId: "alice:phone", deltas: todos(i, 1) });
  say(1);
  await settle();
  for (let i = 2; i <= 4; i++) say(i);
  assertEquals(socket.closedWith, undefined, "one is under way and three wait");
  say(5);
  await socket.error("BACKPRESSURE");
  assertEquals([socket.closedWith?.code, socket.ended], [1013, true]);
  release();
  await settle();
  assertEquals(held(), 1, "what waited is not done any more");
  await gateway.close();
});

test("bytes of waiting messages are bounded too", async () => {
  const gateway = await openGateway({ limits: { bodyBytes: 1_000, sendBytes: 0 } });
  const socket = new TestSocket(gateway);
  socket.reads = false;
  socket.say({ type: "ping" });
  await settle();
  // The first is taken from the line, and waits for room.
  for (let i = 0; i < 5; i++) socket.say({ type: "ping", pad: "x".repeat(500) });
  await settle();
  assertEquals(socket.closedWith?.code, 1013);
  await gateway.close();
});

test("the next page is read only when there is room for it", async () => {
  let reads = 0;
  const store = memoryLogStore();
  const gateway = await openGateway({
    store: storeWith(store, {
      read: (...args) => {
        reads++;
        return store.read(...args);
      },
    }),
    limits: { sendBytes: 1_000 },
  });
  for (let i = 0; i < 10; i++) await push(gateway, todos(1 + 100 * i, 100));
  const clock = new ManualClock();
  const socket = new TestSocket(gateway, { scheduler: clock });
  socket.reads = false;
  socket.say({ type: "pull", clientId: "bob" });
  await settle();
  const before = reads;
  assertEquals(socket.frames.length, 1, "one page goes out, and it is over the mark");
  assert(socket.bufferedAmount < 3_000, "pages of a stream are cut at the mark");
  await clock.advance(10_000);
  await push(gateway, todos(2_000, 1));
  await settle();
  assertEquals([socket.frames.length, reads], [1, before]);
  socket.reads = true;
  socket.take();
  let got = 0;
  while (got < 1_001) got += (await socket.page()).deltas.length;
  assertEquals(got, 1_001);
  await gateway.close();
});

test("where the socket does not tell that bytes went out, it is looked at", async () => {
  const gateway = await openGateway({ limits: { sendBytes: 100 } });
  await push(gateway, todos(1, 2));
  const clock = new ManualClock();
  const socket = new TestSocket(gateway, { scheduler: clock });
  socket.reads = false;
  socket.session.drained = () => {};
  socket.say({ type: "pull", clientId: "bob", limit: 1 });
  await settle();
  socket.reads = true;
  socket.take();
  assertEquals(socket.frames.length, 1);
  await clock.advance(250);
  await settle();
  assertEquals(socket.frames.length, 2);
  await gateway.close();
});

test("a reader that takes nothing for too long is let go with 1008, others are unharmed", async () => {
  const gateway = await openGateway({ limits: { sendBytes: 100, stallMs: 30_000 } });
  await push(gateway, todos(1, 2));
  const clock = new ManualClock();
  const stuck = new TestSocket(gateway, { scheduler: clock });
  const good = new TestSocket(gateway, { scheduler: clock });
  stuck.reads = false;
  for (const socket of [stuck, good]) socket.say({ type: "pull", clientId: "bob", limit: 1 });
  await good.page();
  await good.page();
  await settle();
  await clock.advance(29_000);
  assertEquals(stuck.closedWith, undefined);
  await push(gateway, todos(3, 1));
  await good.page();
  await clock.advance(2_000);
  assertEquals([stuck.closedWith?.code, stuck.terminated, stuck.ended], [1008, true, true]);
  await push(gateway, todos(4, 1));
  await good.page();
  assertEquals(clock.pending, 0);
  await gateway.close();
});

test("answers that nobody reads hold up the messages after them", async () => {
  const gateway = await openGateway({ limits: { sendBytes: 100 } });
  const clock = new ManualClock();
  const socket = new TestSocket(gateway, { scheduler: clock });
  socket.reads = false;
  for (let i = 0; i < 500; i++) socket.say({ type: "ping", id: "x".repeat(50) });
  await settle();
  assert(socket.frames.length < 5, `${socket.frames.length} are answered`);
  socket.reads = true;
  socket.take();
  await settle(600);
  assertEquals(socket.frames.length, 500);
  await gateway.close();
});

test("a drain answers the message under way, takes no more, and closes with 1001", async () => {
  const { gateway, release } = await heldGateway();
  const socket = new TestSocket(gateway);
  socket.say({ type: "push", id: 1, clientId: "alice:phone", deltas: todos(1, 1) });
  socket.say({ type: "push", id: 2, clientId: "alice:phone", deltas: todos(2, 1) });
  await settle();
  const drained = socket.session.drain();
  socket.say({ type: "push", id: 3, clientId: "alice:phone", deltas: todos(3, 1) });
  await settle();
  assertEquals(socket.closedWith, undefined);
  release();
  await drained;
  assertEquals((await socket.answer()).id, 1);
  assertEquals([socket.unread, socket.closedWith?.code, socket.ended], [0, 1001, true]);
  await gateway.close();
});

test("a connection that has ended leaves nothing behind", async () => {
  const clock = new ManualClock();
  const gateway = await openGateway({ limits: { sendBytes: 100 } });
  await push(gateway, todos(1, 2));
  const waiting = new TestSocket(gateway, { scheduler: clock });
  waiting.say({ type: "pull", clientId: "bob" });
  const slow = new TestSocket(gateway, { scheduler: clock });
  slow.reads = false;
  slow.say({ type: "pull", clientId: "bob", limit: 1 });
  await settle();
  for (const socket of [waiting, slow]) {
    socket.session.closed();
    socket.session.closed();
    const { length } = socket.frames;
    socket.say({ type: "ping" });
    await push(gateway, todos(10, 1));
    await settle();
    assertEquals(socket.frames.length, length);
  }
  assertEquals(clock.pending, 0);
  await gateway.close();
});

test("a gateway that ends its streams sends no page more", async () => {
  const gateway = await openGateway();
  const socket = new TestSocket(gateway);
  socket.say({ type: "pull", clientId: "bob" });
  await socket.page();
  gateway.endStreams();
  await settle();
  assertEquals(socket.unread, 0);
  await gateway.close();
});

test("a failure of the store is INTERNAL without its message, and is logged", async () => {
  const store = await withTables(memoryLogStore());
  const gateway = await openGateway({
    store: storeWith(store, {
      append: () => {
        throw new Error("secret path");
      },
    }),
  });
  const events: string[] = [];
  const logger = { log: (_: unknown, event: string) => void events.push(event) };
  const socket = new TestSocket(gateway, { logger });
  socket.say({ type: "push", id: 1, clientId: "alice:phone", deltas: todos(1, 1) });
  const { error, id } = await socket.error("INTERNAL");
  assert(!error.message.includes("secret"));
  assertEquals([id, error.requestId, events], [1, "test", ["message.failed"]]);
  await gateway.close();
});

test("ten thousand random frames harm neither the gateway nor a good client", async () => {
  const gateway = await openGateway();
  const prng = new Prng(42);
  const good = new TestSocket(gateway);
  good.sayBinary({ type: "pull", clientId: "good" });
  await good.page();
  let bad = new TestSocket(gateway);
  let answered = 0;
  const pages: WsPage[] = [];
  for (let i = 0; i < 10_000; i++) {
    if (bad.ended) bad = new TestSocket(gateway);
    bad.say(randomFrame(prng));
    if (i % 1_000 === 999) {
      await settle(1_100);
      await push(gateway, todos(i, 1));
      pages.push(await good.page());
      answered += bad.frames.length;
    }
  }
  assertEquals(pages.flatMap(({ deltas }) => deltas).length, 10);
  assert(answered > 100, "they are answered");
  assertEquals((await pullAll(gateway)).seq, 10, "nothing of them was appended");
  await gateway.close();
});

const VALID = [
  '{"type":"push","clientId":"a","deltas":[{"op":"INSERT","table":"todos"}]}',
  '{"type":"pull","clientId":"a","cursor":"","limit":3,"tables":["todos"]}',
  '{"type":"ping","id":"x"}',
];

function randomFrame(prng: Prng): string | Uint8Array {
  const length = prng.int(0, 60);
  const bytes = Uint8Array.from({ length }, () => prng.int(0, 255));
  switch (prng.int(0, 3)) {
    case 0:
      return bytes;
    case 1:
      return new TextDecoder().decode(bytes);
    default: {
      // A message with a piece of noise in it.
      const valid = VALID[prng.int(0, VALID.length - 1)]!;
      const at = prng.int(0, valid.length);
      const noise = new TextDecoder().decode(bytes.subarray(0, 4));
      return valid.slice(0, at) + noise + valid.slice(at + prng.int(0, 3));
    }
  }
}
