import { assertEquals } from "@std/assert";
import { test } from "../test.ts";
import { EPOCH_MS, SimClock, SimProcess } from "./process.ts";
import { VirtualTime } from "./virtual_time.ts";

function start(time: VirtualTime): SimProcess {
  const clock = new SimClock(time, { skewMs: 0, grainMs: 1 });
  return new SimProcess(time, { name: "p", clock, seed: 1n });
}

test("in a killed process nothing resolves any more", async () => {
  const time = new VirtualTime();
  const process = start(time);
  const resolved: string[] = [];
  void process.wait(5).then(() => resolved.push("wait"));
  void process.scheduler.delay(5).then(() => resolved.push("delay"));
  time.at(4, () => process.kill());
  await time.run(100);
  assertEquals(resolved, []);
});

test("in a frozen process what is due resolves when it goes on, in its order", async () => {
  const time = new VirtualTime();
  const process = start(time);
  const resolved: string[] = [];
  void process.wait(5).then(() => resolved.push(`a at ${time.now}`));
  void process.wait(6).then(() => resolved.push(`b at ${time.now}`));
  time.at(1, () => process.freeze(50));
  await time.run(100);
  assertEquals(resolved, ["a at 51", "b at 51"]);
});

test("a delay ends at once with its signal", async () => {
  const time = new VirtualTime();
  const process = start(time);
  const stop = new AbortController();
  let at: number | undefined;
  void process.scheduler.delay(50, { signal: stop.signal }).then(() => at = time.now);
  time.at(3, () => stop.abort());
  await time.run(100);
  assertEquals(at, 3);
});

test("a clock may be wrong and coarse", async () => {
  const time = new VirtualTime();
  const clock = new SimClock(time, { skewMs: 2_500, grainMs: 1_000 });
  await time.run(1_700);
  assertEquals(clock.now(), EPOCH_MS + 4_000);
  clock.skewMs = -5_000;
  assertEquals(clock.now(), EPOCH_MS - 4_000);
});
