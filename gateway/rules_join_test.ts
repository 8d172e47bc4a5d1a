import { assert, assertEquals } from "@std/assert";
import {
  type CheckpointRow,
  decodeRow,
  emptyRow,
  isVisible,
  mergeDelta,
  ok,
  type PageItem,
  type RowState,
  type RuleJoin,
  type Rules,
  unwrapOrThrow,
} from "@lakesync/core";
import { memoryObjectStore, Prng, test } from "@lakesync/testing";
import { memoryLogStore } from "./store_memory.ts";
import { storeWith } from "./testdata/fixture.ts";
import {
  openRuled,
  type RuledGateway,
  task,
  type Values,
  WAYS_OUT,
  type Who,
  WRITE_ALL,
} from "./testdata/rules_fixture.ts";

const ADMIN: Who = { sub: "admin", role: "admin" };
const ALICE: Who = { sub: "alice" };

const OF_MEMBERS: RuleJoin = {
  column: "project",
  op: "in",
  table: "members",
  select: "project",
  where: [{ column: "user", op: "eq", value: "jwt:sub" }],
};

/** Members of a project see its tasks; memberships one sees of oneself. */
const RULES: Rules = {
  version: 1,
  buckets: [
    { name: "projects", tables: ["tasks"], filters: [OF_MEMBERS] },
    {
      name: "own memberships",
      tables: ["members"],
      filters: [{ column: "user", op: "eq", value: "jwt:sub" }],
    },
  ],
  write: WRITE_ALL,
};

const member = (op: "INSERT" | "UPDATE" | "DELETE", rowId: string, values: Values = {}) =>
  task(op, rowId, values, { table: "members" });
const todo = (rowId: string, project: string, values: Values = {}) =>
  task("INSERT", rowId, { project, ...values });

const summary = (items: readonly PageItem[]) =>
  items.map((item) => `${item.op} ${"rowId" in item ? item.rowId : ""}`).sort();

test("a membership brings its project's rows as ENTER and takes them away as REMOVE, on every way out", async () => {
  await using ruled = await openRuled(RULES);
  await ruled.push(ADMIN, [todo("a", "p1", { title: "A" }), todo("b", "p2"), todo("c", "p1")]);
  const start = (await ruled.checkpoint(ALICE)).cursor;
  const ways = Object.entries(WAYS_OUT);
  const steps: [deltas: ReturnType<typeof task>[], expected: string[]][] = [
    [[member("INSERT", "m", { user: "alice", project: "p1" })], ["ENTER a", "ENTER c", "INSERT m"]],
    [[task("UPDATE", "a", { title: "B" }), todo("d", "p1"), todo("e", "p2")], [
      "INSERT d",
      "UPDATE a",
    ]],
    [[task("UPDATE", "a", { project: "p2" }), task("UPDATE", "b", { project: "p1" })], [
      "ENTER b",
      "REMOVE a",
    ]],
    [[member("UPDATE", "m", { project: "p2" })], [
      "ENTER a",
      "ENTER e",
      "REMOVE b",
      "REMOVE c",
      "REMOVE d",
      "UPDATE m",
    ]],
    // A second membership for the same project changes nothing, and so does the end of one of two.
    [[member("INSERT", "n", { user: "alice", project: "p2" })], ["INSERT n"]],
    [[member("DELETE", "m")], ["DELETE m"]],
    [[member("UPDATE", "n", { user: "bob" })], ["REMOVE a", "REMOVE e", "REMOVE n"]],
  ];
  let cursor = start;
  for (const [i, [deltas, expected]] of steps.entries()) {
    assertEquals((await ruled.push(ADMIN, deltas)).rejected, []);
    for (const [name, way] of ways) {
      assertEquals(summary(await way(ruled, ALICE, { cursor })), expected, `${name}, step ${i}`);
    }
    ({ cursor } = await ruled.pull(ALICE, { cursor }));
  }
  await ruled.push(ADMIN, [task("UPDATE", "a", { title: "C" })]);
  assertEquals((await ruled.pull(ALICE, { cursor })).deltas, []);
});

test("an ENTER by a membership carries the row's state", async () => {
  await using ruled = await openRuled(RULES);
  const row = todo("a", "p1", { title: "A" });
  await ruled.push(ADMIN, [row, member("INSERT", "m", { user: "alice", project: "p1" })]);
  const [entered] = (await ruled.pull(ALICE)).deltas.filter(({ op }) => op === "ENTER");
  assertEquals(entered, {
    op: "ENTER",
    table: "tasks",
    rowId: "a",
    life: [row.hlc, row.clientId],
    columns: { project: ["p1", row.hlc, row.clientId], title: ["A", row.hlc, row.clientId] },
  });
});

test("a checkpoint goes by the memberships at its own place in the log", async () => {
  await using ruled = await openRuled(RULES);
  await ruled.push(ADMIN, [todo("a", "p1"), todo("b", "p2")]);
  const ids = async () => (await ruled.checkpoint(ALICE)).rows.map(({ rowId }) => rowId).sort();
  assertEquals(await ids(), []);
  await ruled.push(ADMIN, [member("INSERT", "m", { user: "alice", project: "p2" })]);
  assertEquals(await ids(), ["b", "m"]);
});

test("a membership of rows that are too large for a page reads no more of them than a page has", async () => {
  const inner = memoryLogStore();
  let read = 0;
  const store = storeWith(inner, {
    async snapshot() {
      const taken = unwrapOrThrow(await inner.snapshot());
      return ok({
        ...taken,
        async *rows(tables) {
          for await (const chunk of taken.rows(tables)) {
            read += chunk.length;
            yield chunk;
          }
        },
      });
    },
  });
  await using ruled = await openRuled(RULES, { store, limits: { pageBytes: 20_000 } });
  await ruled.push(ADMIN, Array.from({ length: 4_000 }, (_, i) => todo(`r${i}`, "p1")));
  const { cursor } = await ruled.checkpoint(ALICE);
  await ruled.push(ADMIN, [member("INSERT", "m", { user: "alice", project: "p1" })]);
  read = 0;
  const refused = await ruled.ask(ALICE, `sync/default/pull?clientId=alice&cursor=${cursor}`);
  const { error } = await refused.json();
  assertEquals([refused.status, error.details.reason], [410, "moved"]);
  assert(read <= 500, `${read} rows were read`);
});

test("a membership of too many rows for a page gives 410, and the checkpoint has them", async () => {
  await using ruled = await openRuled(RULES);
  for (let i = 0; i < 11_000; i += 5_500) {
    const rows = Array.from({ length: 5_500 }, (_, n) => todo(`r${i + n}`, "p1"));
    await ruled.push(ADMIN, rows);
  }
  const { cursor } = await ruled.checkpoint(ALICE);
  await ruled.push(ADMIN, [member("INSERT", "m", { user: "alice", project: "p1" })]);
  const refused = await ruled.ask(ALICE, `sync/default/pull?clientId=alice&cursor=${cursor}`);
  const { error } = await refused.json();
  assertEquals([refused.status, error.details.reason], [410, "moved"]);
  assertEquals((await ruled.checkpoint(ALICE)).rows.length, 11_001);
});

test("after a membership that gave 410, no kept checkpoint of before it is given", async () => {
  const checkpointCache = { store: memoryObjectStore() };
  await using ruled = await openRuled(RULES, { checkpointCache, limits: { pageBytes: 20_000 } });
  await ruled.push(ADMIN, Array.from({ length: 500 }, (_, i) => todo(`r${i}`, "p1")));
  const ask = (path: string) => ruled.ask(ALICE, `sync/default/${path}`);
  const checkpoint = async (atLeast: number) => {
    const response = await ask(`checkpoint?clientId=alice&atLeast=${atLeast}`);
    const [first] = (await response.text()).split("\n");
    return JSON.parse(first!).checkpoint as { seq: number; cursor: string };
  };
  const held = await checkpoint(0);
  await ruled.push(ADMIN, [member("INSERT", "m", { user: "alice", project: "p1" })]);
  assertEquals((await ask(`pull?clientId=alice&cursor=${held.cursor}`)).status, 410);
  // A client asks for one that is as new as what it has.
  const { cursor } = await checkpoint(held.seq);
  assertEquals((await ask(`pull?clientId=alice&cursor=${cursor}`)).status, 200);
});

test("memberships are found again after the log before them was trimmed", async () => {
  const store = memoryLogStore();
  await using ruled = await openRuled(RULES, { store });
  await ruled.push(ADMIN, [
    todo("a", "p1"),
    member("INSERT", "m", { user: "alice", project: "p1" }),
  ]);
  unwrapOrThrow(await store.trim({ through: 2 }));
  const { rows, cursor } = await ruled.checkpoint(ALICE);
  assertEquals(rows.map(({ rowId }) => rowId).sort(), ["a", "m"]);
  await ruled.push(ADMIN, [task("UPDATE", "a", { title: "x" }), member("DELETE", "m")]);
  assertEquals(summary((await ruled.pull(ALICE, { cursor })).deltas), ["DELETE m", "REMOVE a"]);
});

test("write rules look into memberships as they are when the push is appended", async () => {
  const rules: Rules = {
    ...RULES,
    write: [
      RULES.buckets[0]!,
      {
        name: "admins",
        tables: ["members"],
        filters: [{ column: "project", op: "in", value: "jwt:runs" }],
      },
    ],
  };
  await using ruled = await openRuled(rules);
  const boss: Who = { sub: "boss", runs: ["p1"] };
  const by = (who: Who, txId?: string) => ({ by: who.sub, ...(txId !== undefined && { txId }) });
  const add = (rowId: string, who: Who) => task("INSERT", rowId, { project: "p1" }, by(who));
  const join = (rowId: string, user: string, txId?: string) =>
    task("INSERT", rowId, { user, project: "p1" }, { ...by(boss, txId), table: "members" });
  const codes = async (who: Who, deltas: ReturnType<typeof task>[]) =>
    (await ruled.push(who, deltas)).rejected.map(({ index, code }) => `${index} ${code}`);

  assertEquals(await codes(ALICE, [add("a", ALICE)]), ["0 FORBIDDEN_WRITE"]);
  assertEquals(await codes(boss, [join("m1", "alice")]), []);
  assertEquals(await codes(ALICE, [add("a", ALICE)]), []);
  // Within a push, and within a transaction, what it has written itself counts.
  assertEquals(await codes(boss, [add("b", boss), join("m2", "boss"), add("c", boss)]), [
    "0 FORBIDDEN_WRITE",
  ]);
  const leave = task("DELETE", "m2", {}, { ...by(boss), table: "members" });
  assertEquals(await codes(boss, [leave, add("d", boss)]), ["1 FORBIDDEN_WRITE"]);
  const both = [join("m3", "boss", "t"), task("INSERT", "e", { project: "p1" }, by(boss, "t"))];
  assertEquals(await codes(boss, both), []);
  // A push that was judged before the membership ended is judged again.
  const [kept, lost] = await Promise.all([
    ruled.push(boss, [task("DELETE", "m1", {}, { ...by(boss), table: "members" })]),
    ruled.push(ALICE, [add("f", ALICE)]),
  ]);
  assertEquals(kept.rejected, []);
  const alone = await ruled.push(ALICE, [add("g", ALICE)]);
  assertEquals(alone.rejected.length, 1);
  assert(lost.rejected.length === 1 || lost.seq < kept.seq, "no write after the membership's end");
});

/** What somebody was told. */
class Reader {
  readonly base = new Map<string, RowState>();
  cursor = "";
  readonly who: Who;

  constructor(who: Who) {
    this.who = who;
  }

  apply(item: PageItem): void {
    if (!("rowId" in item)) throw new TypeError("No OWN was asked for");
    const key = `${item.table} ${item.rowId}`;
    if (item.op === "ENTER") this.base.set(key, decodeRow(item));
    else if ("hlc" in item) {
      const state = this.base.get(key) ?? emptyRow();
      this.base.set(key, state);
      mergeDelta(state, item);
    } else this.base.delete(key);
  }

  replace(cursor: string, rows: readonly CheckpointRow[]): void {
    this.cursor = cursor;
    this.base.clear();
    for (const row of rows) this.base.set(`${row.table} ${row.rowId}`, decodeRow(row));
  }
}

async function readOn(ruled: RuledGateway, reader: Reader, limit: number): Promise<boolean> {
  const { who, cursor } = reader;
  const query = new URLSearchParams({ clientId: who.sub, cursor, limit: String(limit) });
  const response = await ruled.ask(who, `sync/default/pull?${query}`);
  if (response.status === 410) {
    const { cursor: fresh, rows } = await ruled.checkpoint(who);
    reader.replace(fresh, rows);
    return true;
  }
  const page = await response.json();
  for (const item of page.deltas) reader.apply(item);
  reader.cursor = page.cursor;
  return page.hasMore;
}

test("random memberships and rows: everybody comes to have exactly what the rules let through", async () => {
  let entered = 0;
  for (let seed = 1; seed <= 15; seed++) {
    const prng = new Prng(seed);
    await using ruled = await openRuled(RULES);
    const rows = new Map<string, RowState>();
    const readers = ["ann", "ben"].map((sub) => new Reader({ sub }));
    const value = (key: string, column: string) => rows.get(key)?.columns.get(column)?.[0];
    const mine = ({ who }: Reader) => {
      const projects = new Set<unknown>();
      for (const [key, state] of rows) {
        if (!key.startsWith("members") || !isVisible(state)) continue;
        if (value(key, "user") === who.sub) projects.add(value(key, "project"));
      }
      return [...rows].filter(([key, state]) =>
        isVisible(state) &&
        (key.startsWith("members")
          ? value(key, "user") === who.sub
          : typeof value(key, "project") === "string" && projects.has(value(key, "project")))
      );
    };
    const check = (reader: Reader) => {
      const sorted = (all: Iterable<[string, RowState]>) =>
        [...all].map(([key, { life, columns }]) => [key, life, new Map([...columns].sort())])
          .sort(([a], [b]) => (a as string) < (b as string) ? -1 : 1);
      assertEquals(sorted(reader.base), sorted(mine(reader)), `seed ${seed}, ${reader.who.sub}`);
    };
    for (let step = 0; step < 150; step++) {
      if (prng.chance(0.7)) {
        const table = prng.chance(0.3) ? "members" : "tasks";
        const rowId = `${table[0]}${prng.int(1, table === "members" ? 4 : 10)}`;
        const key = `${table} ${rowId}`;
        const alive = isVisible(rows.get(key));
        const op = alive ? prng.pick(["UPDATE", "UPDATE", "UPDATE", "DELETE", "INSERT"]) : "INSERT";
        const values: { [column: string]: string | null } = {};
        if (op !== "DELETE" && (op === "INSERT" || prng.chance(0.5))) {
          values.project = prng.pick(["p1", "p2", "p3"]);
        }
        if (table === "members" && op === "INSERT") values.user = prng.pick(["ann", "ben"]);
        if (table === "tasks" && op !== "DELETE") values.title = `t${step}`;
        const delta = task(op as "INSERT", rowId, values, { table });
        assertEquals((await ruled.push(ADMIN, [delta])).rejected, []);
        const state = rows.get(key) ?? emptyRow();
        rows.set(key, state);
        mergeDelta(state, delta);
      } else {
        const reader = prng.pick(readers);
        const before = reader.base.size;
        const more = await readOn(ruled, reader, prng.int(1, 4));
        if (reader.base.size > before + 1) entered++;
        if (!more) check(reader);
      }
    }
    for (const reader of readers) {
      while (await readOn(ruled, reader, 3));
      check(reader);
    }
  }
  assert(entered > 20, `${entered} pages brought several rows`);
});
