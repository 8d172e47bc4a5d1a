import {
  err,
  LakeSyncError,
  ok,
  type Result,
  type Scheduler,
  type TableSchema,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { type FlushJobs, memoryJobs } from "./flush_jobs.ts";
import { type FlushJobFailure, FlushQueue } from "./flush_queue.ts";

const table = (name: string): TableSchema => ({ table: name, version: 1, columns: [] });
const offline: Result<never> = err(new LakeSyncError("OFFLINE", "the database is away"));

/** Waits no time, and notes for how long it should have. */
function noting(delays: number[]): Scheduler {
  return {
    delay(ms) {
      delays.push(ms);
      return Promise.resolve();
    },
  };
}

test("FlushQueue tries a failing job again with growing pauses, and tells of each failure", async () => {
  const delays: number[] = [];
  const failures: FlushJobFailure[] = [];
  let runs = 0;
  const queue = new FlushQueue({
    run: () => Promise.resolve(++runs <= 5 ? offline : ok(undefined)),
    scheduler: noting(delays),
    retryMs: 100,
    maxRetryMs: 500,
    onFailure: (failure) => failures.push(failure),
  });
  await queue.add([table("a")]);
  await queue.idle();
  assertEquals(delays, [100, 200, 400, 500, 500]);
  assertEquals(failures.map(({ table, attempts }) => `${table} ${attempts}`), [
    "a 1",
    "a 2",
    "a 3",
    "a 4",
    "a 5",
  ]);
  assertEquals(queue.stats(), { done: 1, waiting: new Map() });
});

test("FlushQueue goes on with other tables while one waits, and shows why it waits", async () => {
  const gate = Promise.withResolvers<void>();
  const done: string[] = [];
  let away = true;
  const queue = new FlushQueue({
    run: ({ table }) => {
      if (table === "a" && away) return Promise.resolve(offline);
      done.push(table);
      return Promise.resolve(ok(undefined));
    },
    scheduler: { delay: () => gate.promise },
  });
  await queue.add([table("a"), table("b"), table("c")]);
  while (done.length < 2) await Promise.resolve();
  const waiting = queue.stats().waiting.get("a");
  assertEquals([waiting?.attempts, waiting?.error?.code], [1, "OFFLINE"]);
  away = false;
  gate.resolve();
  await queue.idle();
  assertEquals(done, ["b", "c", "a"]);
});

test("FlushQueue runs a table once more that was added while it ran, and one at a time", async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let running = 0;
  let runs = 0;
  let most = 0;
  const queue = new FlushQueue({
    async run() {
      most = Math.max(most, ++running);
      await gates[runs++]?.promise;
      running--;
      return ok(undefined);
    },
  });
  await queue.add([table("a")]);
  await queue.add([table("a"), table("b")]);
  await queue.add([table("a")]);
  for (const gate of gates) gate.resolve();
  await queue.idle();
  assertEquals([most, queue.stats().waiting.size], [1, 0]);
  assertEquals(runs, 3);
});

test("FlushQueue keeps what waits, and another queue resumes it", async () => {
  const jobs = memoryJobs();
  const first = new FlushQueue({
    run: () => Promise.resolve(offline),
    jobs,
    scheduler: {
      delay: (_, options = {}) =>
        new Promise((resolve) => options.signal?.addEventListener("abort", () => resolve())),
    },
  });
  await first.add([table("a")]);
  await first.hold([table("b"), table("c")]);
  await first.close();
  const done: string[] = [];
  const second = new FlushQueue({
    jobs,
    run({ table }) {
      done.push(table);
      return Promise.resolve(ok(undefined));
    },
  });
  await second.resume();
  await second.idle();
  assertEquals(done, ["a", "b", "c"]);
  assertEquals(await jobs.load(), ok([]));
});

test("FlushQueue begins held jobs only when they are started, and drops those that are not", async () => {
  const done: string[] = [];
  const jobs = memoryJobs();
  const queue = new FlushQueue({
    jobs,
    run({ table }) {
      done.push(table);
      return Promise.resolve(ok(undefined));
    },
  });
  await queue.hold([table("a"), table("b")]);
  await queue.idle();
  assertEquals(done, []);
  await queue.start(new Set(["b"]));
  await queue.idle();
  assertEquals(done, ["b"]);
  assertEquals(await jobs.load(), ok([]));
});

test("FlushQueue does its jobs although they cannot be kept, and tells so", async () => {
  const lost: FlushJobs = {
    load: () => Promise.resolve(offline),
    save: () => Promise.resolve(offline),
  };
  const failures: FlushJobFailure[] = [];
  const queue = new FlushQueue({
    run: () => Promise.resolve(ok(undefined)),
    jobs: lost,
    onFailure: (failure) => failures.push(failure),
  });
  await queue.resume();
  await queue.add([table("a")]);
  await queue.idle();
  assertEquals(queue.stats().done, 1);
  assertEquals(failures.map(({ table }) => table), [undefined, undefined, undefined]);
});

test("FlushQueue takes a job that throws for one that failed", async () => {
  let runs = 0;
  const queue = new FlushQueue({
    run() {
      if (runs++ === 0) throw new Error("unforeseen");
      return Promise.resolve(ok(undefined));
    },
    scheduler: noting([]),
  });
  await queue.add([table("a")]);
  await queue.idle();
  assertEquals(queue.stats().done, 1);
});

test("FlushQueue keeps a job that was held while the one before it ran", async () => {
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const queue = new FlushQueue({
    async run() {
      if (runs++ === 0) await gate.promise;
      return ok(undefined);
    },
  });
  await queue.add([table("a")]);
  await queue.hold([table("a")]);
  gate.resolve();
  await queue.idle();
  assertEquals([runs, queue.stats().waiting.size], [1, 1]);
  await queue.start(new Set(["a"]));
  await queue.idle();
  assertEquals([runs, queue.stats().waiting.size], [2, 0]);
});
