import { assertEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import { Wakeups } from "./wakeups.ts";

test("Wakeups.wake() wakes all that wait, once", async () => {
  const wakeups = new Wakeups();
  const woken: string[] = [];
  const wait = (name: string) => wakeups.next().then(() => woken.push(name));
  const both = Promise.all([wait("a"), wait("b")]);
  wakeups.wake();
  void wait("c");
  await both;
  assertEquals(woken, ["a", "b"]);
});

test("Wakeups.next() taken before a wake misses none", async () => {
  const wakeups = new Wakeups();
  const next = wakeups.next();
  wakeups.wake();
  wakeups.wake();
  await next;
  let early = false;
  void wakeups.next().then(() => early = true);
  await Promise.resolve();
  assertEquals(early, false);
});
