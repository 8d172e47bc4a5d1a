import { unwrapOrThrow } from "@lakesync/core";
import { findMinio, startMinio, test, testObjectStore } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { s3ObjectStore } from "./s3_object_store.ts";

const { program, skip } = findMinio();
const server = skip === undefined ? await startMinio(program) : undefined;
await server?.makeBucket("lake");
let stores = 0;

function newStore(options: { secretAccessKey?: string; bucket?: string } = {}) {
  const { endpoint, credentials } = server!;
  const { secretAccessKey = credentials.secretAccessKey, bucket = "lake" } = options;
  return s3ObjectStore({
    bucket,
    prefix: `test%20/${++stores}`,
    endpoint,
    credentials: { ...credentials, secretAccessKey },
    attempts: 3,
  });
}

testObjectStore("s3ObjectStore() on MinIO", (body) => body(newStore()), { skip });

test({
  name: "an S3 body larger than a part is put in parts and read back, whole and by range",
  skip,
}, async () => {
  const store = newStore();
  const size = 17 * 2 ** 20 + 3;
  async function* body(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < size; at += 999_983) {
      await Promise.resolve();
      yield Uint8Array.from({ length: Math.min(999_983, size - at) }, (_, i) => (at + i) % 251);
    }
  }
  unwrapOrThrow(await store.put("large", body(), { ifAbsent: true }));
  assertEquals(unwrapOrThrow(await store.head("large"))?.size, size);
  const whole = unwrapOrThrow(await store.get("large"));
  assert(whole.length === size && whole.every((byte, i) => byte === i % 251));
  const tail = unwrapOrThrow(await store.get("large", { start: size - 5 }));
  assertEquals(tail, whole.subarray(-5));
  const again = await store.put("large", body(), { ifAbsent: true });
  assertEquals(again.ok || again.error.code, "CONFLICT");
});

test({ name: "of two S3 uploads in parts to one absent key one wins", skip }, async () => {
  const store = newStore();
  const body = (fill: number) => new Uint8Array(9 * 2 ** 20).fill(fill);
  const results = await Promise.all(
    [1, 2, 3].map((fill) => store.put("k", body(fill), { ifAbsent: true })),
  );
  const won = results.flatMap(({ ok }, i) => ok ? [i + 1] : []);
  assertEquals(won.length, 1);
  for (const result of results) if (!result.ok) assertEquals(result.error.code, "CONFLICT");
  assertEquals(unwrapOrThrow(await store.get("k", { end: 1 }))[0], won[0]);
});

test({
  name: "an S3 listing of 2,345 keys is whole, in order and in pages of any size",
  skip,
  timeoutMs: 120_000,
}, async () => {
  const store = newStore();
  const keys = Array.from({ length: 2_345 }, (_, i) => `k/${String(i).padStart(4, "0")}`);
  for (let i = 0; i < keys.length; i += 50) {
    await Promise.all(
      keys.slice(i, i + 50).map((key) => store.put(key, new Uint8Array(1))),
    );
  }
  const whole = unwrapOrThrow(await store.list("k/", { limit: 5_000 }));
  assertEquals(whole.objects.map(({ key }) => key), keys);
  assertEquals(whole.next, undefined);
  const first = unwrapOrThrow(await store.list("k/", { limit: 2_344 }));
  assertEquals([first.objects.length, first.next], [2_344, keys[2_343]]);
  unwrapOrThrow(await store.delete(keys));
  assertEquals(unwrapOrThrow(await store.list("")).objects, []);
});

test({
  name: "a bucket that knows If-None-Match passes the probe, which leaves nothing behind",
  skip,
}, async () => {
  const store = newStore();
  unwrapOrThrow(await store.probe());
  assertEquals(unwrapOrThrow(await store.list("")).objects, []);
});

test(
  { name: "a wrong secret and a missing bucket fail with the reason, and at once", skip },
  async () => {
    const wrong = await newStore({ secretAccessKey: "wrong-secret" }).put("k", new Uint8Array(1));
    assert(!wrong.ok);
    assertEquals(wrong.error.code, "STORAGE_ERROR");
    assert(/403 SignatureDoesNotMatch.*check the credentials/s.test(wrong.error.message));
    const nowhere = await newStore({ bucket: "no-such-bucket" }).put("k", new Uint8Array(1));
    assert(!nowhere.ok && nowhere.error.message.includes("NoSuchBucket"), String(nowhere));
  },
);

test("s3ObjectStore() refuses a bucket, an endpoint or parts that cannot be", () => {
  const credentials = { accessKeyId: "a", secretAccessKey: "b" };
  assertThrows(() => s3ObjectStore({ bucket: "A B", credentials }), TypeError);
  assertThrows(
    () => s3ObjectStore({ bucket: "lake", credentials, endpoint: "nowhere" }),
    TypeError,
  );
  assertThrows(() => s3ObjectStore({ bucket: "lake", credentials, prefix: "../x" }), TypeError);
  assertThrows(() => s3ObjectStore({ bucket: "lake", credentials, partBytes: 1024 }), TypeError);
});
