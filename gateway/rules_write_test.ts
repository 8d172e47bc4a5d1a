import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Rejection, type Rules, type SourceBatch, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { openRuled, task, type Who, WRITE_ALL } from "./testdata/rules_fixture.ts";

const ALICE: Who = { sub: "alice" };
const BOB: Who = { sub: "bob" };

const OWN: Rules = {
  version: 1,
  buckets: [{
    name: "own",
    tables: ["tasks"],
    filters: [{ column: "owner", op: "eq", value: "jwt:sub" }],
  }],
};

const by = (who: Who, txId?: string) => ({ by: who.sub, ...(txId !== undefined && { txId }) });
const insert = (rowId: string, owner: string | null, who = ALICE, txId?: string) =>
  task("INSERT", rowId, { owner, title: "secret" }, by(who, txId));
const give = (rowId: string, owner: string | null, who = ALICE, txId?: string) =>
  task("UPDATE", rowId, { owner }, by(who, txId));
const rename = (rowId: string, who = ALICE, txId?: string) =>
  task("UPDATE", rowId, { title: "secret" }, by(who, txId));
const remove = (rowId: string, who = ALICE, txId?: string) =>
  task("DELETE", rowId, {}, by(who, txId));

const codes = (rejected: readonly Rejection[]) =>
  rejected.map(({ index, code }) => `${index} ${code}`);

const NEAR = 'Rule "own" does not let you change this row: see its column "owner"';
const GONE = "There is no such row: pull, or insert it first";
const TAKEN = "Another row has this id: insert it with an id of its own";

test("one's own rows can be inserted, updated and deleted, also after a DELETE", async () => {
  await using ruled = await openRuled(OWN);
  const deltas = [
    insert("a", "alice"),
    rename("a"),
    remove("a"),
    insert("a", "alice"),
    remove("a"),
  ];
  for (const delta of deltas) assertEquals((await ruled.push(ALICE, [delta])).rejected, []);
});

const REFUSED: readonly [
  title: string,
  deltas: () => ReturnType<typeof task>[],
  message: string,
][] = [
  ["an INSERT of another's row", () => [insert("new", "bob")], NEAR],
  ["an INSERT of a row of nobody", () => [insert("new", null)], NEAR],
  ["an INSERT over another's row", () => [insert("bobs", "alice")], TAKEN],
  ["giving one's own row away", () => [give("mine", "bob")], NEAR],
  ["leaving one's own row to nobody", () => [give("mine", null)], NEAR],
  ["taking another's row", () => [give("bobs", "alice")], GONE],
  ["an UPDATE of another's row that does not carry the column", () => [rename("bobs")], GONE],
  ["a DELETE of another's row", () => [remove("bobs")], GONE],
  ["an UPDATE of a row that never was", () => [rename("never")], GONE],
  ["a DELETE of a row that never was", () => [remove("never")], GONE],
  ["an UPDATE of a dead row", () => [rename("dead")], GONE],
  ["a DELETE of a dead row", () => [remove("dead")], GONE],
  [
    "a row of a table in no rule",
    () => [task("INSERT", "m", { user: "alice", project: "p" }, { by: "alice", table: "members" })],
    'No rule lets you change table "members": ask its operator',
  ],
];
for (const [title, deltas, message] of REFUSED) {
  test(`${title} is FORBIDDEN_WRITE and changes nothing`, async () => {
    await using ruled = await openRuled(OWN);
    await ruled.push(ALICE, [insert("mine", "alice"), insert("dead", "alice"), remove("dead")]);
    await ruled.push(BOB, [insert("bobs", "bob", BOB)]);
    const { head } = unwrapOrThrow(await ruled.gateway.stats());
    const { rejected, seq } = await ruled.push(ALICE, deltas());
    assertEquals(rejected.map((r) => [r.code, r.message]), [["FORBIDDEN_WRITE", message]]);
    assert(!JSON.stringify(rejected).includes("secret"), "no values in messages");
    assertEquals(seq, head);
  });
}

test("a message does not tell whether another's row is there", async () => {
  await using ruled = await openRuled(OWN);
  await ruled.push(BOB, [insert("bobs", "bob", BOB)]);
  for (const make of [rename, remove]) {
    const [there, not] = [
      await ruled.push(ALICE, [make("bobs")]),
      await ruled.push(ALICE, [make("never")]),
    ];
    assertEquals(there.rejected[0]!.message, not.rejected[0]!.message);
  }
});

test("write rules bind where they differ from what may be seen, and name what stands in the way", async () => {
  const rules: Rules = {
    ...OWN,
    buckets: [{ name: "all", tables: ["tasks"], filters: [] }],
    write: [...OWN.buckets, {
      name: "low",
      tables: ["tasks"],
      filters: [
        { column: "rank", op: "lt", value: 5 },
        { column: "project", op: "in", value: "jwt:projects" },
      ],
    }],
  };
  await using ruled = await openRuled(rules);
  await ruled.push(BOB, [insert("bobs", "bob", BOB)]);
  const seen = await ruled.push(ALICE, [rename("bobs")]);
  assertEquals(seen.rejected[0]!.message, NEAR, "it is seen, so that it is told");
  const who: Who = { sub: "alice", projects: ["p1"] };
  const low = (rank: number, project: string) =>
    task("INSERT", `${project}-${rank}`, { rank, project }, by(ALICE));
  assertEquals((await ruled.push(who, [low(4, "p1")])).rejected, []);
  const { rejected } = await ruled.push(who, [low(5, "p1"), low(4, "p2")]);
  assertEquals(codes(rejected), ["0 FORBIDDEN_WRITE", "1 FORBIDDEN_WRITE"]);
  // Without the claim there is no such bucket.
  assertStringIncludes((await ruled.push(ALICE, [low(4, "p1")])).rejected[0]!.message, '"own"');
});

test("an empty write section lets nobody write, and reading goes on", async () => {
  await using ruled = await openRuled({ ...OWN, write: [] });
  const { rejected } = await ruled.push(ALICE, [insert("a", "alice")]);
  assertEquals(codes(rejected), ["0 FORBIDDEN_WRITE"]);
  assertEquals((await ruled.pull(ALICE)).deltas, []);
});

test("rules bind admins on sync routes", async () => {
  await using ruled = await openRuled(OWN);
  const admin: Who = { sub: "root", role: "admin" };
  const { rejected } = await ruled.push(admin, [insert("a", "alice", admin)]);
  assertEquals(codes(rejected), ["0 FORBIDDEN_WRITE"]);
});

test("a transaction is judged where it finds, leaves and deletes a row, and not in between", async () => {
  await using ruled = await openRuled(OWN);
  await ruled.push(ALICE, [insert("mine", "alice")]);
  const cases: [title: string, deltas: ReturnType<typeof task>[], expected: string[]][] = [
    ["made in two steps", [insert("b", null, ALICE, "t"), give("b", "alice", ALICE, "t")], []],
    ["away and back", [give("mine", "bob", ALICE, "t"), give("mine", "alice", ALICE, "t")], []],
    [
      "back and away",
      [give("mine", "alice", ALICE, "t"), give("mine", "bob", ALICE, "t")],
      ["0 TX_REJECTED", "1 FORBIDDEN_WRITE"],
    ],
    [
      "one good row, one bad one",
      [insert("c", "alice", ALICE, "t"), insert("d", "bob", ALICE, "t")],
      ["0 TX_REJECTED", "1 FORBIDDEN_WRITE"],
    ],
    [
      "deleted as another's",
      [insert("e", "bob", ALICE, "t"), remove("e", ALICE, "t")],
      ["0 TX_REJECTED", "1 FORBIDDEN_WRITE"],
    ],
    [
      "updated after its end",
      [remove("mine", ALICE, "t"), rename("mine", ALICE, "t")],
      ["0 TX_REJECTED", "1 FORBIDDEN_WRITE"],
    ],
    ["made and deleted", [insert("f", "alice", ALICE, "t"), remove("f", ALICE, "t")], []],
    [
      "deleted and made anew",
      [remove("mine", ALICE, "t"), insert("mine", "alice", ALICE, "t")],
      [],
    ],
  ];
  for (const [title, deltas, expected] of cases) {
    assertEquals(codes((await ruled.push(ALICE, deltas)).rejected), expected, title);
  }
});

test("a push goes on after a FORBIDDEN_WRITE, each transaction on the rows that stand", async () => {
  await using ruled = await openRuled(OWN);
  const { accepted, rejected } = await ruled.push(ALICE, [
    insert("a", "alice"),
    give("a", "bob"),
    rename("a"),
    insert("b", "bob"),
    rename("b"),
  ]);
  assertEquals(accepted, 2);
  assertEquals(rejected.map(({ index, message }) => [index, message]), [
    [1, NEAR],
    [3, NEAR],
    [4, GONE],
  ]);
});

test("a repeated push stays a duplicate, whatever the rules have become", async () => {
  await using ruled = await openRuled({ ...OWN, write: WRITE_ALL });
  const deltas = [insert("a", "bob"), rename("a")];
  await ruled.push(ALICE, deltas);
  unwrapOrThrow(await ruled.gateway.putRules({ ...OWN, version: 2, write: [] }));
  const { accepted, duplicates, rejected } = await ruled.push(ALICE, deltas);
  assertEquals([accepted, duplicates, rejected], [0, 2, []]);
});

test("a source is not bound by rules, but what it brings is judged on its way out", async () => {
  await using ruled = await openRuled({ ...OWN, write: [] });
  const batch = (owner: string, cursor: string): SourceBatch => ({
    changes: [{ op: "upsert", table: "tasks", rowId: "a", columns: new Map([["owner", owner]]) }],
    cursor,
  });
  const batches = [batch("alice", "1"), batch("bob", "2"), batch("alice", "3")];
  const source = {
    name: "crm",
    async *read() {
      for (const value of batches) yield { ok: true as const, value };
    },
  };
  unwrapOrThrow(await ruled.gateway.ingest(source));
  const ops = async (who: Who) => (await ruled.pull(who)).deltas.map(({ op }) => op);
  assertEquals(await ops(ALICE), ["INSERT", "REMOVE", "ENTER"]);
  assertEquals(await ops(BOB), ["ENTER", "REMOVE"]);
});

test("the refusal of an INSERT over a hidden row tells nothing of what stands in that row", async () => {
  const filters = [
    { column: "owner", op: "eq", value: "jwt:sub" },
    { column: "rank", op: "lt", value: 5 },
  ] as const;
  const rules: Rules = {
    version: 1,
    buckets: [{ name: "low", tables: ["tasks"], filters }],
  };
  await using ruled = await openRuled(undefined);
  await ruled.push(BOB, [
    task("INSERT", "a", { owner: "alice", rank: 9 }, by(BOB)),
    task("INSERT", "b", { owner: "bob", rank: 1 }, by(BOB)),
    task("INSERT", "c", { rank: 1 }, by(BOB)),
  ]);
  unwrapOrThrow(await ruled.gateway.putRules(rules));
  const messages = new Set<string>();
  for (const rowId of ["a", "b", "c"]) {
    const mine = task("INSERT", rowId, { owner: "alice", rank: 1 }, by(ALICE));
    for (const { message } of (await ruled.push(ALICE, [mine])).rejected) messages.add(message);
  }
  assertEquals([...messages], [TAKEN]);
});
