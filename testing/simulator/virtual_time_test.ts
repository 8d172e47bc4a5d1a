import { assertEquals } from "@std/assert";
import { test } from "../test.ts";
import { VirtualTime } from "./virtual_time.ts";

test("events run in the order of their times, and at one time in the order of asking", async () => {
  const time = new VirtualTime();
  const ran: string[] = [];
  for (const [at, name] of [[5, "c"], [1, "a"], [5, "d"], [2, "b"], [5, "e"]] as const) {
    time.at(at, () => ran.push(`${name}${time.now}`));
  }
  await time.run(10);
  assertEquals(ran, ["a1", "b2", "c5", "d5", "e5"]);
  assertEquals(time.now, 10);
});

test("all that follows from an event without waiting is done before the next one", async () => {
  const time = new VirtualTime();
  const ran: string[] = [];
  time.at(1, async () => {
    for (let i = 0; i < 50; i++) await Promise.resolve();
    ran.push(`first, at ${time.now}`);
  });
  time.at(1.5, () => ran.push("second"));
  await time.run(2);
  assertEquals(ran, ["first, at 1", "second"]);
});

test("no time passes until real I/O that is held for has ended", async () => {
  const time = new VirtualTime();
  let at: number | undefined;
  time.at(1, () => {
    const work = new Promise((resolve) => setTimeout(resolve, 5)).then(() => at = time.now);
    void time.hold(work);
  });
  time.at(2, () => {});
  await time.run(3);
  assertEquals(at, 1);
});

test("what was called off does not run, and what lies behind the end waits for the next run", async () => {
  const time = new VirtualTime();
  const ran: number[] = [];
  time.at(1, () => ran.push(1))();
  time.at(7, () => ran.push(7));
  await time.run(5);
  assertEquals(ran, []);
  await time.run(7);
  assertEquals(ran, [7]);
});
