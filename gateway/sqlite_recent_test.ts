import { join } from "node:path";
import { assert, assertEquals } from "@std/assert";
import { type LogEntry, type ReadLogOptions, unwrapOrThrow } from "@lakesync/core";
import { Prng, test, withTempDir } from "@lakesync/testing";
import fc from "fast-check";
import { EntryRun, RecentEntries } from "./sqlite_recent.ts";
import { openSqliteLogStore } from "./store_sqlite.ts";
import { openRuled, task, WRITE_ALL } from "./testdata/rules_fixture.ts";

const KEYS = ["tasks.owner=ann", "tasks.owner=ben", "tasks.id=r1"];

/** An entry of no meaning. */
function entryOf(seq: number, chars = 10): LogEntry {
  return {
    seq,
    hash: String(seq),
    at: seq,
    txLast: seq,
    clientId: "ann",
    table: seq % 3 === 0 ? "members" : "tasks",
    rowId: `r${seq}`,
    json: "x".repeat(chars),
    effect: {
      before: "none",
      after: "alive",
      last: true,
      life: true,
      columns: undefined,
      state: undefined,
      judged: undefined,
    },
  };
}

function runOf(entries: readonly LogEntry[]): EntryRun {
  const run = new EntryRun();
  for (const entry of entries) {
    const keys = [`t:${entry.table}`, KEYS[entry.seq % KEYS.length]!];
    run.push(entry, { keys, chars: entry.json.length });
  }
  return run;
}

/** What `LogStore.read` asks for, the plain way. */
function readPlainly(
  entries: readonly LogEntry[],
  after: number,
  { limit, maxChars = 8_388_608, through = Infinity, keys }: ReadLogOptions,
): LogEntry[] {
  const found: LogEntry[] = [];
  let chars = 0;
  for (const entry of entries) {
    const own = [`t:${entry.table}`, KEYS[entry.seq % KEYS.length]!];
    if (entry.seq <= after || entry.seq > through) continue;
    if (keys !== undefined && !own.some((key) => keys.includes(key))) continue;
    found.push(entry);
    chars += entry.json.length;
    if (found.length >= limit || chars >= maxChars) break;
  }
  return found;
}

test("RecentEntries reads what LogStore.read promises, or says that it does not know", () => {
  const options = fc.record({
    limit: fc.integer({ min: 1, max: 60 }),
    maxChars: fc.integer({ min: 1, max: 400 }),
    through: fc.integer({ min: 0, max: 80 }),
    keys: fc.option(fc.subarray(["t:tasks", "t:members", ...KEYS]), { nil: undefined }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 0, max: 20 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 80 }), options), { maxLength: 8 }),
      (sizes, before, reads) => {
        const recent = new RecentEntries();
        const all: LogEntry[] = [];
        for (const size of sizes) {
          const added = Array.from(
            { length: size },
            (_, i) => entryOf(before + all.length + i + 1, 1 + i),
          );
          recent.add(runOf(added));
          all.push(...added);
        }
        for (const [after, { keys, ...rest }] of reads) {
          const asked = { ...rest, ...(keys !== undefined && { keys }) };
          const read = recent.read(after, asked);
          if (after < before) assertEquals(read, undefined);
          else assertEquals(read, readPlainly(all, after, asked));
        }
        assertEquals(recent.at(before), undefined);
        for (const entry of all) assertEquals(recent.at(entry.seq), entry);
        assertEquals(recent.at(before + all.length + 1), undefined);
      },
    ),
    { seed: 42, numRuns: 300 },
  );
});

test("RecentEntries keeps the last of them, however many and however large they are", () => {
  for (const chars of [1, 20_000]) {
    const recent = new RecentEntries();
    for (let seq = 1; seq <= 10_000; seq += 100) {
      const entries = Array.from({ length: 100 }, (_, i) => entryOf(seq + i, chars));
      recent.add(runOf(entries));
    }
    const kept = Array.from({ length: 10_000 }, (_, i) => recent.at(i + 1)).filter((entry) =>
      entry !== undefined
    );
    assert(kept.length * chars <= 4 * 2 ** 20 && kept.length <= 4_096, `${kept.length} are kept`);
    assert(kept.length >= 100, `${kept.length} are kept`);
    assertEquals(kept.at(-1)?.seq, 10_000);
    const first = kept[0]!.seq;
    assertEquals(recent.read(first - 2, { limit: 1 }), undefined);
    assertEquals(recent.read(first - 1, { limit: 1 })?.[0]?.seq, first);
  }
});

test("RecentEntries keeps nothing of a run that alone is too large", () => {
  const recent = new RecentEntries();
  recent.add(runOf([entryOf(1, 5 * 2 ** 20)]));
  assertEquals([recent.at(1), recent.read(0, { limit: 1 })], [undefined, undefined]);
  recent.add(runOf([entryOf(2)]));
  assertEquals(recent.read(1, { limit: 1 })?.length, 1);
});

test("a SQLite log reads the same from memory as from its file, also by keys and with rules", () =>
  withTempDir(async (directory) => {
    const path = join(directory, "log.db");
    const random = new Prng(42);
    const open = async () => unwrapOrThrow(await openSqliteLogStore({ path }));
    const asked: [after: number, options: ReadLogOptions][] = Array.from({ length: 150 }, () => {
      const keys = ["t:tasks", "t:members", "tasks.owner=ann", "tasks.owner=ben", "tasks.id=r3"]
        .filter(() => random.chance(0.4));
      return [random.int(0, 260), {
        limit: random.int(1, 300),
        maxChars: random.pick([1, 2_000, 8_388_608]),
        through: random.int(0, 300),
        ...(random.chance(0.6) && { keys }),
      }];
    });
    const readAll = async (store: Awaited<ReturnType<typeof open>>) => {
      const answers: unknown[] = [];
      for (const [after, options] of asked) {
        answers.push(unwrapOrThrow(await store.read(after, options)));
      }
      for (let seq = 0; seq < 250; seq += 7) answers.push(unwrapOrThrow(await store.hashAt(seq)));
      return answers;
    };
    const store = await open();
    const rules = {
      version: 1,
      buckets: [{
        name: "own",
        tables: ["tasks"],
        filters: [{ column: "owner", op: "eq", value: "jwt:sub" }],
      }],
      write: WRITE_ALL,
    } as const;
    await using ruled = await openRuled(rules, { store });
    for (let i = 0; i < 250; i++) {
      const op = random.pick(["INSERT", "INSERT", "UPDATE", "DELETE"] as const);
      const values = { owner: random.pick(["ann", "ben", null]), rank: random.int(0, 5) };
      const delta = random.chance(0.2)
        ? task("INSERT", `m${i}`, { user: "ann", project: "p" }, { by: "ann", table: "members" })
        : task(op, `r${random.int(0, 9)}`, op === "DELETE" ? {} : values, { by: "ann" });
      await ruled.push({ sub: "ann" }, [delta]);
    }
    assert(unwrapOrThrow(await store.head()).seq > 150, "most deltas were appended");
    const fromMemory = await readAll(store);
    await store.close();
    const reopened = await open();
    assertEquals(await readAll(reopened), fromMemory);
    await reopened.close();
  }));
