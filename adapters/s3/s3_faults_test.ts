import { unwrapOrThrow } from "@lakesync/core";
import { serveHandler, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { s3ObjectStore } from "./s3_object_store.ts";

/** Answers as S3 would, or undefined where the connection is to break. */
type Script = (request: Request, count: number) => Response | Promise<Response>;

const BODY = new Uint8Array([1, 2, 3]);

async function withScript(
  script: Script,
  body: (context: {
    store: ReturnType<typeof s3ObjectStore>;
    delays: number[];
    requests: () => number;
  }) => Promise<void>,
  late?: () => Promise<void> | undefined,
): Promise<void> {
  let count = 0;
  const delays: number[] = [];
  await using server = await serveHandler((request) => script(request, ++count));
  const store = s3ObjectStore({
    bucket: "lake",
    endpoint: server.url,
    credentials: { accessKeyId: "id", secretAccessKey: "secret" },
    attempts: 4,
    random: { bytes: (length) => new Uint8Array(length).fill(0xff), uuid: () => "put-1" },
    scheduler: {
      delay(ms, { signal } = {}) {
        // A signal ends the time of a request that was answered.
        if (signal !== undefined) return late?.() ?? new Promise(() => {});
        delays.push(Math.round(ms));
        return Promise.resolve();
      },
    },
  });
  await body({ store, delays, requests: () => count });
}

const failure = (status: number, code: string, headers = {}) =>
  new Response(`<Error><Code>${code}</Code><Message>m</Message></Error>`, { status, headers });

test("S3 failures that may pass are tried again, later each time, or when S3 says", async () => {
  const script: Script = (_, count) =>
    count === 1
      ? failure(503, "SlowDown")
      : count === 2
      ? failure(500, "InternalError")
      : count === 3
      ? failure(429, "TooManyRequests", { "retry-after": "7" })
      : new Response(BODY);
  await withScript(script, async ({ store, delays }) => {
    assertEquals(unwrapOrThrow(await store.get("k")), BODY);
    assertEquals(delays, [100, 200, 7_000]);
  });
});

test("an S3 that stays down is given up on, and the error says after how many tries", async () => {
  await withScript(() => failure(503, "SlowDown"), async ({ store, requests }) => {
    const got = await store.get("k");
    assert(!got.ok && got.error.code === "STORAGE_ERROR");
    assert(got.error.message.includes("tried 4 times: 503 SlowDown m"), got.error.message);
    assertEquals(requests(), 4);
  });
});

test("S3's refusals are not tried again", async () => {
  await withScript(() => failure(403, "AccessDenied"), async ({ store, requests }) => {
    assertEquals((await store.put("k", BODY)).ok, false);
    assertEquals((await store.head("k")).ok, false);
    assertEquals((await store.list("")).ok, false);
    assertEquals((await store.delete(["k"])).ok, false);
    assertEquals(requests(), 4);
  });
});

for (const owner of ["put-1", "put-2"]) {
  const won = owner === "put-1";
  const title = won ? "was it that won" : "lost to another";
  test(`an S3 put-if-absent whose answer was lost finds out that it ${title}`, async () => {
    const script: Script = (request, count) => {
      if (request.method === "HEAD") {
        return new Response(null, { headers: { "x-amz-meta-lakesync-put": owner } });
      }
      assertEquals(request.headers.get("x-amz-meta-lakesync-put"), "put-1");
      assertEquals(request.headers.get("if-none-match"), "*");
      // The put may have been carried out before the proxy gave up.
      return count === 1 ? failure(502, "BadGateway") : failure(412, "PreconditionFailed");
    };
    await withScript(script, async ({ store }) => {
      const put = await store.put("k", BODY, { ifAbsent: true });
      assertEquals(put.ok ? "won" : put.error.code, won ? "won" : "CONFLICT");
    });
  });
}

test("an S3 put-if-absent that is refused at once asks nobody whose the object is", async () => {
  await withScript(() => failure(412, "PreconditionFailed"), async ({ store, requests }) => {
    const put = await store.put("k", BODY, { ifAbsent: true });
    assertEquals(put.ok || put.error.code, "CONFLICT");
    assertEquals(requests(), 1);
  });
});

test("an S3 put that meets another one in the act is sent again", async () => {
  const script: Script = (_, count) =>
    count < 3 ? failure(409, "ConditionalRequestConflict") : failure(412, "PreconditionFailed");
  await withScript(script, async ({ store, requests }) => {
    const put = await store.put("k", BODY, { ifAbsent: true });
    assertEquals(put.ok || put.error.code, "CONFLICT");
    assertEquals(requests(), 3);
  });
});

test("an S3 upload in parts that fails midway is abandoned", async () => {
  const seen: string[] = [];
  const script: Script = (request) => {
    const { searchParams } = new URL(request.url);
    seen.push(`${request.method} ${[...searchParams.keys()].sort()}`);
    if (searchParams.has("uploads")) {
      return new Response(
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
      );
    }
    if (searchParams.get("partNumber") === "2") return failure(400, "BadDigest");
    return new Response(null, { headers: { etag: '"e"' } });
  };
  await withScript(script, async ({ store }) => {
    const put = await store.put("k", new Uint8Array(17 * 2 ** 20));
    assert(!put.ok && put.error.message.includes("part 2"), String(put));
    assertEquals(seen, [
      "POST uploads",
      "PUT partNumber,uploadId",
      "PUT partNumber,uploadId",
      "DELETE uploadId",
    ]);
  });
});

test("an S3 upload that fails after it was answered 200 is a failure", async () => {
  const script: Script = (request) => {
    const { searchParams } = new URL(request.url);
    if (searchParams.has("uploads")) {
      return new Response(
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
      );
    }
    if (searchParams.has("partNumber")) return new Response(null, { headers: { etag: '"e"' } });
    return failure(200, "InternalError");
  };
  await withScript(script, async ({ store }) => {
    const put = await store.put("k", new Uint8Array(9 * 2 ** 20));
    assert(!put.ok && put.error.message.includes("InternalError"), String(put));
  });
});

test("a bucket that does not know If-None-Match fails the S3 probe, with the next step", async () => {
  const script: Script = (request) =>
    request.method === "POST" ? new Response("<DeleteResult/>") : new Response(null);
  await withScript(script, async ({ store }) => {
    const probed = await store.probe();
    assert(!probed.ok && probed.error.message.includes("If-None-Match"), String(probed));
  });
});

test("an object that S3 could not remove is named", async () => {
  const script: Script = () =>
    new Response(
      "<DeleteResult><Error><Key>a/b</Key><Code>AccessDenied</Code></Error></DeleteResult>",
    );
  await withScript(script, async ({ store }) => {
    const removed = await store.delete(["a/b", "c"]);
    assert(!removed.ok && removed.error.message.includes('"a/b": AccessDenied'), String(removed));
  });
});

test("an S3 answer that is not XML is an error, not a crash", async () => {
  await withScript(() => new Response("<html>&lol;<"), async ({ store }) => {
    const listed = await store.list("");
    assertEquals(listed.ok || listed.error.code, "STORAGE_ERROR");
  });
});

test("an S3 that never gets over a conflict is given up on", async () => {
  const script: Script = () => failure(409, "ConditionalRequestConflict");
  await withScript(script, async ({ store, requests, delays }) => {
    const put = await store.put("k", BODY, { ifAbsent: true });
    assert(!put.ok && put.error.message.includes("ConditionalRequestConflict"), String(put));
    assertEquals([requests(), delays], [4, [100, 200, 400]]);
  });
});

test("an S3 request that is not answered in time is sent again", async () => {
  const held = Promise.withResolvers<Response>();
  const arrived = Promise.withResolvers<void>();
  let timers = 0;
  const script: Script = (_, count) => {
    if (count > 1) return new Response(BODY);
    arrived.resolve();
    return held.promise;
  };
  await withScript(
    script,
    async ({ store, requests }) => {
      assertEquals(unwrapOrThrow(await store.get("k")), BODY);
      assertEquals(requests(), 2);
      held.resolve(new Response(BODY));
    },
    () => ++timers === 1 ? arrived.promise : undefined,
  );
});

test("an S3 that says that it cannot do it is not asked again", async () => {
  await withScript(() => failure(501, "NotImplemented"), async ({ store, requests }) => {
    const probed = await store.probe();
    assert(!probed.ok && probed.error.message.includes("501 NotImplemented"), String(probed));
    // The put, and the removal of what it may have left.
    assertEquals(requests(), 2);
  });
});
