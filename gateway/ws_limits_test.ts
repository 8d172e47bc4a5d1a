// What holds for requests holds for messages of a WebSocket: turns, and bytes in hand.
import { type AppendOutcome, type Result, unwrapOrThrow } from "@lakesync/core";
import { insertTodo, ManualClock, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { memoryRateLimiter } from "./rate_limit.ts";
import { RequestLimits } from "./request_limits.ts";
import { memoryLogStore } from "./store_memory.ts";
import { openGateway, storeWith, withTables } from "./testdata/fixture.ts";
import { settle, TestSocket } from "./testdata/ws_fixture.ts";

test("messages count as requests do, over all connections of a client; pings do not", async () => {
  const clock = new ManualClock();
  const requests = new RequestLimits({
    rateLimiter: memoryRateLimiter({ perClient: { perSecond: 0.5, burst: 2 }, clock }),
  });
  const gateway = await openGateway();
  const [one, two] = [1, 2].map(() => new TestSocket(gateway, { requests }));
  one!.say({ type: "push", id: 1, clientId: "alice", deltas: [] });
  assertEquals((await one!.answer()).id, 1);
  two!.say({ type: "pull", id: 2, clientId: "alice" });
  assertEquals((await two!.page()).id, 2);
  const deltas = [insertTodo("a", 1)];
  one!.say({ type: "push", id: 3, clientId: "alice", deltas });
  const { id, error } = await one!.error("RATE_LIMITED");
  assertEquals([id, error.details], [3, { retryAfterMs: 2000 }]);
  one!.say({ type: "ping", id: 4 });
  assertEquals((await one!.next()).type, "ping");
  one!.say({ type: "push", id: 5, clientId: "bob", deltas: [] });
  assertEquals((await one!.answer()).id, 5, "it is another client's turn");
  assertEquals(unwrapOrThrow(await gateway.store.head()).seq, 0);
  await gateway.close();
});

test("messages that there is no room for are refused by their ids; the others are answered", async () => {
  const inner = await withTables(memoryLogStore());
  const gate = Promise.withResolvers<void>();
  const store = storeWith(inner, {
    async append(request): Promise<Result<AppendOutcome>> {
      await gate.promise;
      return await inner.append(request);
    },
  });
  const gateway = await openGateway({ store });
  const requests = new RequestLimits({ limits: { bodiesBytes: 404_000 } });
  const fill = "x".repeat(100_000);
  const [one, two] = [1, 2].map(() => new TestSocket(gateway, { requests }));
  for (const socket of [one!, two!]) {
    for (const id of [1, 2]) {
      socket.say({ type: "push", id, clientId: "alice:phone", deltas: [], fill });
    }
  }
  assertEquals((await two!.error("BACKPRESSURE")).id, 2);
  two!.say({ type: "push", id: 3, clientId: "alice:phone", deltas: [insertTodo("b", 2)] });
  await settle();
  gate.resolve();
  assertEquals([(await one!.answer()).id, (await one!.answer()).id], [1, 2]);
  assertEquals([(await two!.answer()).id, (await two!.answer()).id], [1, 3]);
  await settle();
  assertEquals(requests.bodies.taken, 0);
  one!.say({ type: "push", id: 4, clientId: "alice:phone", deltas: [], fill: fill.repeat(5) });
  assertEquals((await one!.answer()).id, 4, "alone it has room, however large");
  await gateway.close();
});

test("what waits on a connection that breaks off is given back", async () => {
  const gateway = await openGateway();
  const requests = new RequestLimits();
  const socket = new TestSocket(gateway, { requests });
  for (let id = 0; id < 10; id++) socket.say({ type: "push", id, clientId: "a", deltas: [] });
  socket.session.closed();
  await settle();
  assertEquals(requests.bodies.taken, 0);
  await gateway.close();
});
