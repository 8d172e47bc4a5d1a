// serve, its upkeep, maintain and query on a lake in a REST catalogue, with each way to prove who asks.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { packHlc } from "@lakesync/core";
import {
  faultyCatalogue,
  findCatalogue,
  findMinio,
  makeDelta,
  serveHandler,
  spawnScript,
  startIcebergRest,
  startMinio,
  startNessie,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import type { CatalogueChoice } from "./lake_choice.ts";

const script = (name: string) => new URL(name, import.meta.url);
const TODOS = { table: "todos", version: 1, columns: [{ name: "n", type: "integer" }] };

const noRest = findCatalogue("iceberg-rest");
const rest = noRest === undefined ? await startIcebergRest() : undefined;

/** Serves a lake, changes three rows twice, sees it kept, and asks and maintains it from outside. */
async function useLake(
  { directory, name, lake, env }: {
    directory: string;
    name: string;
    lake: { catalogue?: CatalogueChoice; url?: string };
    env: Record<string, string>;
  },
): Promise<void> {
  const config = join(directory, "lakesync.config.ts");
  const declared = { tables: [{ schema: TODOS }], lake: { ...lake, maintain: { every: 1 } } };
  await writeFile(config, `export default ${JSON.stringify(declared)};`);
  const about = ["--data", join(directory, "data"), "--config", config];
  await using server = spawnScript(script("./serve.ts"), {
    args: ["--port", "0", "--gateway", name, ...about],
    env,
  });
  const line = await server.nextJson() as { url: string } | undefined;
  assert(line !== undefined, server.stderr);
  const send = async (method: string, path: string, body?: unknown) => {
    const init = { method, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const answer = await fetch(line.url + path, init);
    const json = await answer.json();
    assertEquals(answer.status, 200, JSON.stringify(json));
    return json;
  };
  for (const round of [1, 2]) {
    const deltas = [1, 2, 3].map((row) =>
      makeDelta({
        op: round === 1 ? "INSERT" : "UPDATE",
        table: "todos",
        rowId: `r${row}`,
        clientId: "alice",
        columns: [{ column: "n", value: round * 10 + row }],
        hlc: packHlc({ wallMs: 1_700_000_000_000 + round, counter: row }),
      })
    );
    await send("POST", `/v1/sync/${name}/push`, { clientId: "alice", deltas });
    await send("POST", `/v1/admin/${name}/flush`);
  }
  const stats = async () => (await send("GET", `/v1/admin/${name}/stats`)).maintenance;
  const { runs } = await stats();
  let now = await stats();
  while (now.runs < runs + 2) now = await stats();
  assertEquals(now.failures, 0, server.stderr);
  assert(/"maintain\.compact".*"engine":"duckdb"/.test(server.stderr), server.stderr);
  assertEquals((await server.kill("SIGTERM")).code, 0, server.stderr);

  const run = async (command: string, args: readonly string[]) => {
    await using process = spawnScript(script(command), { args: [...args, ...about], env });
    assertEquals((await process.exited).code, 0, process.stderr);
    return process.stdout;
  };
  assertEquals(
    JSON.parse(
      await run("./query.ts", [
        "SELECT id, n FROM todos ORDER BY id",
        "--id",
        name,
        "--format",
        "json",
      ]),
    ),
    [{ id: "r1", n: 21 }, { id: "r2", n: 22 }, { id: "r3", n: 23 }],
  );
  assertEquals(JSON.parse(await run("./maintain.ts", ["--gateway", name])), {
    event: "maintained",
    well: true,
  });
}

interface Way {
  readonly name: string;
  readonly catalogue: Omit<CatalogueChoice, "url">;
  readonly env: Record<string, string>;
  /** Whether a request proves who asks. */
  readonly proves: (headers: Headers) => boolean;
}

const keys = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret", AWS_REGION: "eu-west-1" };
const signs = (service: string) => (headers: Headers) =>
  headers.get("authorization")?.startsWith("AWS4-HMAC-SHA256 Credential=id/") === true &&
  headers.get("authorization")!.includes(`/eu-west-1/${service}/aws4_request`);

const WAYS: readonly Way[] = [
  {
    name: "plain",
    catalogue: { namespace: "of_{gateway}" },
    env: {},
    proves: () => true,
  },
  {
    name: "token",
    catalogue: { vended: true },
    env: { LAKESYNC_CATALOGUE_TOKEN: "tok" },
    proves: (headers) => headers.get("authorization") === "Bearer tok",
  },
  {
    name: "oauth2",
    catalogue: { scope: "lake", tokenUrl: "here" },
    env: { LAKESYNC_CATALOGUE_CREDENTIAL: "me:secret" },
    proves: (headers) => headers.get("authorization") === "Bearer granted",
  },
  { name: "s3tables", catalogue: { sigv4: "s3tables" }, env: keys, proves: signs("s3tables") },
  { name: "glue", catalogue: { sigv4: "glue" }, env: keys, proves: signs("glue") },
];

for (const { name, catalogue, env, proves } of WAYS) {
  test({
    name: `serve, its upkeep, query and maintain go to a REST catalogue: ${name}`,
    skip: noRest,
    timeoutMs: 120_000,
  }, () =>
    withTempDir(async (directory) => {
      let delegated = 0;
      await using proxy = await faultyCatalogue(rest!.url, ({ headers, path }) => {
        if (headers.get("x-iceberg-access-delegation") === "vended-credentials") delegated++;
        // The configuration may be asked for before a catalogue knows what it hands out.
        const isOpen = path.startsWith("/v1/config");
        return isOpen || proves(headers) ? undefined : { refuse: 401 };
      });
      await using tokens = await serveHandler(async (request) => {
        const form = new URLSearchParams(await request.text());
        const [id, secret] = [form.get("client_id"), form.get("client_secret")];
        const basic = request.headers.get("authorization");
        assert((id === "me" && secret === "secret") || basic === `Basic ${btoa("me:secret")}`);
        assertEquals([form.get("grant_type"), form.get("scope")], ["client_credentials", "lake"]);
        return Response.json({ access_token: "granted", token_type: "bearer", expires_in: 3600 });
      });
      const { tokenUrl, ...more } = catalogue;
      const choice = {
        url: proxy.url,
        ...more,
        ...(tokenUrl !== undefined && { tokenUrl: tokens.url }),
      };
      await useLake({ directory, name, lake: { catalogue: choice }, env });
      assertEquals(
        delegated > 0,
        catalogue.vended === true,
        "keys are asked for where it lends them",
      );
    }));
}

const { program, skip: noMinio } = findMinio();
const minio = noMinio === undefined ? await startMinio(program) : undefined;
const s3 = {
  AWS_ACCESS_KEY_ID: minio?.credentials.accessKeyId ?? "",
  AWS_SECRET_ACCESS_KEY: minio?.credentials.secretAccessKey ?? "",
  AWS_ENDPOINT_URL: minio?.endpoint ?? "",
};
await minio?.makeBucket("lake");

test({
  name: "serve, its upkeep, query and maintain go to Nessie and S3",
  skip: noMinio ?? findCatalogue("nessie"),
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (directory) => {
    const { url } = await startNessie({ ...minio!, bucket: "lake" });
    const catalogue = { url, warehouse: "warehouse", namespace: "up.{gateway}" };
    await useLake({ directory, name: "default", lake: { catalogue }, env: s3 });
  }));

test({
  name: "serve, its upkeep, query and maintain go to a bucket without a catalogue",
  skip: noMinio,
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (directory) => {
    await useLake({ directory, name: "default", lake: { url: "s3://lake/plain" }, env: s3 });
  }));

test({
  name:
    "a served lake's bucket has its checkpoints: the next process serves first syncs from there",
  skip: noMinio,
  timeoutMs: 60_000,
}, () =>
  withTempDir(async (data) => {
    const args = ["--port", "0", "--data", data, "--lake", "s3://lake/first"];
    const start = async () => {
      const server = spawnScript(script("./serve.ts"), { args, env: s3 });
      const { url } = await server.nextJson() as { url: string };
      const first = async () => {
        const answer = await fetch(`${url}/v1/sync/default/checkpoint?clientId=bob&atLeast=0`);
        return (await answer.text()).trim().split("\n").map((line) => JSON.parse(line));
      };
      const send = async (method: string, path: string, body: unknown) => {
        const answer = await fetch(url + path, { method, body: JSON.stringify(body) });
        assertEquals(answer.status, 200, await answer.text());
      };
      return { server, first, send };
    };
    const insert = (row: number) =>
      makeDelta({
        op: "INSERT",
        table: "todos",
        rowId: `r${row}`,
        clientId: "alice",
        columns: [{ column: "n", value: row }],
        hlc: packHlc({ wallMs: 1_700_000_000_000, counter: row }),
      });
    const push = (deltas: unknown[]) => ({ clientId: "alice", deltas });
    const one = await start();
    await one.send("PUT", "/v1/admin/default/schema", { tables: [TODOS] });
    await one.send("POST", "/v1/sync/default/push", push([insert(1), insert(2)]));
    const made = await one.first();
    assertEquals([made[0].checkpoint.seq, made.at(-1)], [2, { end: { rows: 2 } }]);
    while (!one.server.stderr.includes('"checkpoint.written"')) await one.first();
    assertEquals((await one.server.kill("SIGTERM")).code, 0);
    const two = await start();
    await two.send("POST", "/v1/sync/default/push", push([insert(3)]));
    assertEquals(await two.first(), made);
    assert(two.server.stderr.includes('"checkpoint.found"'), two.server.stderr);
    assertEquals((await two.server.kill("SIGTERM")).code, 0);
  }));
