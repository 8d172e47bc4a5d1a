import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { spawnScript, test, withTempDir } from "@lakesync/testing";
import { silentLogger, systemClock, systemRandom, systemScheduler } from "./system.ts";

/** Runs `fn` in a process that lives on meanwhile: the scheduler's own timers don't see to that. */
async function kept(fn: () => Promise<void>): Promise<void> {
  const timer = setInterval(() => {}, 60_000);
  try {
    await fn();
  } finally {
    clearInterval(timer);
  }
}

test("systemClock counts milliseconds since 1970", () => {
  const before = Date.now();
  const now = systemClock.now();
  assert(before <= now && now <= Date.now());
});

test("systemScheduler.delay() resolves in the order of times", async () => {
  const order: string[] = [];
  await kept(async () => {
    await Promise.all([
      systemScheduler.delay(20).then(() => order.push("later")),
      systemScheduler.delay(0).then(() => order.push("soon")),
    ]);
  });
  assertEquals(order, ["soon", "later"]);
});

test("systemScheduler.delay() resolves as soon as its signal aborts", async () => {
  const controller = new AbortController();
  const delay = systemScheduler.delay(3_600_000, { signal: controller.signal });
  controller.abort(new Error("stop"));
  await delay;
  await systemScheduler.delay(3_600_000, { signal: controller.signal });
});

test("systemScheduler.delay() lets go of its signal", async () => {
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  signal.addEventListener = (_type: string, listener: unknown) => void listeners.add(listener);
  signal.removeEventListener = (_type: string, listener: unknown) =>
    void listeners.delete(listener);
  const delay = systemScheduler.delay(0, { signal });
  assertEquals(listeners.size, 1);
  await kept(() => delay);
  assertEquals(listeners.size, 0);
});

test("systemScheduler.delay() keeps no process alive", async () => {
  await withTempDir(async (dir) => {
    const script = join(dir, "delay.ts");
    const module = new URL("./system.ts", import.meta.url).href;
    await writeFile(
      script,
      `import { systemScheduler } from ${JSON.stringify(module)};
      systemScheduler.delay(3_600_000).then(() => console.log("{}"));`,
    );
    await using child = spawnScript(script);
    assertEquals(await child.exited, { code: 0, signal: null });
    assertEquals(child.stdout, "");
  });
});

test("systemRandom gives bytes and version 4 UUIDs that differ", () => {
  assertEquals(systemRandom.bytes(0).length, 0);
  assertEquals(systemRandom.bytes(32).length, 32);
  assertNotEquals(systemRandom.bytes(32), systemRandom.bytes(32));
  assertMatch(
    systemRandom.uuid(),
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assertNotEquals(systemRandom.uuid(), systemRandom.uuid());
});

test("silentLogger takes any line", () => {
  assertEquals(silentLogger.log("error", "failed", { cause: new Error("x") }), undefined);
});
