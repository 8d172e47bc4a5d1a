import { assert, assertEquals } from "@std/assert";
import { icebergDestination, icebergLake } from "@lakesync/adapter-iceberg";
import {
  type Clock,
  type FlushEntry,
  type Logger,
  ok,
  systemClock,
  systemRandom,
  unwrapOrThrow,
} from "@lakesync/core";
import { memoryLogStore } from "@lakesync/gateway";
import {
  fileObjectStore,
  insertTodo,
  ManualClock,
  memoryObjectStore,
  spawnScript,
  test,
  withTempDir,
} from "@lakesync/testing";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseMaintainArgs } from "./maintain_args.ts";
import { maintainOnce, maintainRegularly, maintenanceLease } from "./maintaining.ts";

const MAINTAIN = new URL("./maintain.ts", import.meta.url);
const COMPACTION = new URL("../adapters/iceberg/testdata/compact_and_hang.ts", import.meta.url);

async function* entriesOf(seq: number): AsyncGenerator<FlushEntry[]> {
  await Promise.resolve();
  yield [{ seq, at: 1_700_000_000_000, delta: insertTodo(`r${seq}`, seq) }];
}

/** A lake of three flushed rows. */
async function fill(
  store: ReturnType<typeof memoryObjectStore>,
  clock: Clock = systemClock,
): Promise<void> {
  const schema = {
    table: "todos",
    version: 1,
    columns: [{ name: "title", type: "string" }, { name: "done", type: "boolean" }],
  } as const;
  for (let seq = 1; seq <= 3; seq++) {
    const outcomes = unwrapOrThrow(
      await icebergDestination({ store, clock }).write({
        id: `batch ${seq}`,
        to: { epoch: "e", seq },
        tables: new Map([["todos", {
          schema,
          from: seq === 1 ? undefined : { epoch: "e", seq: seq - 1 },
        }]]),
        entries: entriesOf(seq),
      }),
    );
    assertEquals(outcomes.get("todos")?.status, "committed");
  }
}

/** A logger that keeps the events. */
function kept(): { logger: Logger; events: string[] } {
  const events: string[] = [];
  return { logger: { log: (_level, event) => void events.push(event) }, events };
}

test("maintain folds the changes of a gateway's lake, and says in a dry run that it would", async () => {
  await withTempDir(async (data) => {
    const store = fileObjectStore({ directory: join(data, "lake", "default") });
    await fill(store);
    // Others' temporary files are none of this test's business.
    const env = { TMPDIR: data };
    const run = async (...args: string[]) => {
      await using script = spawnScript(MAINTAIN, { args: ["--data", data, ...args], env });
      await script.nextJson();
      const { code } = await script.kill("SIGTERM");
      return { code, events: script.stderr.trim().split("\n").filter(Boolean).map(eventOf) };
    };
    assertEquals(await run("--dry-run"), { code: 0, events: ["maintain.compact"] });
    assertEquals(unwrapOrThrow(await icebergLake({ store }).tables()), ["todos_changes"]);
    assertEquals(await run(), { code: 0, events: ["maintain.compact"] });
    assertEquals(await run(), { code: 0, events: [] });
    const scan = unwrapOrThrow(await icebergLake({ store }).scan("todos"));
    assertEquals(scan.watermark, { epoch: "e", seq: 3 });
    assertEquals(scan.files.reduce((sum, { rows }) => sum + rows, 0), 3);
    assertEquals((await run("--every", "0")).code, 2);
  });
});

test("maintain removes the temporary files of a compaction that was killed, but not in a dry run", async () => {
  await withTempDir(async (data) => {
    await fill(fileObjectStore({ directory: join(data, "lake", "default") }));
    const env = { TMPDIR: data };
    await using compaction = spawnScript(COMPACTION, { env });
    assert(await compaction.nextJson() !== undefined, compaction.stderr);
    const left = async () =>
      (await readdir(data)).filter((name) => name.startsWith("lakesync-")).length;
    const some = await left();
    assert(some > 0);
    const run = async (...args: string[]) => {
      await using script = spawnScript(MAINTAIN, { args: ["--data", data, ...args], env });
      assertEquals(await script.nextJson(), { event: "maintained", well: true });
      return script.stderr.trim().split("\n").filter(Boolean).map(eventOf);
    };
    assertEquals([await run(), await left()], [["maintain.compact"], some]);
    await compaction.kill("SIGKILL");
    assertEquals([await run("--dry-run"), await left()], [[], some]);
    assertEquals([await run(), await left()], [["maintain.scratch"], 0]);
  });
});

const nextTurn = () => new Promise((resolve) => setTimeout(resolve, 0));

function eventOf(line: string): unknown {
  return (JSON.parse(line) as { event: unknown }).event;
}

test("Of two instances on one store one maintains; the other does when the lease is let go", async () => {
  const lake = memoryObjectStore();
  await fill(lake);
  const log = memoryLogStore();
  const { logger, events } = kept();
  const mine = maintenanceLease(log, { random: systemRandom });
  assert(unwrapOrThrow(await mine.acquire()));
  const options = { store: lake, lease: maintenanceLease(log, { random: systemRandom }) };
  const named = { gateway: "default", options };
  assertEquals(await maintainOnce(named, logger), ok(false));
  assertEquals(events, ["maintain.busy"]);
  unwrapOrThrow(await mine.release());
  assertEquals(await maintainOnce(named, logger), ok(true));
  assertEquals(events, ["maintain.busy", "maintain.compact"]);
});

test("Lakes are maintained at once and then every so often, until the signal", async () => {
  const clock = new ManualClock();
  const lake = memoryObjectStore({ clock });
  await fill(lake, clock);
  const { logger, events } = kept();
  const ending = new AbortController();
  const lakes = [{ gateway: "default", options: { store: lake, clock, minSnapshots: 1 } }];
  const running = maintainRegularly(lakes, {
    everyMs: 7 * 86_400_000,
    scheduler: clock,
    logger,
    signal: ending.signal,
  });
  while (clock.pending === 0) await nextTurn();
  assertEquals(events, ["maintain.compact"]);
  await clock.advance(7 * 86_400_000);
  while (!events.includes("maintain.orphans")) await nextTurn();
  assertEquals(events, ["maintain.compact", "maintain.expire", "maintain.orphans"]);
  ending.abort();
  await running;
});

test("Flags of maintain that cannot be meant are refused with what to do", () => {
  const message = (...args: string[]) => {
    const parsed = parseMaintainArgs(args, {});
    return parsed.ok ? parsed.value : parsed.error.message;
  };
  assertEquals(
    message("--every", "soon"),
    "--every soon is no number of seconds: take 1 to 9999999",
  );
  assertEquals(message("--data", ""), "--data is empty: name a directory");
  assertEquals(message("--help"), "help");
  assertEquals(message("--gateway", "a", "--dry-run", "--every", "60", "--no-compact"), {
    data: "lakesync-data",
    lake: undefined,
    config: undefined,
    gateways: ["a"],
    store: { kind: "sqlite" },
    dryRun: true,
    compact: false,
    deletes: "rewrite",
    engine: undefined,
    every: 60,
  });
  const chosen = parseMaintainArgs(["--deletes", "vectors", "--engine", "streaming"], {});
  assert(chosen.ok && chosen.value !== "help");
  assertEquals([chosen.value.deletes, chosen.value.engine], ["vectors", "streaming"]);
  assertEquals(
    message("--deletes", "all"),
    "--deletes all is unknown: take rewrite, positions, vectors, equality",
  );
  assertEquals(message("--engine", "spark"), "--engine spark is unknown: take duckdb or streaming");
});
