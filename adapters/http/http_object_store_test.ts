import { type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import { memoryObjectStore, serveHandler, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { httpObjectStore, type HttpObjectStoreOptions } from "./mod.ts";

/** A store behind a web server, which knows ranges or not. */
async function withServer(
  use: (served: { objects: ObjectStore; store: ObjectStore; asked: string[] }) => Promise<void>,
  options: { ranges?: boolean } & Pick<HttpObjectStoreOptions, "headers"> = {},
): Promise<void> {
  const { ranges = true, ...rest } = options;
  const objects = memoryObjectStore();
  const asked: string[] = [];
  await using server = await serveHandler(async (request) => {
    const { pathname } = new URL(request.url);
    const range = request.headers.get("range");
    asked.push([request.method, pathname, range, request.headers.get("authorization")].join(" "));
    const all = await objects.get(decodeURIComponent(pathname).slice("/lake/".length));
    if (!all.ok) return new Response("none", { status: 404 });
    const bytes = new Uint8Array(all.value);
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
    if (!ranges || from === undefined) return new Response(bytes);
    const start = Number(from);
    if (start >= bytes.length) return new Response("beyond", { status: 416 });
    const end = to === "" ? bytes.length : Number(to) + 1;
    return new Response(bytes.slice(start, end), { status: 206 });
  });
  await use({ objects, store: httpObjectStore({ url: `${server.url}/lake/`, ...rest }), asked });
}

const BYTES = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]);

test("objects and ranges of them are read over HTTP", async () => {
  for (const ranges of [true, false]) {
    await withServer(async ({ objects, store }) => {
      unwrapOrThrow(await objects.put("a/b=1/c%20d.bin", BYTES));
      const get = async (options?: { start?: number; end?: number }) =>
        unwrapOrThrow(await store.get("a/b=1/c%20d.bin", options));
      assertEquals(await get(), BYTES);
      assertEquals(await get({ start: 3 }), BYTES.slice(3));
      assertEquals(await get({ start: 3, end: 5 }), BYTES.slice(3, 5));
      assertEquals(await get({ end: 99 }), BYTES);
      assertEquals(await get({ start: 3, end: 3 }), new Uint8Array());
      assertEquals(await get({ start: 99 }), new Uint8Array());
      const info = unwrapOrThrow(await store.head("a/b=1/c%20d.bin"));
      assertEquals(info?.size, BYTES.length);
    }, { ranges });
  }
});

test("a range asks for its bytes only, with the headers of the moment", async () => {
  let token = 0;
  await withServer(async ({ objects, store, asked }) => {
    unwrapOrThrow(await objects.put("k", BYTES));
    unwrapOrThrow(await store.get("k", { start: 2, end: 4 }));
    unwrapOrThrow(await store.get("k"));
    assertEquals(asked, ["GET /lake/k bytes=2-3 Bearer 1", "GET /lake/k  Bearer 2"]);
  }, { headers: () => ({ authorization: `Bearer ${++token}` }) });
});

test("what is not there is NOT_FOUND, a server that is not reached OFFLINE, a write STORAGE_ERROR", async () => {
  await withServer(async ({ store }) => {
    const missing = await store.get("none");
    assertEquals(missing.ok ? undefined : missing.error.code, "NOT_FOUND");
    assertEquals(unwrapOrThrow(await store.head("none")), undefined);
    for (
      const answer of [await store.put("k", BYTES), await store.list(""), await store.delete(["k"])]
    ) {
      assertEquals(answer.ok ? undefined : answer.error.code, "STORAGE_ERROR");
    }
    const stopped = await store.get("k", { signal: AbortSignal.abort() });
    assertEquals(stopped.ok ? undefined : stopped.error.code, "ABORTED");
  });
  const nowhere = httpObjectStore({
    url: "https://lake.invalid",
    fetch: () => Promise.reject(new TypeError("no network")),
  });
  const offline = await nowhere.get("k");
  assert(!offline.ok);
  assertEquals(offline.error.code, "OFFLINE");
});
