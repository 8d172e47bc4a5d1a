import { assertEquals, assertRejects } from "@std/assert";
import { ManualClock } from "./clock.ts";
import { test } from "./test.ts";

test("ManualClock stands still until it is advanced", async () => {
  const clock = new ManualClock(1_000);
  assertEquals(clock.now(), 1_000);
  await clock.advance(250);
  assertEquals(clock.now(), 1_250);
});

test("ManualClock.advance() fires due timers in order of time, then of registration", async () => {
  const clock = new ManualClock(0);
  const fired: string[] = [];
  const wait = (ms: number, name: string) =>
    clock.delay(ms).then(() => fired.push(`${name} at ${clock.now()}`));
  wait(30, "c");
  wait(10, "a");
  wait(30, "d");
  wait(20, "b");
  wait(31, "late");
  await clock.advance(30);
  assertEquals(fired, ["a at 10", "b at 20", "c at 30", "d at 30"]);
  assertEquals(clock.pending, 1);
});

test("ManualClock.advance() fires timers that others started on the way", async () => {
  const clock = new ManualClock(0);
  const ticks: number[] = [];
  const loop = (async () => {
    for (let i = 0; i < 5; i++) {
      await clock.delay(10);
      // Several microtasks between two delays, as code under test has them.
      await Promise.resolve().then(() => {}).then(() => {});
      ticks.push(clock.now());
    }
  })();
  await clock.advance(35);
  assertEquals(ticks, [10, 20, 30]);
  await clock.advance(100);
  await loop;
  assertEquals(ticks, [10, 20, 30, 40, 50]);
});

test("ManualClock.delay() ends at once when its signal aborts, and leaves no timer", async () => {
  const clock = new ManualClock(0);
  const controller = new AbortController();
  const waiting = clock.delay(1_000, { signal: controller.signal });
  controller.abort();
  await waiting;
  await clock.delay(1_000, { signal: controller.signal });
  assertEquals(clock.pending, 0);
  assertEquals(clock.now(), 0);
});

test("ManualClock.delay() of no time needs no advance", async () => {
  const clock = new ManualClock(0);
  await clock.delay(0);
  await clock.delay(-1);
  assertEquals(clock.pending, 0);
});

test("ManualClock.set() moves the wall clock, also back, and no timer", async () => {
  const clock = new ManualClock(5_000);
  const fired: number[] = [];
  clock.delay(100).then(() => fired.push(clock.now()));
  clock.set(1_000);
  await clock.advance(99);
  assertEquals([clock.now(), fired], [1_099, []]);
  clock.set(1_000_000);
  await clock.advance(1);
  assertEquals(fired, [1_000_001]);
});

test("ManualClock.advance() refuses to go back, and to run twice at once", async () => {
  const clock = new ManualClock(0);
  await assertRejects(() => clock.advance(-1), TypeError, "time can't go back");
  const first = clock.advance(1);
  await assertRejects(() => clock.advance(1), TypeError, "it is being advanced");
  await first;
  assertEquals(clock.now(), 1);
});
