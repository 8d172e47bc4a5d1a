import { ManualClock, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { Lease } from "./_lease.ts";

test("what is held ends with its last holder, not within the turn in which it goes and comes back", async () => {
  let ends = 0;
  const lease = new Lease(new ManualClock(), () => ends++);
  const [one, two] = [lease.hold(), lease.hold()];
  one();
  one();
  await Promise.resolve();
  assertEquals(ends, 0);
  two();
  const again = lease.hold();
  await Promise.resolve();
  assertEquals(ends, 0);
  again();
  await Promise.resolve();
  assertEquals(ends, 1);
});

test("what nobody comes to hold ends after its time, and what somebody holds does not", async () => {
  const clock = new ManualClock();
  const ended: string[] = [];
  const dropped = new Lease(clock, () => ended.push("dropped"));
  const mounted = new Lease(clock, () => ended.push("mounted"));
  for (const lease of [dropped, mounted]) lease.expire(1_000);
  mounted.hold();
  await clock.advance(999);
  assertEquals(ended, []);
  await clock.advance(1);
  assertEquals(ended, ["dropped"]);
});
