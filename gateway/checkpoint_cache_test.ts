import { type ObjectStore, ok, type Result } from "@lakesync/core";
import {
  faultyObjectStore,
  ManualClock,
  memoryObjectStore,
  Prng,
  type StoreFault,
  test,
} from "@lakesync/testing";
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type CheckpointBytes,
  CheckpointCache,
  type CheckpointCacheOptions,
} from "./checkpoint_cache.ts";

const MIB = 2 ** 20;

/** A cache, what it keeps, and how many checkpoints were made for it. */
class Fixture {
  readonly clock: ManualClock = new ManualClock();
  readonly objects: ObjectStore = memoryObjectStore({ clock: this.clock });
  readonly logged: string[] = [];
  readonly cache: CheckpointCache;
  fault: StoreFault | undefined;
  made = 0;

  constructor(options: Partial<CheckpointCacheOptions> = {}, seed = 1) {
    const store = faultyObjectStore(
      this.objects,
      ({ name }) => name === "put" ? this.fault : undefined,
    );
    this.cache = new CheckpointCache({ store, ...options }, {
      prefix: "checkpoints/default",
      random: new Prng(seed),
      scheduler: this.clock,
      logger: { log: (_, event) => void this.logged.push(event) },
    });
  }

  async open(
    key: string,
    atLeast: number,
    source: { seq: number; bytes: AsyncIterable<Uint8Array> } = { seq: atLeast, bytes: some(10) },
  ): Promise<{ seq: number; bytes: AsyncGenerator<Uint8Array<ArrayBuffer>> }> {
    const make = (): Promise<Result<CheckpointBytes<AsyncIterable<Uint8Array>>>> => {
      this.made++;
      return Promise.resolve(ok({ ...source, tag: `tag${source.seq}` }));
    };
    const opened = await this.cache.open(key, { atLeast, make });
    assert(opened.ok);
    assertEquals(opened.value.tag, `tag${opened.value.seq}`);
    return opened.value;
  }

  async keys(): Promise<number> {
    const page = await this.objects.list("");
    return page.ok ? page.value.objects.length : -1;
  }
}

/** So many bytes, the n-th is n modulo 251. */
async function* some(size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size; at += 50_000) {
    yield new Uint8Array(Math.min(50_000, size - at)).map((_, i) => (at + i) % 251);
  }
}

async function read(bytes: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const part of bytes) {
    const at = size;
    assert(part.every((byte, i) => byte === (at + i) % 251));
    size += part.length;
  }
  return size;
}

test("a checkpoint is made once for all who come while it is new enough", async () => {
  const f = new Fixture();
  for (const size of [0, 10, 3 * MIB]) {
    const key = `key${size}`;
    const made = f.made;
    const opened = await Promise.all(
      Array.from({ length: 20 }, () => f.open(key, 7, { seq: 7, bytes: some(size) })),
    );
    for (const { seq, bytes } of opened) assertEquals([seq, await read(bytes)], [7, size]);
    assertEquals([(await f.open(key, 5)).seq, f.made - made], [7, 1]);
  }
  const newer = await f.open("key10", 8, { seq: 9, bytes: some(20) });
  assertEquals([newer.seq, await read(newer.bytes)], [9, 20]);
});

test("who comes while it is being made follows it, and a slow reader holds up nobody", async () => {
  const f = new Fixture();
  const gate = Promise.withResolvers<void>();
  async function* halting(): AsyncGenerator<Uint8Array> {
    yield* some(MIB);
    await gate.promise;
  }
  const slow = await f.open("key", 1, { seq: 1, bytes: halting() });
  const first = await slow.bytes.next();
  assertEquals(first.done, false);
  const follower = read((await f.open("key", 1)).bytes);
  gate.resolve();
  assertEquals(await follower, MIB);
  assertEquals((first.value as Uint8Array).length + await readOn(slow.bytes), MIB);
});

async function readOn(bytes: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const part of bytes) size += part.length;
  return size;
}

test("what is replaced or too much goes, but not before its readers have", async () => {
  const f = new Fixture({ maxBytes: 2 * MIB });
  const old = await f.open("a", 1, { seq: 1, bytes: some(MIB) });
  assertEquals(await read((await f.open("a", 2, { seq: 2, bytes: some(MIB) })).bytes), MIB);
  const both = await f.keys();
  assertEquals(await read(old.bytes), MIB);
  const one = await f.keys();
  assert(one > 0 && one === both / 2, `${one} of ${both}`);
  // b is the third megabyte: a, which was asked for last, stays.
  await read((await f.open("b", 1, { seq: 1, bytes: some(MIB) })).bytes);
  await read((await f.open("a", 1)).bytes);
  await read((await f.open("c", 1, { seq: 1, bytes: some(MIB) })).bytes);
  const made = f.made;
  assertEquals([(await f.open("a", 1)).seq, f.made], [2, made]);
  await f.open("b", 1);
  assertEquals(f.made, made + 1);
});

test("there are never more checkpoints than it may keep", async () => {
  const f = new Fixture({ maxCheckpoints: 2 });
  for (const key of ["a", "b", "c"]) await read((await f.open(key, 1)).bytes);
  await read((await f.open("c", 1)).bytes);
  assertEquals(f.made, 3);
  await read((await f.open("a", 1)).bytes);
  assertEquals(f.made, 4);
});

test("a reader that returns early, or never begins, holds nothing", async () => {
  const f = new Fixture();
  const begun = await f.open("a", 1, { seq: 1, bytes: some(MIB) });
  await begun.bytes.next();
  const never = await f.open("a", 1);
  await f.cache.close();
  assert(await f.keys() > 0);
  await begun.bytes.return(undefined);
  assert(await f.keys() > 0);
  await never.bytes.return(undefined);
  assertEquals(await f.keys(), 0);
});

test("one that cannot be kept breaks off, is told, and is made past the cache for a minute", async () => {
  const f = new Fixture();
  f.fault = "fail";
  const opened = await f.open("a", 1, { seq: 1, bytes: some(MIB) });
  await assertRejects(() => read(opened.bytes));
  assertEquals([f.logged, f.cache.resting], [["checkpoint.not-kept"], true]);
  f.fault = undefined;
  await f.clock.advance(60_000);
  assertEquals(f.cache.resting, false);
  assertEquals(await read((await f.open("a", 1, { seq: 1, bytes: some(MIB) })).bytes), MIB);
});

test("one whose rows cannot be read breaks off with their error", async () => {
  const f = new Fixture();
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* some(MIB);
    throw new Error("page 7 is damaged");
  }
  const opened = await f.open("a", 1, { seq: 1, bytes: broken() });
  await assertRejects(() => read(opened.bytes), Error, "page 7");
});

test("what an earlier process left behind is removed, and other gateways' is not", async () => {
  const f = new Fixture();
  for (
    const key of ["checkpoints/default/x/0", "checkpoints/default/y/7", "checkpoints/defaults/0"]
  ) {
    await f.objects.put(key, new Uint8Array(1));
  }
  await read((await f.open("a", 1)).bytes);
  assertEquals(await f.keys(), 1);
});

test("a checkpoint of which a part is gone fails who reads it, and is made anew for who comes then", async () => {
  const f = new Fixture();
  assertEquals(await read((await f.open("key", 1, { seq: 1, bytes: some(MIB) })).bytes), MIB);
  const page = await f.objects.list("");
  assert(page.ok);
  await f.objects.delete([page.value.objects[1]!.key]);
  await assertRejects(async () => await read((await f.open("key", 1)).bytes));
  const again = await f.open("key", 1, { seq: 1, bytes: some(MIB) });
  assertEquals([await read(again.bytes), f.made], [MIB, 2]);
});

test("a checkpoint that nobody reads any more and nobody will be given is made no further", async () => {
  const f = new Fixture({ maxCheckpoints: 1 });
  let made = 0;
  const ended = Promise.withResolvers<void>();
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (; made < 100; made++) yield* some(MIB);
    } finally {
      ended.resolve();
    }
  }
  const left = await f.open("left", 1, { seq: 1, bytes: endless() });
  await left.bytes.next();
  await left.bytes.return(undefined);
  assertEquals(await read((await f.open("key", 1)).bytes), 10);
  await ended.promise;
  assert(made < 100, "it was not made to its end");
  await f.cache.close();
  assertEquals([await f.keys(), f.logged], [0, []]);
});
