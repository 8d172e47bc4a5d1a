// What goes wrong with a lake is told where operators look; everything else flows on, and once it is
// mended nothing is missing and nothing is there twice.
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { packHlc, unwrapOrThrow } from "@lakesync/core";
import {
  faultyCatalogue,
  findCatalogue,
  findMinio,
  makeDelta,
  serveHandler,
  spawnScript,
  startIcebergRest,
  startMinio,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { iceberg } from "./iceberg_destination.ts";
import { type Env, openLakes } from "./lake.ts";
import type { LakeChoice } from "./lake_choice.ts";
import { openHistory } from "./lake_history.ts";
import { startServer } from "./server.ts";
import { destinations, put, tables } from "./testdata/bad_input.ts";

/** Keeps the process alive while something waits for its next try. */
function awake(): Disposable {
  const timer = setInterval(() => {}, 1_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** `table/rowId` of all deltas in the lake of the gateway `default`. */
async function deltasIn(choice: LakeChoice, env: Env = {}): Promise<string[]> {
  const found: string[] = [];
  const lakes = unwrapOrThrow(await openLakes({ choice, directory: (id) => id, env }));
  const history = unwrapOrThrow(await openHistory(lakes.catalogue("default")!));
  for await (const chunk of history.changes()) {
    for (const { delta } of chunk) found.push(`${delta.table}/${delta.rowId}`);
  }
  return found.sort();
}

const TITLES = { table: "todos", version: 1, columns: [{ name: "title", type: "string" }] };
const NEW_ROW = makeDelta({
  op: "INSERT",
  table: "todos",
  rowId: "r",
  clientId: "alice",
  columns: [{ column: "title", value: "one" }],
  hlc: packHlc({ wallMs: 1_700_000_000_000, counter: 0 }),
});
const { program, skip: noMinio } = findMinio();

test({
  name: "what goes wrong with a bucket is in the stats, and the other destinations flow on",
  skip: noMinio,
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (data) => {
    using _ = awake();
    const { endpoint, credentials, makeBucket } = await startMinio(program);
    await makeBucket("lake");
    const server = await serveHandler(() => new Response());
    const nobody = server.url;
    await server[Symbol.asyncDispose]();
    const env = {
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    };
    const urls: { readonly [name: string]: string } = {
      good: "s3://lake/good",
      locked: "s3://lake/locked",
      stranger: "s3://lake/stranger",
      homeless: "s3://nowhere/lake",
      away: "s3://lake/away",
    };
    const start = async (ill: boolean) => {
      const at = (name: string, wrong: { endpoint?: string; env?: Env } = {}) =>
        iceberg({ url: urls[name]!, endpoint, env, ...ill && wrong });
      return unwrapOrThrow(
        await startServer({
          data,
          tables,
          destinations: {
            good: at("good"),
            locked: at("locked", { env: { ...env, AWS_SECRET_ACCESS_KEY: "wrong" } }),
            stranger: at("stranger", { env: { ...env, AWS_ACCESS_KEY_ID: "nobody" } }),
            homeless: at("homeless"),
            away: at("away", { endpoint: nobody }),
          },
        }),
      );
    };
    const first = await start(true);
    await put(first.gateways[0]!, "todos", "a", { title: "one", n: 1 });
    const states = await destinations(first);
    assertEquals([states["lake"]?.lag, states["good"]?.lag], [0, 0]);
    const errors: [string, RegExp][] = [
      ["locked", /locked\/default\/todos_changes.*SignatureDoesNotMatch.*check the credentials/],
      ["stranger", /stranger\/default\/todos_changes.*InvalidAccessKeyId.*check the credentials/],
      ["homeless", /nowhere.*todos_changes.*NoSuchBucket.*make the bucket or correct its name/],
      ["away", /Cannot reach .*todos_changes/],
    ];
    for (const [name, message] of errors) {
      assertEquals([states[name]?.lag, states[name]?.error?.code], [1, "STORAGE_ERROR"], name);
      assertMatch(states[name]!.error!.message, message);
    }
    // A bucket that is made is found by the next flush, right keys by the next start.
    await makeBucket("nowhere");
    await put(first.gateways[0]!, "notes", "n", { text: "two" });
    assertEquals((await destinations(first))["homeless"]?.lag, 0);
    await first.stop();
    const second = await start(false);
    await put(second.gateways[0]!, "todos", "a", { title: "uno", n: 2 });
    for (const [name, { lag, error }] of Object.entries(await destinations(second))) {
      assertEquals([lag, error], [0, undefined], name);
    }
    await second.stop();
    for (const name of Object.keys(urls)) {
      const wanted = ["notes/n", "todos/a", "todos/a"];
      assertEquals(await deltasIn({ url: urls[name]!, endpoint }, env), wanted, name);
    }
  }));

test({
  name:
    "a server starts while its bucket refuses it, serves its clients, and deno task flows says why",
  skip: noMinio,
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (data) => {
    const { endpoint, credentials, makeBucket } = await startMinio(program);
    await makeBucket("lake");
    const start = async (secret: string) => {
      const process = spawnScript(new URL("./serve.ts", import.meta.url), {
        args: ["--port", "0", "--data", data, "--lake", "s3://lake/served"],
        env: {
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: secret,
          AWS_ENDPOINT_URL: endpoint,
        },
      });
      const line = await process.nextJson() as { url: string } | undefined;
      assert(line !== undefined, process.stderr);
      const send = async (method: string, path: string, body?: object) => {
        const init = body === undefined ? {} : { body: JSON.stringify(body) };
        const answer = await fetch(line.url + path, { method, ...init });
        return { status: answer.status, body: await answer.json() };
      };
      return { process, send };
    };
    const { process, send } = await start("wrong");
    assertMatch(process.stderr, /"lake.unprobed".*SignatureDoesNotMatch/);
    assertEquals(
      (await send("PUT", "/v1/admin/default/schema", { tables: [TITLES] })).status,
      200,
    );
    const pushed = await send("POST", "/v1/sync/default/push", {
      clientId: "alice",
      deltas: [NEW_ROW],
    });
    assertEquals(pushed.status, 200);
    assertEquals((await send("POST", "/v1/admin/default/flush")).status, 500);
    const { body: stats } = await send("GET", "/v1/admin/default/stats");
    assertEquals([stats.lag, stats.destinations.lake.error.code], [1, "STORAGE_ERROR"]);
    assertMatch(stats.destinations.lake.error.message, /todos_changes.*SignatureDoesNotMatch/);
    assertEquals((await process.kill("SIGTERM")).code, 0);
    const flows = spawnScript(new URL("./flows_list.ts", import.meta.url), {
      args: ["--data", data],
    });
    assertEquals((await flows.exited).code, 1);
    assertMatch(flows.stdout, /default -> lake: lacks 1 deltas\n {2}STORAGE_ERROR: .*Signature/);

    const mended = await start(credentials.secretAccessKey);
    const { body: report } = await mended.send("POST", "/v1/admin/default/flush");
    assertEquals([report.flushedSeq, report.deltas], [1, 1]);
    assertEquals((await mended.process.kill("SIGTERM")).code, 0);
    const env = {
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    };
    assertEquals(await deltasIn({ url: "s3://lake/served", endpoint }, env), ["todos/r"]);
  }));

const noRest = findCatalogue("iceberg-rest");

test({
  name: "what goes wrong with a catalogue is in the stats, and the other destinations flow on",
  skip: noRest,
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (data) => {
    using _ = awake();
    const rest = await startIcebergRest();
    let ill = true;
    await using proxy = await faultyCatalogue(rest.url, ({ method, path, headers }) => {
      if (!ill) return undefined;
      if (headers.get("authorization") === "Bearer old") return { refuse: 401 };
      if (path.includes("warehouse=nowhere")) return { refuse: 404 };
      // A namespace that is not there, and may not be made.
      const isForbidden = method === "POST" && path.endsWith("/namespaces");
      if (isForbidden) return { refuse: 403 };
      return /namespaces\/forbidden\/tables$/.test(path) && method === "POST"
        ? { refuse: 404 }
        : undefined;
    });
    const at = (namespace: string, warehouse?: string): LakeChoice => ({
      catalogue: { url: proxy.url, namespace, ...warehouse !== undefined && { warehouse } },
    });
    const choices: { readonly [name: string]: LakeChoice } = {
      good: at("good"),
      expired: at("expired"),
      elsewhere: at("elsewhere", "nowhere"),
      forbidden: at("forbidden"),
      taken: at("taken"),
    };
    const ask = async (method: string, path: string, body?: object) => {
      const answer = await fetch(`${rest.url}/v1/namespaces${path}`, {
        method,
        headers: { "content-type": "application/json" },
        ...body !== undefined && { body: JSON.stringify(body) },
      });
      const text = await answer.text();
      assert(answer.ok, text);
      return text === "" ? undefined : JSON.parse(text);
    };
    // Somebody has a table of that name.
    await ask("POST", "", { namespace: ["taken"], properties: {} });
    const fields = [{ id: 1, name: "id", type: "string", required: false }];
    const schema = { type: "struct", fields };
    await ask("POST", "/taken/tables", { name: "todos_changes", schema });
    const server = unwrapOrThrow(
      await startServer({
        data,
        tables,
        destinations: Object.fromEntries(
          Object.entries(choices).map(([name, { catalogue }]) => [
            name,
            iceberg({
              catalogue: catalogue!,
              env: name === "expired" ? { LAKESYNC_CATALOGUE_TOKEN: "old" } : {},
            }),
          ]),
        ),
      }),
    );
    const gateway = server.gateways[0]!;
    await put(gateway, "todos", "a", { title: "one", n: 1 });
    const states = await destinations(server);
    assertEquals([states["lake"]?.lag, states["good"]?.lag], [0, 0]);
    const errors: [string, string, RegExp][] = [
      ["expired", "STORAGE_ERROR", /configuration at http.*401.*check its credentials/],
      ["elsewhere", "STORAGE_ERROR", /warehouse "nowhere".*404.*correct .*its warehouse/],
      ["forbidden", "STORAGE_ERROR", /make the namespace "forbidden": 403.*check its credentials/],
      ["taken", "CONFLICT", /"todos_changes".*LakeSync did not make it; .*move the table away/],
    ];
    for (const [name, code, message] of errors) {
      assertEquals([states[name]?.lag, states[name]?.error?.code], [1, code], name);
      assertMatch(states[name]!.error!.message, message);
    }

    // Somebody makes a text of a column of numbers: that table waits, the other one flows on.
    const { metadata } = await ask("GET", "/good/tables/todos_changes");
    const before = metadata["current-schema-id"];
    const there = metadata.schemas.find((one: { "schema-id": number }) =>
      one["schema-id"] === before
    );
    const retyped = (field: { name: string }) =>
      field.name === "n" ? { ...field, type: "string" } : field;
    const setSchema = (updates: object[]) =>
      ask("POST", "/good/tables/todos_changes", { requirements: [], updates });
    await setSchema([
      { action: "add-schema", schema: { ...there, fields: there.fields.map(retyped) } },
      { action: "set-current-schema", "schema-id": -1 },
    ]);
    await put(gateway, "todos", "b", { title: "two", n: 2 });
    await put(gateway, "notes", "n", { text: "goes on" });
    const good = (await destinations(server))["good"];
    assertEquals([good?.lag, good?.error?.code], [2, "CONFLICT"]);
    assertMatch(good!.error!.message, /table "todos".*column "n" there is not an optional long/);
    assertEquals(await deltasIn(choices["good"]!), ["notes/n", "todos/a"]);

    // All is mended while the server runs.
    ill = false;
    await setSchema([{ action: "set-current-schema", "schema-id": before }]);
    await ask("DELETE", "/taken/tables/todos_changes");
    await put(gateway, "todos", "a", { title: "uno", n: 3 });
    for (const [name, { lag, error }] of Object.entries(await destinations(server))) {
      assertEquals([lag, error], [0, undefined], name);
    }
    await server.stop();
    for (const [name, choice] of Object.entries(choices)) {
      const wanted = ["notes/n", "todos/a", "todos/a", "todos/b"];
      assertEquals(await deltasIn(choice), wanted, name);
    }
  }));

test("what goes wrong with a table of the lake is in the stats, and the other tables flow on", () =>
  withTempDir(async (data) => {
    const server = unwrapOrThrow(await startServer({ data, tables }));
    const gateway = server.gateways[0]!;
    const lake = `${data}/lake/default`;
    const failed = async (rowId: string) => {
      await put(gateway, "todos", rowId, { title: rowId, n: 1 });
      await put(gateway, "notes", rowId, { text: rowId });
      return (await destinations(server))["lake"];
    };
    const versions = async (table: string) =>
      (await readdir(`${lake}/${table}_changes/metadata`))
        .filter((file) => /^v\d+\.metadata\.json$/.test(file))
        .map((file) => Number(/\d+/.exec(file)![0])).sort((a, b) => a - b);
    const fileOf = (version: number) => `${lake}/todos_changes/metadata/v${version}.metadata.json`;
    assertEquals((await failed("a"))?.lag, 0);

    // Somebody's program makes a text of a column of numbers.
    const last = (await versions("todos")).at(-1)!;
    const text = await readFile(fileOf(last), "utf8");
    await writeFile(
      fileOf(last + 1),
      text.replaceAll(/("name":"n","required":false,"type":)"long"/g, '$1"string"'),
    );
    const before = (await versions("notes")).length;
    const retyped = await failed("b");
    assertEquals([retyped?.error?.code, retyped?.cutOff], ["CONFLICT", false]);
    assertMatch(retyped!.error!.message, /"todos".*column "n" there is not an optional long; give/);
    assertEquals((await versions("notes")).length, before + 1, "notes flow on");
    await rm(fileOf(last + 1));
    await server.stop();

    // The metadata is damaged.
    await writeFile(fileOf(last + 1), "{");
    const again = unwrapOrThrow(await startServer({ data, tables }));
    await put(again.gateways[0]!, "notes", "c", { text: "c" });
    const damaged = (await destinations(again))["lake"];
    assertEquals(damaged?.error?.code, "CORRUPT");
    assertMatch(damaged!.error!.message, /todos_changes/);
    assertEquals((await versions("notes")).length, before + 2);

    // The table is gone: it is written again, from the log.
    await rm(`${lake}/todos_changes`, { recursive: true });
    await put(again.gateways[0]!, "notes", "d", { text: "d" });
    assertEquals((await destinations(again))["lake"]?.error, undefined);
    assertEquals((await destinations(again))["lake"]?.lag, 0);
    await again.stop();
  }));
