import {
  type CheckpointEnd,
  type CheckpointHeader,
  type CheckpointRow,
  decodeRow,
  type Delta,
  type Destination,
  emptyRow,
  encodeRow,
  type FlushOutcome,
  isDelta,
  isVisible,
  mergeDelta,
  ok,
  type PageItem,
  type PullAnswer,
  type PushAnswer,
  type RowState,
  type Rules,
  type TableSchema,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import { makeDelta, ManualClock, test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { createGateway, type Gateway } from "./gateway.ts";
import { createHandler } from "./http.ts";
import { pageToAnswer } from "./page_form.ts";
import { createRouter } from "./router.ts";
import type { GatewayService } from "./service.ts";
import { memoryLogStore } from "./store_memory.ts";
import { ANYONE, storeWith } from "./testdata/fixture.ts";

const TABLES: readonly TableSchema[] = ["a", "b", "__proto__"].map((table, i) => ({
  table,
  version: i + 1,
  columns: [{ name: "x", type: "string", nullable: true }],
}));

interface Routed extends AsyncDisposable {
  readonly router: GatewayService;
  readonly gateways: { readonly [id: string]: Gateway };
  readonly clock: ManualClock;
}

async function openRouted(): Promise<Routed> {
  const clock = new ManualClock(1_000);
  const gateways: { [id: string]: Gateway } = {};
  for (const id of ["A", "B", "rest"]) {
    const store = memoryLogStore({ clock });
    gateways[id] = unwrapOrThrow(
      await createGateway({ id, store, scheduler: clock, destinations: [countingDestination()] }),
    );
  }
  const router = createRouter({
    id: "default",
    shards: [
      { tables: ["a"], gateway: gateways.A! },
      { tables: ["b"], gateway: gateways.B! },
    ],
    default: gateways.rest!,
  });
  unwrapOrThrow(await router.putSchema({ tables: TABLES }));
  return { router, gateways, clock, [Symbol.asyncDispose]: () => router.close() };
}

/** Takes everything, and says so. */
function countingDestination(): Destination {
  const marks = new Map<string, Watermark>();
  return {
    name: "counting",
    watermarks: () => Promise.resolve(ok(marks)),
    async write(batch) {
      const outcomes = new Map<string, FlushOutcome>();
      for await (const chunk of batch.entries) {
        for (const { delta: { table } } of chunk) {
          const before = outcomes.get(table);
          const deltas = (before?.status === "committed" ? before.deltas : 0) + 1;
          outcomes.set(table, { status: "committed", deltas, objects: 1, bytes: 0 });
          marks.set(table, batch.to);
        }
      }
      return ok(outcomes);
    },
  };
}

function delta(
  table: string,
  hlc: number,
  options: { op?: Delta["op"]; rowId?: string; x?: string; txId?: string } = {},
): Delta {
  const { op = "INSERT", rowId = "r", x = "v", txId } = options;
  return makeDelta({
    op,
    table,
    rowId,
    clientId: "ann:phone",
    hlc: String(hlc),
    columns: op === "DELETE" ? [] : [{ column: "x", value: x }],
    ...(txId !== undefined && { txId }),
  });
}

async function push(router: GatewayService, deltas: readonly unknown[]): Promise<PushAnswer> {
  return unwrapOrThrow(await router.push({ clientId: "ann:phone", deltas }, ANYONE));
}

type Query = { readonly [name: string]: string };

async function pull(router: GatewayService, query: Query = {}): Promise<PullAnswer> {
  const params = new URLSearchParams({ clientId: "bob", ...query });
  return pageToAnswer(unwrapOrThrow(await router.pull(params, { caller: ANYONE })));
}

async function pullAll(router: GatewayService, query: Query = {}): Promise<PageItem[]> {
  const items: PageItem[] = [];
  for (let cursor = "";;) {
    const page = await pull(router, { ...query, cursor });
    items.push(...page.deltas);
    ({ cursor } = page);
    if (!page.hasMore) return items;
  }
}

async function checkpoint(router: GatewayService, query: Query = {}): Promise<{
  header: CheckpointHeader["checkpoint"];
  rows: CheckpointRow[];
  tag: string;
}> {
  const params = new URLSearchParams({ clientId: "bob", ...query });
  const { lines, tag } = unwrapOrThrow(await router.checkpoint(params, { caller: ANYONE }));
  const parsed = (await Array.fromAsync(lines)).join("").trimEnd().split("\n")
    .map((line) => JSON.parse(line) as unknown);
  const { checkpoint } = parsed.shift() as CheckpointHeader;
  const { end } = parsed.pop() as CheckpointEnd;
  assertEquals(end.rows, parsed.length);
  return { header: checkpoint, rows: parsed as CheckpointRow[], tag };
}

const keyOf = ({ table, rowId }: { table: string; rowId: string }) => `${table}\0${rowId}`;

test("a push is dealt out by table, and its answer has one number for each shard", async () => {
  await using routed = await openRouted();
  const { router, gateways } = routed;
  const deltas = [delta("a", 1), delta("__proto__", 2), delta("a", 3, { rowId: "s" })];
  const answer = await push(router, deltas);
  assertEquals([answer.accepted, answer.seq], [3, { A: 2, B: 0, rest: 1 }]);
  assertEquals(unwrapOrThrow(await gateways.A!.store.head()).seq, 2);
  const again = await push(router, deltas);
  assertEquals([again.accepted, again.duplicates, again.seq], [0, 3, answer.seq]);
});

test("a transaction over two shards is rejected whole, the others of its push are not", async () => {
  await using routed = await openRouted();
  const answer = await push(routed.router, [
    delta("a", 1, { txId: "t1" }),
    delta("a", 2, { txId: "t2" }),
    delta("b", 3, { txId: "t2" }),
    delta("b", 4, { txId: "t3" }),
    delta("b", 5, { rowId: "s", txId: "t3" }),
  ]);
  assertEquals(answer.accepted, 3);
  assertEquals(answer.rejected.map(({ index, code }) => [index, code]), [
    [1, "TX_REJECTED"],
    [2, "TX_REJECTED"],
  ]);
  assertEquals((await pullAll(routed.router)).length, 3);
});

test("a shard's rejections keep their places in the push", async () => {
  await using routed = await openRouted();
  const bad = { ...delta("b", 2), deltaId: "0".repeat(64) };
  const answer = await push(routed.router, [delta("a", 1), bad, { op: "INSERT" }, delta("b", 4)]);
  assertEquals(answer.accepted, 2);
  assertEquals(answer.rejected.map(({ index, code }) => [index, code]), [
    [1, "BAD_DELTA_ID"],
    [2, "SCHEMA_ERROR"],
  ]);
});

test("what follows a delta that is too far ahead does not overtake it in another shard", async () => {
  await using routed = await openRouted();
  const { router, clock } = routed;
  const ahead = (clock.now() + 6_000) * 65_536;
  const before = delta("b", 1);
  await push(router, [before]);
  const deltas = [delta("a", 2), delta("a", ahead, { rowId: "s" }), delta("b", 3), before];
  const answer = await push(router, deltas);
  assertEquals([answer.accepted, answer.duplicates], [1, 1]);
  assertEquals(answer.rejected.map(({ index, code }) => [index, code]), [
    [1, "CLOCK_DRIFT"],
    [2, "CLOCK_DRIFT"],
  ]);
});

test("a push that one shard refuses as a whole appends to none", async () => {
  await using routed = await openRouted();
  const { router, gateways } = routed;
  const foreign = { ...delta("b", 2), clientId: "eve" };
  const caller = { sub: "ann", role: "client", claims: { sub: "ann" }, expiresAt: 1e12 } as const;
  const refused = await router.push(
    { clientId: "ann:phone", deltas: [delta("a", 1), foreign] },
    caller,
  );
  assertEquals(refused.ok || refused.error.code, "FORBIDDEN");
  assertEquals(unwrapOrThrow(await gateways.A!.store.head()).seq, 0);
  const newer = await router.push({ clientId: "ann:phone", deltas: [], schemaVersion: 4 }, ANYONE);
  assertEquals(newer.ok || newer.error.code, "CONFLICT");
  unwrapOrThrow(
    await router.push({ clientId: "ann:phone", deltas: [delta("a", 1)], schemaVersion: 3 }, ANYONE),
  );
});

test("pulls merge the shards page by page, each item once, whatever the limit", async () => {
  await using routed = await openRouted();
  const deltas = Array.from(
    { length: 30 },
    (_, i) => delta(["a", "b", "__proto__"][i % 3]!, i + 1, { rowId: String(i) }),
  );
  await push(routed.router, deltas);
  for (const limit of ["1", "2", "7", "1000"]) {
    const items = await pullAll(routed.router, { limit });
    const ids = items.filter(isDelta).map(({ deltaId }) => deltaId);
    assertEquals(ids.toSorted(), deltas.map(({ deltaId }) => deltaId).toSorted());
  }
  const some = await pullAll(routed.router, { tables: "b" });
  assertEquals(some.length, 10);
  const page = await pull(routed.router, { limit: "4" });
  assertEquals([page.deltas.length, page.hasMore], [4, true]);
});

test("no shard holds up another: each page begins with the next one", async () => {
  await using routed = await openRouted();
  const { router } = routed;
  await push(router, Array.from({ length: 50 }, (_, i) => delta("a", i + 1, { rowId: `${i}` })));
  await push(router, [delta("__proto__", 99)]);
  let cursor = "";
  const seen: string[] = [];
  for (let i = 0; i < 3; i++) {
    const page = await pull(router, { cursor, limit: "5" });
    ({ cursor } = page);
    seen.push(...page.deltas.flatMap((item) => "table" in item ? [item.table] : []));
  }
  assert(seen.includes("__proto__"), "after three pages of five the other shard had its turn");
});

test("a page of several shards is measured in bytes of UTF-8", async () => {
  await using routed = await openRouted();
  const { router } = routed;
  const x = "€".repeat(90_000);
  await push(router, [delta("a", 1, { x }), delta("b", 2, { x })]);
  const query = new URLSearchParams({ clientId: "bob" });
  const pages = unwrapOrThrow(await router.follow(query, { caller: ANYONE }));
  const page = unwrapOrThrow(await pages.next());
  assertEquals([page.items.length, page.hasMore], [1, true]);
});

test("a held pull is answered when any shard grows", async () => {
  await using routed = await openRouted();
  const { router } = routed;
  const { cursor } = await pull(router);
  const held = pull(router, { cursor, wait: "30" });
  await push(router, [delta("b", 1)]);
  assertEquals((await held).deltas.length, 1);
});

test("a held pull over several shards is answered empty at its time", async () => {
  await using routed = await openRouted();
  const { router, clock } = routed;
  const { cursor } = await pull(router);
  const held = pull(router, { cursor, wait: "30" });
  await clock.advance(30_000);
  const page = await held;
  assertEquals([page.deltas, page.hasMore, page.seq], [[], false, { A: 0, B: 0, rest: 0 }]);
});

test("a cursor of other shards, and one that a shard cannot serve, get 410", async () => {
  await using routed = await openRouted();
  await using other = await openRouted();
  const codeOf = async (cursor: string, query: Query = {}) => {
    const params = new URLSearchParams({ clientId: "bob", cursor, ...query });
    const pulled = await routed.router.pull(params, { caller: ANYONE });
    return pulled.ok ? "served" : pulled.error.code;
  };
  await push(routed.router, [delta("a", 1)]);
  await push(other.router, [delta("a", 1)]);
  const { cursor } = await pull(routed.router);
  assertEquals(await codeOf(cursor), "served");
  assertEquals(await codeOf(cursor, { tables: "a" }), "CHECKPOINT_REQUIRED");
  assertEquals(await codeOf((await pull(other.router)).cursor), "CHECKPOINT_REQUIRED");
  for (const bad of ["x", "r1.", cursor.slice(0, -1), `${cursor}~x`, cursor.split("~")[0]!]) {
    assertEquals(await codeOf(bad), "CHECKPOINT_REQUIRED", bad);
  }
});

test("a checkpoint is all shards' rows under one cursor, from which pulls go on", async () => {
  await using routed = await openRouted();
  const { router } = routed;
  await push(router, [delta("a", 1), delta("b", 2), delta("__proto__", 3)]);
  const { header, rows } = await checkpoint(router);
  assertEquals(header.seq, { A: 1, B: 1, rest: 1 });
  assertEquals(header.tables, ["a", "b", "__proto__"]);
  assertEquals(rows.map(({ table }) => table), ["a", "b", "__proto__"]);
  await push(router, [delta("b", 4, { rowId: "later" })]);
  const page = await pull(router, { cursor: header.cursor });
  assertEquals(page.deltas.length, 1);
  const some = await checkpoint(router, { tables: "b" });
  assertEquals(some.rows.length, 2);
  assertEquals(some.header.seq, { A: 1, B: 2, rest: 1 });
});

test("a checkpoint's tag stays while no shard has changed", async () => {
  await using routed = await openRouted();
  const { router } = routed;
  await push(router, [delta("a", 1)]);
  const { tag } = await checkpoint(router);
  const query = new URLSearchParams({ clientId: "bob" });
  const has = async () => unwrapOrThrow(await router.hasCheckpoint(query, { caller: ANYONE, tag }));
  assertEquals(await has(), true);
  await push(router, [delta("b", 2)]);
  assertEquals(await has(), false);
});

test("the schema is put to the shards that have its tables, or to none", async () => {
  await using routed = await openRouted();
  const { router, gateways } = routed;
  assertEquals(gateways.A!.tables.map(({ table }) => table), ["a"]);
  assertEquals(gateways.rest!.tables.map(({ table }) => table), ["__proto__"]);
  const grown = TABLES.map((table) => ({
    ...table,
    columns: [...table.columns, { name: "y", type: "string", nullable: true }],
  }));
  const narrowed = [grown[0]!, { ...grown[1]!, columns: [] }, grown[2]!];
  const refused = await router.putSchema({ tables: narrowed });
  assertEquals(refused.ok || refused.error.code, "CONFLICT");
  assertEquals(unwrapOrThrow(await router.schema()), TABLES);
  unwrapOrThrow(await router.putSchema({ tables: grown }));
  assertEquals(unwrapOrThrow(await router.schema()).map(({ columns }) => columns.length), [
    2,
    2,
    2,
  ]);
});

test("rules hold in every shard, and a table in no bucket is seen in none", async () => {
  await using routed = await openRouted();
  const { router } = routed;
  await push(router, [
    delta("a", 1, { x: "mine" }),
    delta("a", 2, { rowId: "s", x: "other" }),
    delta("b", 3, { x: "mine" }),
    delta("__proto__", 4, { x: "mine" }),
  ]);
  const rules: Rules = {
    version: 1,
    buckets: [{
      name: "mine",
      tables: ["a", "b"],
      filters: [{ column: "x", op: "eq", value: "mine" }],
    }],
  };
  unwrapOrThrow(await router.putRules(rules));
  assertEquals(unwrapOrThrow(await router.rules()), rules);
  const { rows } = await checkpoint(router);
  assertEquals(rows.map(({ table, rowId }) => [table, rowId]), [["a", "r"], ["b", "r"]]);
  const join = {
    column: "x",
    op: "in",
    table: "b",
    select: "x",
    where: [{ column: "id", op: "eq", value: "jwt:sub" }],
  };
  const across = await router.putRules({
    version: 2,
    buckets: [{ name: "joined", tables: ["a"], filters: [join] }],
  });
  assert(!across.ok);
  assertEquals(across.error.details, { path: "buckets[0].filters[0].table" });
});

test("a shard that fails fails the push, and what others took is a duplicate the next time", async () => {
  const broken = { value: true };
  const store = memoryLogStore();
  const gateway = async (id: string, own = memoryLogStore()) =>
    unwrapOrThrow(await createGateway({ id, store: own }));
  const failing = storeWith(store, {
    append: (request) =>
      broken.value && request.deltas.length > 0
        ? Promise.reject(new Error("disk"))
        : store.append(request),
  });
  const router = createRouter({
    id: "default",
    shards: [{ tables: ["a"], gateway: await gateway("A") }],
    default: await gateway("rest", failing),
  });
  unwrapOrThrow(await router.putSchema({ tables: TABLES }));
  const handler = createHandler({ gateways: [router] });
  const send = () =>
    handler.fetch(
      new Request("http://gateway/v1/sync/default/push", {
        method: "POST",
        body: JSON.stringify({ clientId: "ann:phone", deltas: [delta("a", 1), delta("b", 2)] }),
      }),
    );
  assertEquals((await send()).status, 500);
  broken.value = false;
  const answer = await (await send()).json() as PushAnswer;
  assertEquals([answer.accepted, answer.duplicates, answer.seq], [1, 1, { A: 1, rest: 1 }]);
  await router.close();
});

test("flush and stats go to all shards", async () => {
  await using routed = await openRouted();
  const { router } = routed;
  await push(router, [delta("a", 1), delta("b", 2)]);
  const stats = unwrapOrThrow(await router.stats());
  assertEquals(stats.head, { A: 1, B: 1, rest: 0 });
  assertEquals(stats.lag, 2);
  assertEquals(
    stats.tables,
    Object.fromEntries([["a", { rows: 1 }], ["b", { rows: 1 }], ["__proto__", { rows: 0 }]]),
  );
  const flushed = unwrapOrThrow(await router.flush());
  assertEquals(flushed, { flushedSeq: { A: 1, B: 1, rest: 0 }, deltas: 2, objects: 2 });
  assertEquals(unwrapOrThrow(await router.stats()).lag, 0);
});

test("a table in two shards, or two shards of one name, are a programmer's error", async () => {
  await using routed = await openRouted();
  const { A, B, rest } = routed.gateways as { A: Gateway; B: Gateway; rest: Gateway };
  const shards = (...tables: string[][]) =>
    tables.map((tables, i) => ({ tables, gateway: [A, B][i]! }));
  assertThrows(
    () => createRouter({ id: "x", shards: shards(["a"], ["a"]), default: rest }),
    TypeError,
    "one has it",
  );
  assertThrows(
    () => createRouter({ id: "x", shards: shards(["a"]), default: A }),
    TypeError,
    "same id",
  );
});

test("clients of a router that follow by pages hold what merging all accepted deltas gives", async () => {
  const change = fc.record({
    table: fc.constantFrom("a", "b", "__proto__"),
    op: fc.constantFrom<Delta["op"]>("INSERT", "INSERT", "UPDATE", "DELETE"),
    rowId: fc.constantFrom("r", "s"),
    hlc: fc.integer({ min: 1, max: 50 }),
    x: fc.constantFrom("1", "2", "3"),
  });
  const history = fc.array(
    fc.record({
      txs: fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
      limit: fc.integer({ min: 1, max: 5 }),
      restart: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
    { maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      await using routed = await openRouted();
      const { router } = routed;
      const oracle = new Map<string, RowState>();
      let held = new Map<string, RowState>();
      let cursor = "";
      let txs = 0;
      for (const { txs: changes, limit, restart } of steps) {
        const deltas = changes.flatMap((tx) => {
          const txId = `t${txs++}`;
          return tx.map(({ table, hlc, ...rest }) => delta(table, hlc, { ...rest, txId }));
        });
        const { rejected } = await push(router, deltas);
        const refused = new Set(rejected.map(({ index }) => index));
        for (const [i, accepted] of deltas.entries()) {
          if (refused.has(i)) continue;
          const state = oracle.get(keyOf(accepted)) ?? emptyRow();
          mergeDelta(state, accepted);
          oracle.set(keyOf(accepted), state);
        }
        if (restart) {
          const { header, rows } = await checkpoint(router);
          ({ cursor } = header);
          held = new Map(rows.map((row) => [keyOf(row), decodeRow(row)]));
          continue;
        }
        const page = await pull(router, { cursor, limit: String(limit) });
        ({ cursor } = page);
        apply(held, page.deltas);
      }
      for (;;) {
        const page = await pull(router, { cursor });
        ({ cursor } = page);
        apply(held, page.deltas);
        if (!page.hasMore) break;
      }
      assertEquals(rowsOf(held), rowsOf(oracle));
      const { rows } = await checkpoint(router);
      assertEquals(
        rowsOf(new Map(rows.map((row) => [keyOf(row), decodeRow(row)]))),
        rowsOf(oracle),
      );
    }),
    { seed: 42, numRuns: 60 },
  );
});

function apply(held: Map<string, RowState>, items: readonly PageItem[]): void {
  for (const item of items) {
    if (isDelta(item)) {
      const state = held.get(keyOf(item)) ?? emptyRow();
      mergeDelta(state, item);
      held.set(keyOf(item), state);
    } else if (item.op === "ENTER") {
      held.set(keyOf(item), decodeRow(item));
    } else if (item.op !== "OWN") {
      held.delete(keyOf(item));
    }
  }
}

function rowsOf(states: ReadonlyMap<string, RowState>): unknown[] {
  return [...states].filter(([, state]) => isVisible(state))
    .map(([key, state]) => {
      const [table, rowId] = key.split("\0") as [string, string];
      return encodeRow({ table, rowId, state });
    })
    .sort((a, b) => keyOf(a) < keyOf(b) ? -1 : 1);
}
