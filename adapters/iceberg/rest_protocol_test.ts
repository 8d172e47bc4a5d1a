import { type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import { ManualClock, memoryObjectStore, Prng, serveHandler, test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { icebergDestination } from "./destination.ts";
import { type Json64, parseJson64, stringifyJson64 } from "./json64.ts";
import { newSchemaPlan } from "./lake_schema.ts";
import { metadataBytes, type TableMetadata } from "./metadata.ts";
import type { AwsKeys } from "./rest_auth.ts";
import { restCatalogue, type RestCatalogueOptions } from "./rest_catalogue.ts";
import { emptyMetadata } from "./snapshot.ts";
import { entries, flush, TODOS } from "./testdata/lake_rows.ts";
import { noWaiting } from "./testdata/rest_lake.ts";

const TABLE = "todos_changes";
const LOCATION = "s3://bucket/lake/todos_changes";
const empty: TableMetadata = {
  ...emptyMetadata(newSchemaPlan(TODOS), { uuid: "0b7e1b7e-0000-4000-8000-000000000000", now: 1 }),
  location: LOCATION,
};
const loaded = (more: { readonly [name: string]: Json64 } = {}) => ({
  "metadata-location": `${LOCATION}/metadata/0.metadata.json`,
  metadata: parseJson64(new TextDecoder().decode(metadataBytes(empty))),
  ...more,
});
const answer = (body: Json64, init?: ResponseInit) => new Response(stringifyJson64(body), init);
const CONFIG = { defaults: {}, overrides: {} };

interface Asked {
  /** Method, path and query. */
  readonly line: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A catalogue that answers as the script says; undefined is 404. */
async function withScript(
  script: (asked: Asked, count: number) => Response | undefined,
  options: Partial<RestCatalogueOptions>,
  body: (
    catalogue: ReturnType<typeof restCatalogue>,
    asked: readonly Asked[],
  ) => Promise<void>,
): Promise<void> {
  const seen: Asked[] = [];
  await using server = await serveHandler(async (request) => {
    const { pathname, search } = new URL(request.url);
    const asked = {
      line: `${request.method} ${pathname}${search}`,
      headers: request.headers,
      body: await request.text(),
    };
    seen.push(asked);
    return script(asked, seen.length) ??
      answer({ error: { message: "no", type: "NoSuchTableException", code: 404 } }, {
        status: 404,
      });
  });
  const catalogue = restCatalogue({
    url: `${server.url}/`,
    namespace: ["lake"],
    openStore: () => memoryObjectStore(),
    scheduler: noWaiting(),
    random: new Prng(1),
    ...options,
  });
  await body(catalogue, seen);
}

test("a REST catalogue's prefix, warehouse and namespace levels are where they belong", async () => {
  await withScript(
    ({ line }) =>
      line.startsWith("GET /v1/config")
        ? answer({ defaults: { prefix: "a" }, overrides: { prefix: "b%7Cc" } })
        : answer(loaded()),
    { namespace: ["über", "x.y"], warehouse: "my house", properties: { prefix: "mine" } },
    async (catalogue, asked) => {
      unwrapOrThrow(await catalogue.load(TABLE));
      unwrapOrThrow(await catalogue.load(TABLE));
      assertEquals(asked.map(({ line }) => line), [
        "GET /v1/config?warehouse=my+house",
        `GET /v1/b%7Cc/namespaces/%C3%BCber%1Fx.y/tables/${TABLE}`,
        `GET /v1/b%7Cc/namespaces/%C3%BCber%1Fx.y/tables/${TABLE}`,
      ]);
    },
  );
});

test("a REST catalogue's configuration that failed is asked for again", async () => {
  await withScript(
    ({ line }, count) =>
      count === 1
        ? answer({}, { status: 403 })
        : line.includes("config")
        ? answer(CONFIG)
        : undefined,
    {},
    async (catalogue) => {
      const first = await catalogue.load(TABLE);
      assert(!first.ok && first.error.message.includes("403"), String(first));
      assertEquals(unwrapOrThrow(await catalogue.load(TABLE)), undefined);
    },
  );
});

test("a REST catalogue's namespace is made with its upper levels when the first table is", async () => {
  let made = 0;
  await withScript(
    ({ line }) => {
      if (line.includes("config")) return answer(CONFIG);
      if (line === "POST /v1/namespaces") return answer({}, { status: ++made === 1 ? 409 : 200 });
      return line.startsWith("POST") && made === 2 ? answer(loaded()) : undefined;
    },
    { namespace: ["a", "b"] },
    async (catalogue, asked) => {
      unwrapOrThrow(await catalogue.create(TABLE, empty));
      const bodies = asked.filter(({ line }) => line === "POST /v1/namespaces");
      assertEquals(bodies.map(({ body }) => JSON.parse(body).namespace), [["a"], ["a", "b"]]);
      const { name, properties, schema } = JSON.parse(asked.at(-1)!.body);
      assertEquals([name, properties["format-version"]], [TABLE, "2"]);
      assertEquals(schema.fields.length, 11);
    },
  );
});

test("a REST catalogue's listing is read page after page", async () => {
  const page = (names: string[], next?: string) =>
    answer({
      identifiers: names.map((name) => ({ namespace: ["lake"], name })),
      ...(next !== undefined && { "next-page-token": next }),
    });
  await withScript(
    ({ line }) =>
      line.includes("config")
        ? answer(CONFIG)
        : line.endsWith("pageToken=2%2F3")
        ? page(["a"])
        : page(["c", "b"], "2/3"),
    {},
    async (catalogue) => {
      assertEquals(unwrapOrThrow(await catalogue.list()), ["a", "b", "c"]);
    },
  );
});

test("a table that has not changed is not sent again: its tag is asked with", async () => {
  await withScript(
    ({ line, headers }) => {
      if (line.includes("config")) return answer(CONFIG);
      return headers.get("if-none-match") === '"t1"'
        ? new Response(null, { status: 304 })
        : answer(loaded(), { headers: { etag: '"t1"' } });
    },
    {},
    async (catalogue, asked) => {
      const first = unwrapOrThrow(await catalogue.load(TABLE));
      assertEquals(unwrapOrThrow(await catalogue.load(TABLE)), first);
      assertEquals(asked.length, 3);
    },
  );
});

test("an idempotency key is a UUID of version 7, and the same on each retry of one commit", async () => {
  const keys: (string | null)[] = [];
  await withScript(
    ({ line, headers }) => {
      if (line.includes("config")) {
        return answer({ ...CONFIG, "idempotency-key-lifetime": "PT30M" });
      }
      if (line.startsWith("GET")) return answer(loaded());
      keys.push(headers.get("idempotency-key"));
      return answer({}, { status: keys.length % 3 === 0 ? 400 : 503 });
    },
    { clock: new ManualClock(0x0123_4567_89ab) },
    async (catalogue) => {
      const destination = icebergDestination({ catalogue });
      for (let i = 0; i < 2; i++) await flush(destination, entries(1, 2));
      assertEquals(keys.length, 6);
      assertEquals(new Set(keys).size, 2);
      assertEquals(keys[0], keys[2]);
      const form = /^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
      for (const key of keys) assert(form.test(key!), String(key));
    },
  );
});

test("a catalogue that knows no idempotency keys is sent none", async () => {
  await withScript(
    ({ line, headers }) => {
      assertEquals(headers.get("idempotency-key"), null);
      if (line.includes("config")) return answer(CONFIG);
      return line.startsWith("GET") ? answer(loaded()) : answer({}, { status: 400 });
    },
    {},
    async (catalogue) => {
      const outcome = await flush(icebergDestination({ catalogue }), entries(1, 2));
      assertEquals(outcome.get("todos")?.status, "failed");
    },
  );
});

test("new columns are committed only on the schema that they were planned on", async () => {
  await withScript(
    ({ line }) =>
      line.includes("config")
        ? answer(CONFIG)
        : line.startsWith("GET")
        ? answer(loaded())
        : answer({}, { status: 400 }),
    {},
    async (catalogue, asked) => {
      const late = { name: "late", type: "string", nullable: true } as const;
      const grown = { ...TODOS, version: 2, columns: [...TODOS.columns, late] };
      await flush(icebergDestination({ catalogue }), entries(1, 2), { schemas: [grown] });
      const { requirements, updates } = JSON.parse(asked.at(-1)!.body);
      assertEquals(requirements, [
        { type: "assert-table-uuid", uuid: empty["table-uuid"] },
        { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": null },
        { type: "assert-current-schema-id", "current-schema-id": 0 },
        { type: "assert-last-assigned-field-id", "last-assigned-field-id": 11 },
      ]);
      assertEquals(updates.map(({ action }: { action: string }) => action), [
        "add-schema",
        "set-current-schema",
        "set-properties",
        "add-snapshot",
        "set-snapshot-ref",
      ]);
    },
  );
});

test("a bearer token goes with every request, and is asked for again where it is refused", async () => {
  let token = "old";
  await withScript(
    ({ headers, line }) => {
      if (headers.get("authorization") !== "Bearer new") {
        token = "new";
        return answer({}, { status: 401 });
      }
      return answer(line.includes("config") ? CONFIG : loaded());
    },
    { auth: { kind: "bearer", token: () => token } },
    async (catalogue, asked) => {
      unwrapOrThrow(await catalogue.load(TABLE));
      assertEquals(asked.length, 3);
    },
  );
});

test("OAuth2 client credentials are turned into a token, which is renewed in time and when refused", async () => {
  const clock = new ManualClock(0);
  let tokens = 0;
  let revoked = 0;
  await withScript(
    ({ line, headers, body }) => {
      if (line === "POST /v1/oauth/tokens") {
        const form = new URLSearchParams(body);
        assertEquals([form.get("grant_type"), form.get("client_id"), form.get("client_secret")], [
          "client_credentials",
          "me",
          "s&cret",
        ]);
        assertEquals(form.get("scope"), "catalog");
        return answer({ access_token: `t${++tokens}`, token_type: "bearer", expires_in: 100 });
      }
      if (headers.get("authorization") === `Bearer t${revoked}`) return answer({}, { status: 401 });
      assertEquals(headers.get("authorization"), `Bearer t${tokens}`);
      return answer(line.includes("config") ? CONFIG : loaded());
    },
    { auth: { kind: "oauth2", clientId: "me", clientSecret: "s&cret" }, clock },
    async (catalogue) => {
      await Promise.all([1, 2, 3].map(() => catalogue.load(TABLE).then(unwrapOrThrow)));
      assertEquals(tokens, 1);
      await clock.advance(81_000);
      unwrapOrThrow(await catalogue.load(TABLE));
      assertEquals(tokens, 2);
      revoked = 2;
      unwrapOrThrow(await catalogue.load(TABLE));
      assertEquals(tokens, 3);
    },
  );
});

test("a client that the token endpoint refuses is told what to check, and its secret is not", async () => {
  await withScript(
    () => answer({ error: "invalid_client", hint: "s&cret" }, { status: 401 }),
    { auth: { kind: "oauth2", clientId: "me", clientSecret: "s&cret" } },
    async (catalogue) => {
      const got = await catalogue.load(TABLE);
      assert(!got.ok && got.error.message.includes("check the client's id"), String(got));
      assert(!got.error.message.includes("s&cret"));
    },
  );
});

test("requests to S3 Tables and Glue are signed by AWS Signature 4", async () => {
  await withScript(
    ({ line, headers }) => {
      const { authorization = "" } = Object.fromEntries(headers);
      assert(
        /^AWS4-HMAC-SHA256 Credential=id\/19700101\/eu-west-1\/s3tables\/aws4_request, SignedHeaders=[^,]*x-amz-date[^,]*, Signature=[0-9a-f]{64}$/
          .test(authorization),
        authorization,
      );
      assertEquals(headers.get("x-amz-security-token"), "session");
      return answer(line.includes("config") ? CONFIG : loaded());
    },
    {
      clock: new ManualClock(0),
      auth: {
        kind: "sigv4",
        region: "eu-west-1",
        service: "s3tables",
        keys: { accessKeyId: "id", secretAccessKey: "secret", sessionToken: "session" },
      },
    },
    async (catalogue) => {
      unwrapOrThrow(await catalogue.load(TABLE));
    },
  );
});

/** What a catalogue lends: for the table's own files, and something for the whole bucket. */
const lending = (id: string, until: number): { readonly [name: string]: Json64 } => ({
  config: { "client.region": "eu-west-1", "s3.endpoint": "http://s3" },
  "storage-credentials": [
    { prefix: "s3://bucket", config: { "s3.access-key-id": "whole", "s3.secret-access-key": "x" } },
    {
      prefix: "s3://bucket/lake/",
      config: {
        "s3.access-key-id": id,
        "s3.secret-access-key": "secret",
        "s3.session-token": "session",
        "s3.session-token-expires-at-ms": String(until),
      },
    },
  ],
});

for (const endpoint of [true, false]) {
  const title = endpoint ? "at their own endpoint" : "with the table, where there is no endpoint";
  test(`keys that the catalogue lends open a table's files, and are renewed ${title}`, async () => {
    const clock = new ManualClock(0);
    const opened: (() => Promise<AwsKeys>)[] = [];
    let lent = 0;
    const name = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials";
    await withScript(
      ({ line, headers }) => {
        if (line.includes("config")) {
          return answer({ ...CONFIG, endpoints: endpoint ? [name] : [] });
        }
        assertEquals(headers.get("x-iceberg-access-delegation"), "vended-credentials");
        lent++;
        assertEquals(line.endsWith("/credentials"), endpoint && lent > 1);
        const more = lending(`id${lent}`, lent * 3_600_000);
        return answer(line.endsWith("/credentials") ? more : loaded(more));
      },
      {
        vended: true,
        clock,
        openStore({ location, properties, credentials }): ObjectStore {
          assertEquals(location, LOCATION);
          assertEquals(properties.get("client.region"), "eu-west-1");
          assertEquals(properties.get("s3.endpoint"), "http://s3");
          opened.push(credentials!);
          return memoryObjectStore();
        },
      },
      async (catalogue) => {
        unwrapOrThrow(await catalogue.load(TABLE));
        assertEquals(opened.length, 1);
        const session = { secretAccessKey: "secret", sessionToken: "session" };
        assertEquals(await opened[0]!(), { accessKeyId: "id1", ...session });
        await clock.advance(3_500_000);
        const both = await Promise.all([opened[0]!(), opened[0]!()]);
        const renewed = { accessKeyId: "id2", ...session };
        assertEquals(both, [renewed, renewed]);
        assertEquals(lent, 2);
      },
    );
  });
}

test("a REST catalogue's objects are below each table's own location", async () => {
  const stores = new Map<string, ObjectStore>();
  await withScript(
    ({ line }) => {
      if (line.includes("config")) return answer(CONFIG);
      const name = line.split("/").at(-1)!;
      if (name === "none") return undefined;
      const metadata = { ...loaded().metadata as object, location: `s3://b/${name}` };
      return answer({ ...loaded(), metadata: metadata as Json64 });
    },
    {
      openStore({ location }) {
        const store = memoryObjectStore({ location });
        stores.set(location, store);
        return store;
      },
    },
    async ({ store }) => {
      for (const key of ["a/data/1", "a/data/2", "a/x", "b/data/1"]) {
        unwrapOrThrow(await store.put(key, new TextEncoder().encode(key)));
      }
      assertEquals([...stores.keys()], ["s3://b/a", "s3://b/b"]);
      assertEquals(
        unwrapOrThrow(await store.get("b/data/1")),
        new TextEncoder().encode("b/data/1"),
      );
      assertEquals(unwrapOrThrow(await store.head("a/x"))?.key, "a/x");
      const first = unwrapOrThrow(await store.list("a/data/", { limit: 1 }));
      assertEquals([first.objects.map(({ key }) => key), first.next], [["a/data/1"], "a/data/1"]);
      const rest = unwrapOrThrow(await store.list("a/data/", { after: first.next! }));
      assertEquals([rest.objects.map(({ key }) => key), rest.next], [["a/data/2"], undefined]);
      unwrapOrThrow(await store.delete(["a/data/1", "b/data/1", "none/x"]));
      assertEquals(unwrapOrThrow(await store.list("a/")).objects.length, 2);
      assertEquals(unwrapOrThrow(await store.list("b/")).objects, []);
      const none = await store.get("none/x");
      assertEquals(none.ok || none.error.code, "NOT_FOUND");
      assertEquals(unwrapOrThrow(await store.head("none/x")), undefined);
      assertEquals(unwrapOrThrow(await store.list("none/")).objects, []);
    },
  );
});

test("restCatalogue() refuses a URL that is none and an empty namespace", () => {
  const openStore = () => memoryObjectStore();
  assertThrows(() => restCatalogue({ url: "x", namespace: ["a"], openStore }), TypeError);
  assertThrows(() => restCatalogue({ url: "http://x", namespace: [], openStore }), TypeError);
});

test("a change that no update is made for is a TypeError, not half a commit", async () => {
  await withScript(
    ({ line }) => answer(line.includes("config") ? CONFIG : loaded()),
    {},
    async (catalogue, asked) => {
      const base = unwrapOrThrow(await catalogue.load(TABLE))!;
      const next = { ...base.metadata, "default-spec-id": 7 };
      const thrown = await catalogue.commit(TABLE, base, next).catch((error) => error);
      assert(thrown instanceof TypeError && thrown.message.includes("default-spec-id"));
      assertEquals(asked.length, 2);
    },
  );
});
