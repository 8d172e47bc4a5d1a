import { insertTodo, test } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import { SharedReads } from "./shared_reads.ts";
import { memoryLogStore } from "./store_memory.ts";
import { openGateway, push, storeWith } from "./testdata/fixture.ts";
import { settle, TestSocket } from "./testdata/ws_fixture.ts";
import { Wakeups } from "./wakeups.ts";

test("read() joins a read of the same that is under way, and begins a new one after it", async () => {
  const shared = new SharedReads<number>(new Wakeups());
  let begun = 0;
  const gates: PromiseWithResolvers<void>[] = [];
  const read = async () => {
    const number = ++begun;
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise;
    return number;
  };
  const joined = [shared.read("a", read), shared.read("a", read), shared.read("b", read)];
  for (const gate of gates) gate.resolve();
  assertEquals(await Promise.all(joined), [1, 1, 2]);
  const later = shared.read("a", read);
  gates[2]!.resolve();
  assertEquals(await later, 3);
});

test("read() does not join a read that was begun before the last wake", async () => {
  const wakeups = new Wakeups();
  const shared = new SharedReads<number>(wakeups);
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  const read = async () => {
    const number = ++begun;
    await gate.promise;
    return number;
  };
  const before = shared.read("a", read);
  wakeups.wake();
  const after = shared.read("a", read);
  gate.resolve();
  assertEquals(await Promise.all([before, after]), [1, 2]);
});

test("read() tells all who joined of a failure, and forgets it", async () => {
  const shared = new SharedReads<number>(new Wakeups());
  const fail = () => Promise.reject(new Error("The disk is gone"));
  await assertRejects(() => Promise.all([shared.read("a", fail), shared.read("a", fail)]));
  assertEquals(await shared.read("a", () => Promise.resolve(1)), 1);
});

test("a change that a hundred streams wait for is read from the log once or twice, the rules too", async () => {
  const store = memoryLogStore();
  let reads = 0;
  let looks = 0;
  const gateway = await openGateway({
    store: storeWith(store, {
      read: (...args) => {
        reads++;
        return store.read(...args);
      },
      getValue: (key) => {
        looks++;
        return store.getValue(key);
      },
    }),
  });
  const sockets = Array.from({ length: 100 }, () => new TestSocket(gateway));
  for (const socket of sockets) socket.say({ type: "pull", clientId: "bob" });
  for (const socket of sockets) await socket.page();
  await settle();
  reads = looks = 0;
  const delta = insertTodo("a", 1);
  await push(gateway, [delta]);
  for (const socket of sockets) assertEquals((await socket.page()).deltas, [delta]);
  assertEquals(reads <= 2, true, `${reads} reads`);
  assertEquals(looks <= 4, true, `${looks} looks for values`);
  await gateway.close();
});
