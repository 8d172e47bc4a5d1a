// Several gateways in one process: what happens to one of them is nothing to the others.
import {
  type AppendOutcome,
  err,
  LakeSyncError,
  type LogStore,
  type PageItem,
  type PullAnswer,
  type PushAnswer,
  type Result,
} from "@lakesync/core";
import { insertTodo, ManualClock, memoryObjectStore, serveHandler, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { createHandler, type HandlerOptions } from "./http.ts";
import { memoryRateLimiter } from "./rate_limit.ts";
import { memoryLogStore } from "./store_memory.ts";
import { FakeDestination } from "./testdata/fake_destination.ts";
import { deleteTodo, openGateway, storeWith, updateTodo } from "./testdata/fixture.ts";
import { errorOf, pushBody, until } from "./testdata/http_fixture.ts";
import type { Gateway } from "./gateway.ts";

/** Gateways named `a` and `b` behind one handler. */
class Two implements AsyncDisposable {
  readonly clock: ManualClock = new ManualClock();
  readonly lakes: { a: FakeDestination; b: FakeDestination } = {
    a: new FakeDestination("lake"),
    b: new FakeDestination("lake"),
  };
  readonly #gateways = new Map<string, Gateway>();
  #url = "";
  #end = (): Promise<void> => Promise.resolve();

  static async open(
    handling: Partial<HandlerOptions> = {},
    storeOfA: (store: LogStore) => LogStore = (store) => store,
  ): Promise<Two> {
    const two = new Two();
    // Both keep their checkpoints in one place.
    const checkpointCache = { store: memoryObjectStore({ clock: two.clock }) };
    for (const id of ["a", "b"] as const) {
      const store = memoryLogStore({ clock: two.clock });
      two.#gateways.set(
        id,
        await openGateway({
          id,
          store: id === "a" ? storeOfA(store) : store,
          destinations: [two.lakes[id]],
          checkpointCache,
          limits: { retentionMs: 1000 },
        }),
      );
    }
    const handler = createHandler({ gateways: [...two.#gateways.values()], ...handling });
    const server = await serveHandler((request) => handler.fetch(request));
    two.#url = server.url;
    two.#end = async () => {
      await handler.drain();
      await server[Symbol.asyncDispose]();
      for (const gateway of two.#gateways.values()) await gateway.close();
    };
    return two;
  }

  gateway(id: "a" | "b"): Gateway {
    return this.#gateways.get(id)!;
  }

  ask(id: "a" | "b", path: string, init?: RequestInit): Promise<Response> {
    const [route, query] = path.split("?");
    const scope = route === "flush" || route === "stats" ? "admin" : "sync";
    return fetch(`${this.#url}/v1/${scope}/${id}/${route}?${query ?? "clientId=bob"}`, init);
  }

  push(id: "a" | "b", deltas: readonly unknown[]): Promise<Response> {
    return this.ask(id, "push", { method: "POST", body: pushBody(deltas) });
  }

  async pull(id: "a" | "b", cursor = ""): Promise<PullAnswer> {
    const response = await this.ask(id, `pull?clientId=bob&cursor=${cursor}`);
    assertEquals(response.status, 200);
    return await response.json() as PullAnswer;
  }

  async checkpoint(id: "a" | "b"): Promise<string[]> {
    const text = await (await this.ask(id, "checkpoint")).text();
    return text.trimEnd().split("\n").slice(1, -1).map((line) => JSON.parse(line).rowId);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#end();
  }
}

const titles = (items: readonly PageItem[]) =>
  items.flatMap((item) => "columns" in item && Array.isArray(item.columns) ? item.columns : [])
    .filter(({ column }) => column === "title").map(({ value }) => value);

test("the same rows, clients and deltas on two gateways are two things", async () => {
  await using two = await Two.open();
  const same = [insertTodo("row", 1)];
  for (const id of ["a", "b"] as const) {
    const { accepted, duplicates, seq } = await (await two.push(id, same)).json() as PushAnswer;
    assertEquals(
      [accepted, duplicates, seq],
      [1, 0, 1],
      "a delta of one is no duplicate in the other",
    );
  }
  await two.push("a", [updateTodo("row", 2, { title: "of a" })]);
  await two.push("b", [updateTodo("row", 3, { title: "of b" }), insertTodo("more", 4)]);
  assertEquals(titles((await two.pull("a")).deltas).at(-1), "of a");
  assertEquals(titles((await two.pull("b")).deltas).includes("of a"), false);
  assertEquals([await two.checkpoint("a"), (await two.checkpoint("b")).sort()], [["row"], [
    "more",
    "row",
  ]]);
  await two.push("a", [deleteTodo("row", 5)]);
  assertEquals([await two.checkpoint("a"), (await two.checkpoint("b")).length], [[], 2]);
});

test("a cursor of one gateway is none of another's", async () => {
  await using two = await Two.open();
  for (const id of ["a", "b"] as const) await two.push(id, [insertTodo("row", 1)]);
  const { cursor } = await two.pull("a");
  const { details } = await errorOf(await two.ask("b", `pull?clientId=bob&cursor=${cursor}`), {
    status: 410,
    code: "CHECKPOINT_REQUIRED",
  });
  assertEquals(details, { reason: "epoch" });
});

test("a push to one wakes those that wait there and no others", async () => {
  await using two = await Two.open();
  for (const id of ["a", "b"] as const) await two.push(id, [insertTodo("row", 1)]);
  const stop = new AbortController();
  let woken = false;
  const { cursor } = await two.pull("a");
  const other = two.ask("b", `pull?clientId=bob&wait=60&cursor=${(await two.pull("b")).cursor}`, {
    signal: stop.signal,
  }).then(() => woken = true, () => {});
  const held = two.ask("a", `pull?clientId=bob&wait=60&cursor=${cursor}`);
  await two.push("a", [insertTodo("new", 2)]);
  assertEquals((await (await held).json() as PullAnswer).deltas.length, 1);
  assertEquals(woken, false);
  stop.abort();
  await other;
});

test("flush, trim and stats are each gateway's own, and so is a failing lake", async () => {
  await using two = await Two.open();
  for (const id of ["a", "b"] as const) await two.push(id, [insertTodo("row", 1)]);
  await two.clock.advance(1001);
  two.lakes.a.faults.push("fail-before");
  assertEquals((await two.ask("a", "flush", { method: "POST" })).status, 500);
  assertEquals((await two.ask("b", "flush", { method: "POST" })).status, 200);
  const stats = async (id: "a" | "b") => {
    const { flushedSeq, trimmedSeq } = await (await two.ask(id, "stats")).json() as {
      flushedSeq: number;
      trimmedSeq: number;
    };
    return [flushedSeq, trimmedSeq];
  };
  assertEquals([await stats("a"), await stats("b")], [[0, 0], [1, 1]]);
  assertEquals([two.lakes.a.seqs("todos"), two.lakes.b.seqs("todos")], [[], [1]]);
});

test("a store that fails takes no other gateway with it", async () => {
  const broken = err(new LakeSyncError("STORAGE_ERROR", "The disk is gone"));
  let fails = false;
  await using two = await Two.open({}, (store) =>
    storeWith(store, {
      append: (request): Promise<Result<AppendOutcome>> =>
        fails ? Promise.resolve(broken) : store.append(request),
      head: () => fails ? Promise.resolve(broken) : store.head(),
    }));
  fails = true;
  assertEquals((await two.push("a", [insertTodo("row", 1)])).status, 500);
  assertEquals((await two.ask("a", "pull")).status, 500);
  assertEquals((await two.push("b", [insertTodo("row", 1)])).status, 200);
  assertEquals((await two.pull("b")).deltas.length, 1);
  await two.gateway("a").close();
  assertEquals((await two.push("b", [insertTodo("row2", 2)])).status, 200);
});

test("a gateway whose store hangs fills its part of what is in hand, and no more", async () => {
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  let hangs = false;
  await using two = await Two.open(
    { limits: { bodiesBytes: 1_000_000 } },
    (store) =>
      storeWith(store, {
        async append(request): Promise<Result<AppendOutcome>> {
          waiting++;
          if (hangs) await gate.promise;
          return await store.append(request);
        },
      }),
  );
  hangs = true;
  const [before, fill] = [waiting, "x".repeat(50_000)];
  const body = JSON.stringify({ clientId: "alice:phone", deltas: [], fill });
  const post = (id: "a" | "b") => two.ask(id, "push", { method: "POST", body });
  const answers: Promise<number>[] = [];
  let refused = 0;
  for (let i = 0; i < 20; i++) {
    answers.push(post("a").then(({ status }) => (status === 503 && refused++, status)));
    await until(() => waiting - before + refused === i + 1);
  }
  assertEquals(refused, 11, "half of a million bytes are nine such pushes");
  for (let i = 0; i < 5; i++) assertEquals((await post("b")).status, 200);
  gate.resolve();
  assertEquals((await Promise.all(answers)).filter((status) => status === 200).length, 9);
});

test("a client that has used up its turns on one gateway has those of another", async () => {
  const rateLimiter = memoryRateLimiter({
    perClient: { perSecond: 1, burst: 2 },
    perGateway: { perSecond: 1, burst: 3 },
    clock: { now: () => 0 },
  });
  await using two = await Two.open({ rateLimiter });
  const statuses = async (id: "a" | "b", clients: readonly string[]) => {
    const seen: number[] = [];
    for (const client of clients) seen.push((await two.ask(id, `pull?clientId=${client}`)).status);
    return seen;
  };
  assertEquals(await statuses("a", ["x", "x", "x", "y", "z"]), [200, 200, 429, 200, 429]);
  assertEquals(await statuses("b", ["x", "x", "z"]), [200, 200, 200]);
});

test("a gateway that ends its streams leaves the others' open", async () => {
  await using two = await Two.open();
  for (const id of ["a", "b"] as const) await two.push(id, [insertTodo("row", 1)]);
  const { cursor } = await two.pull("b");
  const held = two.ask("b", `pull?clientId=bob&wait=60&cursor=${cursor}`);
  two.gateway("a").endStreams();
  const text = await two.ask("a", "checkpoint").then((response) => response.text()).catch(() => "");
  assert(!text.includes('"end"'), "it is broken off");
  await two.push("b", [insertTodo("new", 2)]);
  assertEquals((await (await held).json() as PullAnswer).deltas.length, 1);
  assertEquals((await two.checkpoint("b")).length, 2);
});
