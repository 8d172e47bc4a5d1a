import { assert, assertEquals } from "@std/assert";
import { type ErrorBody, type RuleOp, type Rules, unwrapOrThrow } from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import { memoryLogStore } from "./store_memory.ts";
import {
  openRuled,
  openSocket,
  type RuledGateway,
  task,
  tokenFor,
  type Who,
  WRITE_ALL,
} from "./testdata/rules_fixture.ts";

const ALICE: Who = { sub: "alice", team: "red" };
const BOB: Who = { sub: "bob", team: "blue" };

/** Own rows, and those of the team's projects. */
function rulesBy(projects: readonly string[], version = 1): Rules {
  return {
    version,
    buckets: [
      {
        name: "own",
        tables: ["tasks"],
        filters: [{ column: "owner", op: "eq", value: "jwt:sub" }],
      },
      {
        name: "red",
        tables: ["tasks"],
        filters: [
          { column: "project", op: "in", value: [...projects] },
          { column: "title", op: "eq", value: "jwt:team" },
        ],
      },
    ],
    write: WRITE_ALL,
  };
}

/** The rules for members of the red team alone: for others no bucket changes. */
function rulesForRed(projects: readonly string[], version = 1): Rules {
  const [own, red] = rulesBy(projects, version).buckets;
  const filters = [...red!.filters, { column: "title", op: "eq" as const, value: "jwt:red" }];
  return { version, buckets: [own!, { ...red!, filters }], write: WRITE_ALL };
}

async function pulled(ruled: RuledGateway, who: Who, cursor: string, params = ""): Promise<string> {
  const clientId = encodeURIComponent(who.sub);
  const path = `sync/default/pull?clientId=${clientId}&cursor=${cursor}${params}`;
  const response = await ruled.ask(who, path);
  const body = await response.json() as ErrorBody;
  return response.ok ? "200" : `${response.status} ${body.error.details?.reason}`;
}

const put = async (ruled: RuledGateway, rules: Rules): Promise<void> => {
  const admin: Who = { sub: "root", role: "admin" };
  const response = await ruled.ask(admin, "admin/default/rules", {
    method: "PUT",
    body: JSON.stringify(rules),
  });
  assertEquals([response.status, await response.json()], [200, rules]);
};

test("a change of rules gives 410 to callers whose filters it alters, and to no others", async () => {
  await using ruled = await openRuled(rulesForRed(["p1"]));
  const red: Who = { ...ALICE, red: "red" };
  const cursors = [await ruled.checkpoint(red), await ruled.checkpoint(BOB)];
  const outcomes = async () => [
    await pulled(ruled, red, cursors[0]!.cursor),
    await pulled(ruled, BOB, cursors[1]!.cursor),
  ];
  assertEquals(await outcomes(), ["200", "200"]);
  // Another version, another order, other names: the same.
  const same = rulesForRed(["p1"], 7);
  await put(ruled, { ...same, buckets: [...same.buckets].reverse() });
  assertEquals(await outcomes(), ["200", "200"]);
  await put(ruled, rulesForRed(["p1", "p2"], 8));
  assertEquals(await outcomes(), ["410 digest", "200"]);
  await put(ruled, rulesForRed(["p1"], 9));
  assertEquals(await outcomes(), ["200", "200"]);
});

test("a change of a token's claims gives 410 where it alters the filters, and only there", async () => {
  await using ruled = await openRuled(rulesBy(["p1"]));
  const { cursor } = await ruled.checkpoint(ALICE);
  const change = (claims: object) => pulled(ruled, { ...ALICE, ...claims }, cursor);
  assertEquals(await change({ other: "claim", role: "admin" }), "200");
  assertEquals(await change({ team: ["red"] }), "200");
  assertEquals(await change({ team: ["red", "red", null] }), "200");
  assertEquals(await change({ team: "blue" }), "410 digest");
  assertEquals(await change({ team: ["red", "blue"] }), "410 digest");
  assertEquals(await change({ team: 5 }), "410 digest");
});

test("rules that come or go give 410, and after a checkpoint a caller sees what they say", async () => {
  await using ruled = await openRuled(undefined);
  const rows = [
    task("INSERT", "a", { owner: "alice" }),
    task("INSERT", "b", { owner: "bob" }),
  ];
  await ruled.push({ sub: "admin" }, rows);
  const { cursor } = await ruled.checkpoint(ALICE);
  const page = await ruled.pull(ALICE, { cursor });
  assertEquals(page.seq, 2);
  await put(ruled, rulesBy([]));
  assertEquals(await pulled(ruled, ALICE, cursor), "410 digest");
  // What was appended before the rules does not say what they look at, but it can be found out.
  const { deltas: all } = await ruled.pull(ALICE, { cursor: "" });
  assertEquals(all.map((item) => "rowId" in item && [item.op, item.rowId]), [["INSERT", "a"]]);
  const checkpoint = await ruled.checkpoint(ALICE);
  assertEquals(checkpoint.rows.map(({ rowId }) => rowId), ["a"]);
  await ruled.push({ sub: "admin" }, [
    task("UPDATE", "b", { owner: "alice" }),
    task("UPDATE", "a", { owner: "bob" }),
  ]);
  const { deltas } = await ruled.pull(ALICE, { cursor: checkpoint.cursor });
  assertEquals(deltas.map(({ op }) => op), ["ENTER", "REMOVE"]);
});

test("a caller that stands before a time without a column's rule goes on once that is in force again", async () => {
  await using ruled = await openRuled(rulesBy(["p1"]));
  const { cursor } = await ruled.checkpoint(ALICE);
  const [own] = rulesBy([]).buckets;
  await put(ruled, { version: 2, buckets: [own!], write: WRITE_ALL });
  await ruled.push({ sub: "admin" }, [
    task("INSERT", "a", { owner: "bob", project: "p1", title: "red" }),
  ]);
  await put(ruled, rulesBy(["p1"], 3));
  const { deltas } = await ruled.pull(ALICE, { cursor });
  assertEquals(deltas.map((item) => "rowId" in item && [item.op, item.rowId]), [["INSERT", "a"]]);
  const { rows, cursor: fresh } = await ruled.checkpoint(ALICE);
  assertEquals(rows.map(({ rowId }) => rowId), ["a"]);
  assertEquals(await pulled(ruled, ALICE, fresh), "200");
});

test("entries that are not found by a column's values are found all the same", async () => {
  const by = (op: RuleOp, version: number): Rules => ({
    version,
    buckets: [{ name: "b", tables: ["tasks"], filters: [{ column: "owner", op, value: "alice" }] }],
    write: WRITE_ALL,
  });
  await using ruled = await openRuled(by("eq", 1));
  const { cursor } = await ruled.checkpoint(ALICE);
  await put(ruled, by("neq", 2));
  await ruled.push({ sub: "admin" }, [task("INSERT", "a", { owner: "alice" })]);
  await put(ruled, by("eq", 3));
  await ruled.push({ sub: "admin" }, [task("INSERT", "b", { owner: "alice" })]);
  const { deltas } = await ruled.pull(ALICE, { cursor });
  assertEquals(deltas.length, 2);
});

test("a held pull ends with 410 as soon as the rules change for it, another one is held on", async () => {
  await using ruled = await openRuled(rulesForRed(["p1"]));
  const red: Who = { ...ALICE, red: "red" };
  const cursors = [await ruled.checkpoint(red), await ruled.checkpoint(BOB)];
  const held = pulled(ruled, red, cursors[0]!.cursor, "&wait=60");
  let ended = false;
  const other = pulled(ruled, BOB, cursors[1]!.cursor, "&wait=60").finally(() => ended = true);
  await put(ruled, rulesForRed(["p2"], 2));
  assertEquals(await held, "410 digest");
  assertEquals(ended, false);
  await ruled.push({ sub: "admin" }, [task("INSERT", "b", { owner: "bob" })]);
  assertEquals(await other, "200");
});

test("a stream of events and a WebSocket's stream end with 410, the connection stays", async () => {
  await using ruled = await openRuled(rulesBy(["p1"]));
  const { cursor } = await ruled.checkpoint(ALICE);
  const path = `sync/default/live?clientId=alice&cursor=${cursor}`;
  const events = await ruled.ask(ALICE, path);
  const socket = await openSocket(ruled, await tokenFor(ALICE));
  socket.send({ type: "pull", id: 7, clientId: "alice", cursor });
  assertEquals((await socket.next())?.type, "page");
  await put(ruled, rulesBy(["p2"], 2));
  const text = await events.text();
  assert(/event: error\ndata: .*"code":"CHECKPOINT_REQUIRED"/.test(text), text);
  const ended = await socket.next() as unknown as { id: number } & ErrorBody;
  assertEquals([ended.id, ended.error.code], [7, "CHECKPOINT_REQUIRED"]);
  assertEquals(socket.closedWith, undefined);
  socket.send({ type: "ping", id: 8 });
  assertEquals((await socket.next())?.type, "ping");
  socket.close();
});

test("two gateways on one store go by the same rules at once", async () => {
  const store = memoryLogStore();
  await using one = await openRuled(undefined, { store });
  await using two = await openRuled(undefined, { store });
  const { cursor } = await two.checkpoint(BOB);
  const held = pulled(two, BOB, cursor, "&wait=60");
  await put(one, { ...rulesBy([]), write: [] });
  assertEquals(await held, "410 digest");
  const { rejected } = await two.push(BOB, [task("INSERT", "a", { owner: "bob" }, { by: "bob" })]);
  assertEquals(rejected.map(({ code }) => code), ["FORBIDDEN_WRITE"]);
});

test("rules outlive the gateway, and those of its options replace them", async () => {
  const store = memoryLogStore();
  const first = await openRuled(rulesBy(["p1"]), { store });
  const again = await openRuled(undefined, { store });
  assertEquals(unwrapOrThrow(await again.gateway.rules()), rulesBy(["p1"]));
  const other = await openRuled(rulesBy(["p2"], 2), { store });
  assertEquals(unwrapOrThrow(await first.gateway.rules()), rulesBy(["p2"], 2));
  await other[Symbol.asyncDispose]();
});

test("damaged rules let nobody in, until good ones are put", async () => {
  const store = memoryLogStore();
  await using ruled = await openRuled(undefined, { store });
  unwrapOrThrow(await store.setValue("rules", "{"));
  const query = "clientId=alice";
  for (const path of [`pull?${query}`, `checkpoint?${query}`, `live?${query}`]) {
    assertEquals((await ruled.ask(ALICE, `sync/default/${path}`)).status, 500, path);
  }
  const body = JSON.stringify({
    clientId: "alice",
    deltas: [task("DELETE", "a", {}, { by: "alice" })],
  });
  const pushed = await ruled.ask(ALICE, "sync/default/push", { method: "POST", body });
  assertEquals(pushed.status, 500);
  await put(ruled, rulesBy([]));
  assertEquals((await ruled.pull(ALICE)).deltas, []);
});

test("streams end when their token runs out, and are told why", async () => {
  const clock = new ManualClock();
  await using ruled = await openRuled(undefined, { clock });
  const events = await ruled.ask(ALICE, "sync/default/live?clientId=alice");
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
  assert((await reader.read()).value?.startsWith("id: "));
  const socket = await openSocket(ruled, await tokenFor(ALICE, clock));
  socket.send({ type: "pull", clientId: "alice" });
  assertEquals((await socket.next())?.type, "page");
  const rest = readAll(reader);
  await clock.advance(3_599_000);
  assertEquals(socket.closedWith, undefined);
  await clock.advance(1_000);
  const told = await socket.next() as unknown as ErrorBody;
  assertEquals(told.error.code, "UNAUTHENTICATED");
  assertEquals([await socket.next(), socket.closedWith], [undefined, 1008]);
  const text = await rest;
  assert(/event: error\ndata: .*"code":"UNAUTHENTICATED"/.test(text), text);
});

async function readAll(reader: ReadableStreamDefaultReader<string>): Promise<string> {
  for (let text = "";;) {
    const { value, done } = await reader.read();
    if (done) return text;
    text += value;
  }
}
