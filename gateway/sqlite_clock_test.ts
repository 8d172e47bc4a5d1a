import { copyFile } from "node:fs/promises";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Clock, type LogStore, unwrapOrThrow } from "@lakesync/core";
import { ManualClock, Prng, test, withTempDir } from "@lakesync/testing";
import { SqliteClock } from "./sqlite_clock.ts";
import type { Statements } from "./sqlite_statements.ts";
import { openSqliteLogStore } from "./store_sqlite.ts";

/** A clock over a `meta` that is a variable. */
function overMeta(meta: { clock?: string; writes: number }, clock: Clock): SqliteClock {
  const setMeta = {
    run(_: string, value: string) {
      meta.clock = value;
      meta.writes++;
    },
  };
  return new SqliteClock(clock, meta.clock, { setMeta } as unknown as Statements);
}

test("SqliteClock never goes back: over jumps of the wall clock, restarts and kills", () => {
  const prng = new Prng(42);
  const meta = { writes: 0 };
  const wall = new ManualClock();
  let clock = overMeta(meta, wall);
  let last = 0;
  for (let i = 0; i < 3_000; i++) {
    const what = prng.int(0, 9);
    if (what === 0) wall.set(wall.now() - prng.int(0, 3_600_000));
    else if (what === 1) wall.set(wall.now() + prng.int(0, 100_000));
    else if (what < 6) wall.set(wall.now() + prng.int(0, 400));
    if (prng.chance(0.02)) clock.close();
    // A kill is a new clock without close().
    if (prng.chance(0.04)) clock = overMeta(meta, wall);
    const next = clock.now();
    assert(next >= last, `${next} follows ${last}`);
    last = next;
  }
});

test("SqliteClock writes once a second at the most", () => {
  const meta = { writes: 0 };
  const wall = new ManualClock();
  const clock = overMeta(meta, wall);
  for (let ms = 0; ms < 10_000; ms += 5) {
    clock.now();
    wall.set(wall.now() + 5);
  }
  assert(meta.writes <= 10, `${meta.writes} writes in 10 s`);
});

test("SqliteClock that was never asked writes nothing when it closes", () => {
  const meta = { writes: 0 };
  overMeta(meta, new ManualClock()).close();
  assertEquals(meta.writes, 0);
});

async function timeOf(store: LogStore): Promise<number> {
  return unwrapOrThrow(await store.now());
}

test("a SQLite log begins at most a second ahead after a kill, and not ahead after close()", () =>
  withTempDir(async (directory) => {
    const clock = new ManualClock();
    const path = `${directory}/log.db`;
    const store = unwrapOrThrow(await openSqliteLogStore({ path, clock }));
    const given = await timeOf(store);
    // A copy of the files as they are is what a killed process leaves.
    for (const suffix of ["", "-wal"]) {
      await copyFile(`${path}${suffix}`, `${directory}/killed.db${suffix}`);
    }
    await store.close();
    const open = (name: string) => openSqliteLogStore({ path: `${directory}/${name}.db`, clock });
    const closed = unwrapOrThrow(await open("log"));
    const killed = unwrapOrThrow(await open("killed"));
    clock.set(clock.now() - 500_000);
    assertEquals(await timeOf(closed), given);
    const afterKill = await timeOf(killed);
    assert(afterKill >= given && afterKill <= given + 1_000);
    await closed.close();
    await killed.close();
  }));

test("SqliteClock gives no time that a restart could undercut when it cannot be stored", () => {
  const wall = new ManualClock();
  let broken = true;
  let stored: string | undefined;
  const setMeta = {
    run(_: string, value: string) {
      if (broken) throw new Error("database or disk is full");
      stored = value;
    },
  };
  const clock = new SqliteClock(wall, undefined, { setMeta } as unknown as Statements);
  for (let i = 0; i < 2; i++) assertThrows(() => clock.now(), Error, "disk is full");
  broken = false;
  assert(clock.now() <= Number(stored));
});
