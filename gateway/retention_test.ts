// What the log keeps, for whom, and what becomes of those who come too late.
import { type PullAnswer, unwrapOrThrow } from "@lakesync/core";
import { insertTodo, ManualClock, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { memoryLogStore } from "./store_memory.ts";
import { FakeDestination } from "./testdata/fake_destination.ts";
import { openGateway, push, updateTodo } from "./testdata/fixture.ts";
import { errorOf, serveGateway } from "./testdata/http_fixture.ts";
import type { Gateway } from "./gateway.ts";
import type { GatewayOptions } from "./gateway_options.ts";

const HOUR = 3_600_000;

/** A gateway with two destinations and a clock that the test owns; what it logged as errors. */
async function open(options: Partial<GatewayOptions> = {}): Promise<
  {
    gateway: Gateway;
    clock: ManualClock;
    fast: FakeDestination;
    slow: FakeDestination;
    logged: unknown[][];
  }
> {
  const clock = new ManualClock();
  const fast = new FakeDestination("fast");
  const slow = new FakeDestination("slow");
  const logged: unknown[][] = [];
  const gateway = await openGateway({
    store: memoryLogStore({ clock }),
    destinations: [fast, slow],
    limits: { retentionMs: HOUR, maxLagMs: 10 * HOUR },
    // Nothing is tried again by itself.
    scheduler: new ManualClock(),
    logger: {
      log: (level, event, facts) =>
        void (level === "error" &&
          logged.push([event, facts?.["destination"], facts?.["trimmedSeq"]])),
    },
    ...options,
  });
  return { gateway, clock, fast, slow, logged };
}

/** Flushes to both; whether the slow one has everything then. */
async function flushed(gateway: Gateway): Promise<boolean> {
  const { flushedSeq } = unwrapOrThrow(await gateway.flush({ waitMs: 1 }));
  return flushedSeq === unwrapOrThrow(await gateway.stats()).head;
}

async function trimmedSeq(gateway: Gateway): Promise<number> {
  return unwrapOrThrow(await gateway.stats()).trimmedSeq;
}

test("the log is trimmed behind the retention time and the slowest destination", async () => {
  const { gateway, clock, slow } = await open();
  await push(gateway, [insertTodo("a", 1), insertTodo("b", 2)]);
  assert(await flushed(gateway));
  await clock.advance(HOUR);
  assertEquals(await trimmedSeq(gateway), 0);
  await push(gateway, [insertTodo("c", 3)]);
  await clock.advance(1);
  assert(await flushed(gateway));
  assertEquals(await trimmedSeq(gateway), 2, "c is not old enough");
  await push(gateway, [insertTodo("d", 4)]);
  await clock.advance(2 * HOUR);
  slow.faults.push("fail-before");
  assert(!(await flushed(gateway)));
  assertEquals(await trimmedSeq(gateway), 3, "d is old, but one destination lacks it");
  assert(await flushed(gateway));
  assertEquals(await trimmedSeq(gateway), 4);
});

test("without destinations the retention time alone counts", async () => {
  const { gateway, clock } = await open({ destinations: [] });
  await push(gateway, [insertTodo("a", 1)]);
  await clock.advance(HOUR);
  assertEquals(unwrapOrThrow(await gateway.trim()), 0);
  await push(gateway, [insertTodo("b", 2)]);
  await clock.advance(1);
  assertEquals(unwrapOrThrow(await gateway.trim()), 1);
  await clock.advance(HOUR);
  assertEquals((await gateway.flush()).ok, false, "there is nowhere to flush to");
  assertEquals(await trimmedSeq(gateway), 2);
});

test("a destination beyond its allowed lag is cut off once, with an alarm, and the log goes on", async () => {
  const { gateway, clock, slow, logged } = await open();
  const fail = async () => {
    slow.faults.push("fail-before");
    assert(!(await flushed(gateway)));
  };
  await push(gateway, [insertTodo("a", 1)]);
  assert(await flushed(gateway));
  await push(gateway, [insertTodo("b", 2)]);
  await clock.advance(10 * HOUR);
  await push(gateway, [insertTodo("c", 3)]);
  await fail();
  assertEquals(await trimmedSeq(gateway), 1, "b is waited for");
  assertEquals(logged.map(([event]) => event), ["flush.failed"]);
  await clock.advance(1);
  await fail();
  assertEquals(await trimmedSeq(gateway), 2);
  assertEquals(logged.at(-1), ["destination.cut-off", "slow", 2]);
  await clock.advance(2 * HOUR);
  await push(gateway, [insertTodo("d", 4)]);
  assert(!(await flushed(gateway)));
  assertEquals(await trimmedSeq(gateway), 3);
  assertEquals(logged.filter(([event]) => event === "destination.cut-off").length, 1);
  const error = {
    code: "CONFLICT",
    message: 'Table "todos" of destination "slow" needs the log from seq 2 on, which is ' +
      "trimmed: restore it from a backup, or drop it and the next flush rebuilds it",
  } as const;
  assertEquals(unwrapOrThrow(await gateway.stats()).destinations, {
    fast: { flushedSeq: 4, lag: 0, cutOff: false },
    slow: { flushedSeq: 1, lag: 3, cutOff: true, attempts: 3, error, failing: { todos: error } },
  });
});

test("a lag may also be allowed by entries", async () => {
  const { gateway, clock, slow, logged } = await open({
    limits: { retentionMs: HOUR, maxLagEntries: 2 },
  });
  for (const [i, cutOff] of [[1, false], [2, false], [3, true]] as const) {
    slow.faults.push("fail-before");
    await push(gateway, [insertTodo(`row${i}`, i)]);
    await clock.advance(HOUR + 1);
    assert(!(await flushed(gateway)));
    assertEquals(logged.some(([event]) => event === "destination.cut-off"), cutOff, `after ${i}`);
  }
});

test("the rows of a trimmed log are all there, in a checkpoint from which pulls go on", async () => {
  const clock = new ManualClock();
  await using served = await serveGateway({
    store: memoryLogStore({ clock }),
    limits: { retentionMs: HOUR },
  });
  const { gateway } = served;
  await push(gateway, [insertTodo("a", 1), updateTodo("a", 2, { title: "kept" })]);
  const { cursor } = await (await served.pull()).json() as PullAnswer;
  await push(gateway, [insertTodo("b", 3)]);
  await clock.advance(HOUR + 1);
  unwrapOrThrow(await gateway.trim());

  const gone = await errorOf(await served.pull(`clientId=bob&cursor=${cursor}`), {
    status: 410,
    code: "CHECKPOINT_REQUIRED",
  });
  assertEquals(gone.details, { reason: "trimmed" });
  await errorOf(await served.pull(), { status: 410, code: "CHECKPOINT_REQUIRED" });
  const response = await served.ask("/v1/sync/default/checkpoint?clientId=bob");
  const [head, ...rows] = (await response.text()).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  assertEquals(rows.pop(), { end: { rows: 2 } });
  assertEquals(rows.map(({ rowId }) => rowId).sort(), ["a", "b"]);
  const pulled = await served.pull(`clientId=bob&cursor=${head.checkpoint.cursor}`);
  assertEquals((await pulled.json() as PullAnswer).deltas, []);
});
