import { assertEquals, assertMatch } from "@std/assert";
import { type LogStore, type Result, unwrapOrThrow } from "@lakesync/core";
import { appendRequest, insertTodo, Prng, test } from "@lakesync/testing";
import { formatCursor, resolveCursor } from "./cursor.ts";
import { memoryLogStore } from "./store_memory.ts";
import { openGateway, pull, push } from "./testdata/fixture.ts";

const DIGEST = "0123456789abcdef".repeat(2);

async function storeOf(count: number, seed = 1): Promise<LogStore> {
  const store = memoryLogStore({ random: new Prng(seed) });
  const deltas = Array.from({ length: count }, (_, i) => insertTodo(`r${i}`, i + seed));
  unwrapOrThrow(await store.append(appendRequest(deltas)));
  return store;
}

async function cursorOf(store: LogStore, seq: number, digest = DIGEST): Promise<string> {
  const hash = unwrapOrThrow(await store.hashAt(seq))!;
  return formatCursor({ epoch: store.epoch, position: { seq, hash }, digest });
}

function reasonOf(result: Result<unknown>): unknown {
  return result.ok ? "served" : [result.error.code, result.error.details?.reason];
}

async function resolve(text: string, store: LogStore): Promise<unknown> {
  return reasonOf(await resolveCursor(text, { store, digest: DIGEST }));
}

test("formatCursor() makes a text that a URL takes as it is, also for the longest parts", () => {
  const position = { seq: Number.MAX_SAFE_INTEGER, hash: (2 ** 53 - 1).toString(36) };
  const epoch = "00000000-0000-4000-8000-000000000000";
  const text = formatCursor({ epoch, position, digest: DIGEST });
  assertEquals(encodeURIComponent(text), text);
});

test("resolveCursor() serves every position of the log and the very beginning", async () => {
  const store = await storeOf(3);
  for (const seq of [0, 1, 2, 3]) {
    const resolved = await resolveCursor(await cursorOf(store, seq), { store, digest: DIGEST });
    assertEquals(unwrapOrThrow(resolved).seq, seq);
  }
  const start = await resolveCursor("", { store, digest: DIGEST });
  assertEquals(unwrapOrThrow(start), { seq: 0, hash: "0" });
});

test("resolveCursor() names each reason why a cursor cannot be served", async () => {
  const store = await storeOf(4);
  const good = await cursorOf(store, 4);
  const longer = await storeOf(6);
  const history = await storeOf(4, 9);
  const required = (reason: string) => ["CHECKPOINT_REQUIRED", reason];

  const other = (await cursorOf(history, 3)).replace(history.epoch, store.epoch);
  const ahead = (await cursorOf(longer, 5)).replace(longer.epoch, store.epoch);
  assertEquals(await resolve(await cursorOf(history, 4), store), required("epoch"));
  assertEquals(await resolve(ahead, store), required("ahead"));
  assertEquals(await resolve(other, store), required("hash"));
  const foreignDigest = await cursorOf(store, 4, "f".repeat(32));
  assertEquals(await resolve(foreignDigest, store), required("digest"));

  unwrapOrThrow(await store.trim({ through: 2 }));
  const early = await storeOf(4);
  const trimmed = (await cursorOf(early, 1)).replace(early.epoch, store.epoch);
  assertEquals(await resolve(trimmed, store), required("trimmed"));
  assertEquals(await resolve("", store), required("trimmed"));
  const edge = (await cursorOf(early, 2)).replace(early.epoch, store.epoch);
  assertEquals(await resolve(edge, store), "served");
  assertEquals(await resolve(good, store), "served");
});

test("resolveCursor() takes no text for its own that is not of its form", async () => {
  const store = await storeOf(2);
  const good = await cursorOf(store, 2);
  const texts = [
    "x",
    "0",
    " ",
    `${good} `,
    `\n${good}`,
    good.toUpperCase(),
    good.slice(0, -1),
    `2${good.slice(1)}`,
    good.replace(".2.", ".02."),
    good.replace(".2.", ".-2."),
    good.replace(".2.", ".2e0."),
    good.replace(".2.", `.${"9".repeat(17)}.`),
    "1.".repeat(10_000),
    "\u0000",
  ];
  for (const text of texts) {
    assertEquals(await resolve(text, store), ["CHECKPOINT_REQUIRED", "foreign"], text.slice(0, 80));
  }
  const huge = good.replace(".2.", ".9999999999999999.");
  assertEquals(await resolve(huge, store), ["CHECKPOINT_REQUIRED", "ahead"]);
});

test("a cursor is good only for the tables and the schema version that it was asked with", async () => {
  const gateway = await openGateway();
  await push(gateway, [insertTodo("a", 1)]);
  const plain = { clientId: "bob" };
  const ways: { readonly [name: string]: string }[] = [
    plain,
    { ...plain, tables: "todos" },
    { ...plain, tables: "todos,__proto__" },
    { ...plain, schemaVersion: "1" },
    { ...plain, schemaVersion: "0" },
  ];
  for (const asked of ways) {
    const { cursor } = await pull(gateway, asked);
    assertMatch(cursor, /^[A-Za-z0-9._~-]+$/);
    for (const again of ways) {
      const query = new URLSearchParams({ ...again, cursor });
      const expected = again === asked ? "served" : ["CHECKPOINT_REQUIRED", "digest"];
      const answer = await gateway.pull(query, { caller: { sub: undefined } });
      assertEquals(reasonOf(answer), expected);
    }
  }
});

test("a cursor is good for another order of tables, another limit, own=ids and another device", async () => {
  const gateway = await openGateway();
  await push(gateway, [insertTodo("a", 1)]);
  const { cursor } = await pull(gateway, { tables: "todos,__proto__" });
  await pull(gateway, { cursor, tables: "__proto__,todos,todos", limit: "5" });
  await pull(gateway, { cursor, tables: "todos,__proto__", own: "ids", clientId: "bob:phone" });
});

test("a cursor's digest is too long to look for another view that has the same", async () => {
  // Shared pages and kept checkpoints are found by it. 64 bits would take a list of a million
  // callers some hours of hashing.
  const { cursor } = await pull(await openGateway());
  assertMatch(cursor, /\.[0-9a-f]{32}$/);
});
