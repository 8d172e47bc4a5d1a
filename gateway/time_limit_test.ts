import { ok } from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import { withTimeLimit } from "./time_limit.ts";

test("what is done in time is returned as it is, and leaves no timer", async () => {
  const clock = new ManualClock();
  const options = { ms: 100, scheduler: clock, message: "Too late" };
  assertEquals(await withTimeLimit(() => Promise.resolve(ok(1)), options), ok(1));
  await assertRejects(() => withTimeLimit(() => Promise.reject(new Error("broken")), options));
  await clock.advance(0);
  assertEquals(clock.pending, 0);
});

test("what is not done in time is TIMEOUT at that very time, and is told to stop", async () => {
  const clock = new ManualClock();
  let stopped: unknown;
  const late = Promise.withResolvers<ReturnType<typeof ok<number>>>();
  let code: string | undefined;
  const limited = withTimeLimit((signal) => {
    signal.addEventListener("abort", () => stopped = signal.reason);
    return late.promise;
  }, { ms: 100, scheduler: clock, message: "Too late" }).then((result) => {
    if (!result.ok) code = result.error.code;
  });
  await clock.advance(99);
  assertEquals([code, stopped], [undefined, undefined]);
  await clock.advance(1);
  await limited;
  assertEquals([code, String(stopped)], ["TIMEOUT", "LakeSyncError: Too late"]);
  late.reject(new Error("nobody is told"));
});
