import { type Delta, deltaId, packHlc, unwrapOrThrow } from "@lakesync/core";
import { icebergLake } from "@lakesync/adapter-iceberg";
import {
  findCatalogue,
  findMinio,
  serveHandler,
  spawnScript,
  startIcebergRest,
  startMinio,
  startNessie,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type Env, openLakes } from "./lake.ts";
import type { LakeChoice } from "./lake_choice.ts";
import { startServer } from "./server.ts";

const { program, skip: noMinio } = findMinio();
const minio = noMinio === undefined ? await startMinio(program) : undefined;
await minio?.makeBucket("lake");
const env: Env = {
  AWS_ACCESS_KEY_ID: minio?.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: minio?.credentials.secretAccessKey,
  AWS_ENDPOINT_URL: minio?.endpoint,
};
const directory = (id: string) => `/tmp/lakesync-nowhere/${id}`;
const TODOS = { table: "todos", version: 1, columns: [{ name: "title", type: "string" }] } as const;

const content = (i: number) => ({
  op: "INSERT" as const,
  table: "todos",
  rowId: `r${i}`,
  clientId: "alice",
  hlc: packHlc({ wallMs: 1_700_000_000_000, counter: i }),
  columns: [{ column: "title", value: `title ${i}` }],
});
const delta = (i: number): Delta => ({ ...content(i), deltaId: deltaId(content(i)) });

/** Flushes three deltas by a lake's destination, as a gateway would, in two batches. */
async function flushTo(choice: LakeChoice, id: string) {
  const lakes = unwrapOrThrow(await openLakes({ choice, directory, env }));
  const destination = lakes.destination(id);
  const batch = async (seqs: readonly number[], from?: { epoch: string; seq: number }) => {
    async function* entries() {
      yield await Promise.resolve(
        seqs.map((seq) => ({ seq, at: 1_700_000_000_000 + seq, delta: delta(seq) })),
      );
    }
    const outcomes = unwrapOrThrow(
      await destination.write({
        id: `b${seqs.at(-1)}`,
        to: { epoch: "e", seq: seqs.at(-1)! },
        tables: new Map([["todos", { schema: TODOS, from }]]),
        entries: entries(),
      }),
    );
    const outcome = outcomes.get("todos");
    assertEquals(
      outcome?.status,
      "committed",
      String(outcome && "error" in outcome && outcome.error),
    );
  };
  await batch([1, 2]);
  await batch([3], { epoch: "e", seq: 2 });
  return lakes;
}

test(
  { name: "a lake in a bucket is probed, written and read without a catalogue", skip: noMinio },
  async () => {
    const lakes = await flushTo({ url: "s3://lake/a/b/" }, "shop~1");
    const catalogue = lakes.catalogue("shop~1")!;
    assertEquals(catalogue.store.location, "s3://lake/a/b/shop%7E1");
    const scan = unwrapOrThrow(await icebergLake({ catalogue }).scan("todos_changes"));
    assertEquals(scan.watermark, { epoch: "e", seq: 3 });
    assertEquals(scan.files.length, 2);
    assertEquals(unwrapOrThrow(await lakes.catalogue("other")!.list()), []);
  },
);

test({ name: "a lake of JSON in a bucket has its watermark", skip: noMinio }, async () => {
  const lakes = await flushTo({ url: "s3://lake/json", format: "json" }, "default");
  assertEquals(lakes.catalogue("default"), undefined);
  const marks = unwrapOrThrow(await lakes.destination("default").watermarks(["todos"]));
  assertEquals(marks.get("todos"), { epoch: "e", seq: 3 });
});

test("a bucket that does not know If-None-Match is refused at the start, with the reason", async () => {
  await using server = await serveHandler((request) =>
    new Response(request.method === "POST" ? "<DeleteResult/>" : null)
  );
  const opened = await openLakes({
    choice: { url: "s3://lake", endpoint: server.url },
    directory,
    env: { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" },
  });
  assert(!opened.ok);
  assert(opened.error.message.includes("does not know If-None-Match"), opened.error.message);
  assert(opened.error.message.includes("or a catalogue"));
});

const SERVE = new URL("./serve.ts", import.meta.url);
const given = (env: Env) =>
  Object.fromEntries(Object.entries(env).filter((pair): pair is [string, string] => !!pair[1]));

test(
  { name: "serve --lake keeps the lake in a bucket", skip: noMinio },
  () =>
    withTempDir(async (data) => {
      const args = ["--port", "0", "--data", data, "--lake", "s3://lake/served"];
      await using server = spawnScript(SERVE, { args, env: given(env) });
      const { url } = await server.nextJson() as { url: string };
      const put = { method: "PUT", body: JSON.stringify({ tables: [TODOS] }) };
      assertEquals((await fetch(`${url}/v1/admin/default/schema`, put)).status, 200);
      const body = JSON.stringify({ clientId: "alice", deltas: [delta(1), delta(2)] });
      assertEquals(
        (await fetch(`${url}/v1/sync/default/push`, { method: "POST", body })).status,
        200,
      );
      assertEquals((await server.kill("SIGTERM")).code, 0);
      const choice = { url: "s3://lake/served" };
      const lakes = unwrapOrThrow(await openLakes({ choice, directory, env }));
      const catalogue = lakes.catalogue("default")!;
      const scan = unwrapOrThrow(await icebergLake({ catalogue }).scan("todos_changes"));
      assertEquals([scan.watermark?.seq, scan.files.length], [2, 1]);
    }),
);

test("serve --lake on a bucket that does not know If-None-Match ends with the reason", () =>
  withTempDir(async (data) => {
    await using bucket = await serveHandler((request) =>
      new Response(request.method === "POST" ? "<DeleteResult/>" : null)
    );
    const args = ["--port", "0", "--data", data, "--lake", "s3://lake"];
    await using server = spawnScript(SERVE, {
      args,
      env: {
        AWS_ACCESS_KEY_ID: "id",
        AWS_SECRET_ACCESS_KEY: "secret",
        AWS_ENDPOINT_URL: bucket.url,
      },
    });
    assertEquals(await server.nextJson(), undefined);
    assertEquals((await server.exited).code, 1);
    assert(server.stderr.includes("does not know If-None-Match"), server.stderr);
  }));

test("a server whose bucket is refused does not start, and says why", () =>
  withTempDir(async (data) => {
    const started = await startServer({ data, lake: { url: "s3://no_bucket" } });
    assert(!started.ok && /AWS_ACCESS_KEY_ID|bucket/.test(started.error.message), String(started));
  }));

const FAULTS: readonly [choice: LakeChoice, env: Env, reason: string][] = [
  [{ url: "/data" }, {}, "no s3://BUCKET/PREFIX"],
  [{ url: "s3://lake" }, {}, "AWS_ACCESS_KEY_ID is not set"],
  [{ url: "s3://lake", catalogue: { url: "http://c" } }, {}, "take url and format out"],
  [{ catalogue: { url: "c" } }, {}, "it is no URL"],
  [{ catalogue: { url: "http://c" } }, { LAKESYNC_CATALOGUE_CREDENTIAL: "x" }, "no id:secret"],
  [{ catalogue: { url: "http://c", sigv4: "glue" } }, {}, "AWS_ACCESS_KEY_ID is not set"],
];
for (const [choice, env, reason] of FAULTS) {
  test(`openLakes() refuses ${JSON.stringify(choice)} with ${JSON.stringify(env)}: ${reason}`, async () => {
    const opened = await openLakes({ choice, directory, env });
    assert(!opened.ok && opened.error.code === "VALIDATION_ERROR");
    assert(opened.error.message.includes(reason), opened.error.message);
  });
}

const noRest = findCatalogue("iceberg-rest");
test(
  { name: "a server's lake is in a catalogue where its configuration says so", skip: noRest },
  () =>
    withTempDir(async (data) => {
      const rest = await startIcebergRest();
      const lake = { catalogue: { url: rest.url, namespace: "a_{gateway}" } };
      const server = unwrapOrThrow(await startServer({ data, lake, tables: [TODOS] }));
      const [gateway] = server.gateways;
      const pushed = await fetch(`${server.url}/v1/sync/default/push`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ clientId: "alice", deltas: [delta(1)] }),
      });
      assertEquals(pushed.status, 200, await pushed.text());
      assertEquals(unwrapOrThrow(await gateway!.flush()).deltas, 1);
      await server.stop();
      const lakes = unwrapOrThrow(await openLakes({ choice: lake, directory, env: {} }));
      const catalogue = lakes.catalogue("default")!;
      assertEquals(unwrapOrThrow(await catalogue.list()), ["todos_changes"]);
      const scan = unwrapOrThrow(await icebergLake({ catalogue }).scan("todos_changes"));
      assertEquals(scan.watermark?.seq, 1);
    }),
);

const noNessie = noMinio ?? findCatalogue("nessie");
test({
  name: "a lake in Nessie and S3 is written, read and grown",
  skip: noNessie,
  timeoutMs: 120_000,
}, async () => {
  // Backoff alone keeps no process alive.
  const alive = setInterval(() => {}, 1_000);
  const { url } = await startNessie({ ...minio!, bucket: "lake" });
  const choice = { catalogue: { url, warehouse: "warehouse", namespace: "up.{gateway}" } };
  const lakes = await flushTo(choice, "default");
  const catalogue = lakes.catalogue("default")!;
  assertEquals(unwrapOrThrow(await catalogue.list()), ["todos_changes"]);
  const scan = unwrapOrThrow(await icebergLake({ catalogue }).scan("todos_changes"));
  assertEquals(scan.watermark, { epoch: "e", seq: 3 });
  assertEquals(scan.files.length, 2);
  assert(scan.files[0]!.url.startsWith("s3://lake/nessie/"), scan.files[0]!.url);
  for (const { key, bytes } of scan.files) {
    assertEquals(unwrapOrThrow(await catalogue.store.get(key)).length, bytes);
  }
  clearInterval(alive);
});
