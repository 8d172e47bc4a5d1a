import { LakeSyncError, type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import type { ErrorCode, Result } from "@lakesync/core";
import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { test } from "./test.ts";

/** Runs a test's body with a new, empty store and clears up after it. */
export type WithObjectStore = (body: (store: ObjectStore) => Promise<void>) => Promise<void>;

/**
 * Registers the tests that every {@linkcode ObjectStore} has to pass.
 *
 * @param name Names the store in the tests' titles.
 * @param withStore Gives each test a store of its own.
 * @param options Why this machine cannot run them, where it cannot.
 *
 * @example Hold a store to the contract
 * ```ts ignore
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { testObjectStore } from "@lakesync/testing";
 *
 * testObjectStore("memoryObjectStore()", (body) => body(memoryObjectStore()));
 * ```
 */
export function testObjectStore(
  name: string,
  withStore: WithObjectStore,
  options: { skip?: string | undefined } = {},
): void {
  const check = (behaviour: string, body: (store: ObjectStore) => Promise<void>): void =>
    test({ name: `${name} ${behaviour}`, skip: options.skip }, () => withStore(body));

  check("has a URL without a slash at its end as location", (store) => {
    assert(URL.canParse(store.location));
    assertFalse(store.location.endsWith("/"));
    return Promise.resolve();
  });

  check("gives back the bytes that were put, and facts about them", async (store) => {
    unwrapOrThrow(await store.put("a/b=1/c.bin", bytes(0, 1, 2, 255)));
    unwrapOrThrow(await store.put("empty", bytes()));
    assertEquals(unwrapOrThrow(await store.get("a/b=1/c.bin")), bytes(0, 1, 2, 255));
    assertEquals(unwrapOrThrow(await store.get("empty")), bytes());
    const info = unwrapOrThrow(await store.head("a/b=1/c.bin"));
    assertEquals(info?.key, "a/b=1/c.bin");
    assertEquals(info?.size, 4);
    assert(Number.isFinite(info?.modified));
  });

  check("keeps an object as it was when the caller changes the bytes later", async (store) => {
    const body = bytes(1, 2, 3);
    unwrapOrThrow(await store.put("k", body));
    body.fill(9);
    const got = unwrapOrThrow(await store.get("k"));
    assertEquals(got, bytes(1, 2, 3));
    got.fill(8);
    assertEquals(unwrapOrThrow(await store.get("k")), bytes(1, 2, 3));
  });

  check("replaces an object by a later put, also by a shorter one", async (store) => {
    unwrapOrThrow(await store.put("k", bytes(1, 2, 3)));
    unwrapOrThrow(await store.put("k", bytes(4)));
    assertEquals(unwrapOrThrow(await store.get("k")), bytes(4));
    assertEquals(unwrapOrThrow(await store.head("k"))?.size, 1);
  });

  check("answers NOT_FOUND for a key that is not there, and undefined to head", async (store) => {
    unwrapOrThrow(await store.put("folder/k", bytes(1)));
    assertCode(await store.get("nothing"), "NOT_FOUND");
    assertCode(await store.get("folder"), "NOT_FOUND");
    assertCode(await store.get("folder/k/deeper"), "NOT_FOUND");
    assertEquals(unwrapOrThrow(await store.head("nothing")), undefined);
    assertEquals(unwrapOrThrow(await store.head("folder")), undefined);
    assertEquals(unwrapOrThrow(await store.head("folder/k/deeper")), undefined);
  });

  check("reads ranges, up to the end where they go beyond it", async (store) => {
    unwrapOrThrow(await store.put("k", bytes(0, 1, 2, 3, 4)));
    const range = async (start?: number, end?: number) =>
      unwrapOrThrow(
        await store.get("k", {
          ...(start !== undefined && { start }),
          ...(end !== undefined && { end }),
        }),
      );
    assertEquals(await range(1, 3), bytes(1, 2));
    assertEquals(await range(3), bytes(3, 4));
    assertEquals(await range(undefined, 2), bytes(0, 1));
    assertEquals(await range(3, 100), bytes(3, 4));
    assertEquals(await range(5, 9), bytes());
    assertEquals(await range(100), bytes());
    assertEquals(await range(2, 2), bytes());
    assertEquals(await range(0, Infinity), bytes(0, 1, 2, 3, 4));
  });

  check("refuses a range that is none with a TypeError", async (store) => {
    unwrapOrThrow(await store.put("k", bytes(0)));
    await assertRejects(() => store.get("k", { start: -1 }), TypeError);
    await assertRejects(() => store.get("k", { start: 0.5 }), TypeError);
    await assertRejects(() => store.get("k", { start: 2, end: 1 }), TypeError);
  });

  check("puts where the key is absent, and answers CONFLICT where it is not", async (store) => {
    unwrapOrThrow(await store.put("k", bytes(1), { ifAbsent: true }));
    assertCode(await store.put("k", bytes(2), { ifAbsent: true }), "CONFLICT");
    assertEquals(unwrapOrThrow(await store.get("k")), bytes(1));
    unwrapOrThrow(await store.delete(["k"]));
    unwrapOrThrow(await store.put("k", bytes(3), { ifAbsent: true }));
    assertEquals(unwrapOrThrow(await store.get("k")), bytes(3));
  });

  check("lets exactly one of 32 concurrent puts-if-absent win", async (store) => {
    for (let round = 0; round < 8; round++) {
      const key = `race/${round}`;
      const puts = Array.from(
        { length: 32 },
        (_, i) => store.put(key, i % 2 === 0 ? bytes(i) : streamed([i]), { ifAbsent: true }),
      );
      const results = await Promise.all(puts);
      const won = results.flatMap((result, i) => result.ok ? [i] : []);
      assertEquals(won.length, 1);
      assertEquals(unwrapOrThrow(await store.get(key)), bytes(won[0]!));
      for (const result of results) if (!result.ok) assertEquals(result.error.code, "CONFLICT");
    }
    assertEquals((await keys(store)).length, 8);
  });

  check("shows readers the old object or the new one, never a part", async (store) => {
    const size = 100_000;
    unwrapOrThrow(await store.put("k", new Uint8Array(size).fill(0)));
    let done = false;
    const writer = (async () => {
      for (let i = 1; i <= 20; i++) {
        unwrapOrThrow(await store.put("k", chunked(new Uint8Array(size + i).fill(i), 10_000)));
      }
      done = true;
    })();
    let reads = 0;
    while (!done) {
      const got = unwrapOrThrow(await store.get("k"));
      const fill = got[0]!;
      assertEquals(got.length, size + fill);
      assert(got.every((byte) => byte === fill));
      reads++;
      await Promise.resolve();
    }
    await writer;
    assert(reads > 0);
  });

  check("streams a body of many chunks", async (store) => {
    const whole = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) & 0xff);
    unwrapOrThrow(await store.put("k", chunked(whole, 7_001)));
    assertEquals(unwrapOrThrow(await store.get("k")), whole);
    unwrapOrThrow(await store.put("none", streamed()));
    assertEquals(unwrapOrThrow(await store.get("none")), bytes());
  });

  check("takes chunks whose buffer the body uses again", async (store) => {
    async function* body(): AsyncGenerator<Uint8Array> {
      const chunk = new Uint8Array(2);
      for (let i = 0; i < 3; i++) {
        chunk.fill(i);
        yield chunk;
        await Promise.resolve();
      }
    }
    unwrapOrThrow(await store.put("k", body()));
    assertEquals(unwrapOrThrow(await store.get("k")), bytes(0, 0, 1, 1, 2, 2));
  });

  check("leaves nothing of a body that throws midway", async (store) => {
    async function* body(): AsyncGenerator<Uint8Array> {
      yield bytes(1);
      await Promise.resolve();
      throw new RangeError("the source broke");
    }
    const failed = await store.put("new", body());
    assertCode(failed, "STORAGE_ERROR");
    assert(!failed.ok && failed.error.cause instanceof RangeError);
    unwrapOrThrow(await store.put("old", bytes(7)));
    assertCode(await store.put("old", body()), "STORAGE_ERROR");
    assertEquals(unwrapOrThrow(await store.get("old")), bytes(7));
    assertEquals(await keys(store), ["old"]);
  });

  check("keeps the code of a LakeSyncError that a body throws", async (store) => {
    // deno-lint-ignore require-yield -- the body fails before its first chunk
    async function* body(): AsyncGenerator<Uint8Array> {
      await Promise.resolve();
      throw new LakeSyncError("CORRUPT", "Cannot read the source");
    }
    assertCode(await store.put("k", body()), "CORRUPT");
    assertEquals(await keys(store), []);
  });

  check("leaves nothing of a streaming put that is aborted midway", async (store) => {
    const controller = new AbortController();
    let returned = false;
    async function* body(): AsyncGenerator<Uint8Array> {
      try {
        yield bytes(1);
        await Promise.resolve();
        controller.abort();
        yield bytes(2);
      } finally {
        returned = true;
      }
    }
    assertCode(await store.put("k", body(), { signal: controller.signal }), "ABORTED");
    assert(returned, "the body is told to end");
    assertEquals(await keys(store), []);
  });

  check("ends an aborted put also while its body gives nothing", async (store) => {
    const controller = new AbortController();
    const body: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          queueMicrotask(() => controller.abort());
          return new Promise(() => {});
        },
      }),
    };
    assertCode(await store.put("k", body, { signal: controller.signal }), "ABORTED");
    assertEquals(await keys(store), []);
  });

  check("does nothing for a signal that is aborted already", async (store) => {
    const signal = AbortSignal.abort();
    unwrapOrThrow(await store.put("old", bytes(1)));
    assertCode(await store.put("k", bytes(1), { signal }), "ABORTED");
    assertCode(await store.get("old", { signal }), "ABORTED");
    assertCode(await store.list("", { signal }), "ABORTED");
    assertEquals(await keys(store), ["old"]);
  });

  check("lists by prefix in the order of UTF-8 bytes, whatever the folders", async (store) => {
    const sorted = [
      "a%20",
      "a-b/1",
      "a.b",
      "a/b-c",
      "a/b.c/d",
      "a/b/c",
      "a0",
      "aA",
      "a_",
      "aa",
      "b=1/x",
    ];
    for (const key of [...sorted].reverse()) unwrapOrThrow(await store.put(key, bytes(1)));
    assertEquals(await keys(store), sorted);
    assertEquals(await keys(store, "a/"), ["a/b-c", "a/b.c/d", "a/b/c"]);
    assertEquals(await keys(store, "a/b"), ["a/b-c", "a/b.c/d", "a/b/c"]);
    assertEquals(await keys(store, "a/b/"), ["a/b/c"]);
    assertEquals(await keys(store, "a0"), ["a0"]);
    assertEquals(await keys(store, "zzz/y"), []);
  });

  check("lists in pages, from any place, without leaving out or repeating one", async (store) => {
    const all = Array.from(
      { length: 25 },
      (_, i) => `t/${"abcde"[i % 5]}/${String(i).padStart(2, "0")}`,
    );
    for (const key of all) unwrapOrThrow(await store.put(key, bytes(1)));
    const sorted = [...all].sort();
    for (const limit of [1, 4, 5, 24, 25, 26]) {
      assertEquals(await keys(store, "t/", limit), sorted);
    }
    const page = unwrapOrThrow(await store.list("t/", { after: "t/b/11", limit: 2 }));
    assertEquals(page.objects.map(({ key }) => key), ["t/b/16", "t/b/21"]);
    assertEquals(page.next, "t/b/21");
    const whole = unwrapOrThrow(await store.list("t/", { limit: 25 }));
    assertEquals(whole.next, undefined);
    assertEquals(whole.objects.map(({ size }) => size), sorted.map(() => 1));
    // A place between keys, and one that no key stands at.
    const from = unwrapOrThrow(await store.list("t/", { after: "t/c0" }));
    assertEquals(from.objects.map(({ key }) => key), sorted.filter((key) => key > "t/c0"));
  });

  check("refuses a limit below 1 with a TypeError", async (store) => {
    await assertRejects(() => store.list("", { limit: 0 }), TypeError);
  });

  check("deletes many keys, also such as are not there", async (store) => {
    for (const key of ["a/1", "a/2", "a/3"]) unwrapOrThrow(await store.put(key, bytes(1)));
    unwrapOrThrow(await store.delete(["a/1", "a/9", "nothing/x", "a/3", "a/3", "a/2/below"]));
    assertEquals(await keys(store), ["a/2"]);
    unwrapOrThrow(await store.delete([]));
    assertEquals(await keys(store), ["a/2"]);
  });

  check("refuses an ill-formed key with a TypeError", async (store) => {
    const bad = ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a b", "a\\b", "ä", "a\0"];
    for (const key of bad) {
      await assertRejects(() => store.put(key, bytes(1)), TypeError);
      await assertRejects(() => store.get(key), TypeError);
      await assertRejects(() => store.head(key), TypeError);
      await assertRejects(() => store.delete([key]), TypeError);
    }
    for (const prefix of ["/a", "..", "a/../b", "a//b", "a b"]) {
      await assertRejects(() => store.list(prefix), TypeError);
    }
    assertEquals(await keys(store), []);
  });

  check("takes keys of every allowed character and names with dots", async (store) => {
    const odd = ["...", ".tmp", "a..b", "A-Z_a.z=0%9/x", "tmp", "-"];
    for (const key of odd) unwrapOrThrow(await store.put(key, bytes(1)));
    assertEquals(await keys(store), [...odd].sort());
  });
}

/** All keys with a prefix, read page by page. */
async function keys(store: ObjectStore, prefix: string = "", limit?: number): Promise<string[]> {
  const found: string[] = [];
  let after: string | undefined;
  do {
    const page = unwrapOrThrow(
      await store.list(prefix, {
        ...(after !== undefined && { after }),
        ...(limit !== undefined && { limit }),
      }),
    );
    found.push(...page.objects.map(({ key }) => key));
    after = page.next;
  } while (after !== undefined);
  return found;
}

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

async function* streamed(...chunks: number[][]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield Uint8Array.from(chunk);
  }
}

async function* chunked(whole: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < whole.length; i += size) {
    await Promise.resolve();
    yield whole.subarray(i, i + size);
  }
}

function assertCode(result: Result<unknown>, code: ErrorCode): void {
  assertEquals(result.ok ? "a success" : result.error.code, code);
}
