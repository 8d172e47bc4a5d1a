import { assertEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import { Wakeups } from "./wakeups.ts";

test("Wakeups.wake() wakes all that wait, once", async () => {
  const wakeups = new Wakeups();
  const woken: string[] = [];
  const wait = (name: string) => wakeups.next().woken.then(() => woken.push(name));
  const both = Promise.all([wait("a"), wait("b")]);
  wakeups.wake();
  void wait("c");
  await both;
  assertEquals([woken, wakeups.waiting], [["a", "b"], 1]);
});

test("Wakeups.next() taken before a wake misses none", async () => {
  const wakeups = new Wakeups();
  const { woken } = wakeups.next();
  wakeups.wake();
  wakeups.wake();
  await woken;
  let early = false;
  void wakeups.next().woken.then(() => early = true);
  await Promise.resolve();
  assertEquals(early, false);
});

test("Wakeups keeps nothing of those that wait no longer", () => {
  const wakeups = new Wakeups();
  const all = Array.from({ length: 1_000 }, () => wakeups.next());
  for (const { forget } of all.slice(1)) forget();
  assertEquals(wakeups.waiting, 1);
  all[0]!.forget();
  all[0]!.forget();
  assertEquals(wakeups.waiting, 0);
});
