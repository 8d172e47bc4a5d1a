// What BigQuery refuses, and how the adapter says so; tokens; sizes.
import process from "node:process";
import { bigqueryServer } from "@lakesync/adapter-bigquery";
import { sqlCursorSource } from "@lakesync/adapter-sources";
import { defineTable, integer, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exportPKCS8, generateKeyPair } from "jose";
import { type EmulatorFault, startBigQuery } from "../bigquery_emulator.ts";
import { test } from "../test.ts";
import { askDataset, openAdapter, optionsFor } from "./bigquery_subject.ts";
import { allDeltas, batchOf, deltaOf, insert, statuses, todo, TODOS } from "./fixture.ts";

/** Several parts of an upload; with LAKESYNC_INTEROP set more of them (`deno task test:interop`). */
const MANY = process.env["LAKESYNC_INTEROP"] === undefined ? 50_000 : 100_000;

test("BigQuery: refusals say what to do, and never show the key", async () => {
  await using server = await startBigQuery();
  await server.makeDataset("lake");
  const { credentials } = server;
  const stranger = await exportPKCS8(
    (await generateKeyPair("RS256", { extractable: true })).privateKey,
  );
  const refuse = (refuse: number, reason: string): EmulatorFault => ({ refuse, reason });
  const cases: readonly {
    readonly options?: Parameters<typeof openAdapter>[1];
    readonly fault?: EmulatorFault;
    readonly code: string;
    readonly says: string;
  }[] = [
    {
      options: { dataset: "lake", credentials: { ...credentials, private_key: stranger } },
      code: "FORBIDDEN",
      says: "see that the key is this account's",
    },
    {
      options: { dataset: "lake", credentials: { ...credentials, private_key: "hunter2" } },
      code: "FORBIDDEN",
      says: "no RSA key in PEM",
    },
    { options: { dataset: "nowhere" }, code: "VALIDATION_ERROR", says: "create the dataset" },
    {
      options: { dataset: "lake", project: "another-one" },
      code: "FORBIDDEN",
      says: "BigQuery Data Editor",
    },
    { fault: refuse(403, "accessDenied"), code: "FORBIDDEN", says: "BigQuery Job User" },
    { fault: refuse(401, "authError"), code: "FORBIDDEN", says: "not disabled" },
    { fault: refuse(403, "billingNotEnabled"), code: "FORBIDDEN", says: "enable billing" },
    {
      fault: refuse(403, "quotaExceeded"),
      code: "STORAGE_ERROR",
      says: "until the quota is renewed",
    },
    { fault: refuse(403, "rateLimitExceeded"), code: "STORAGE_ERROR", says: "asked too often" },
    { fault: refuse(503, "backendError"), code: "OFFLINE", says: "try again" },
    { fault: "lose-request", code: "OFFLINE", says: "try again" },
  ];
  for (const { options = { dataset: "lake" }, fault, code, says } of cases) {
    server.fault = ({ what }) => what === "token" ? undefined : fault;
    const adapter = await openAdapter(server, options);
    const asked = await adapter.watermarks(["todos"]);
    assert(!asked.ok);
    assertEquals(asked.error.code, code, asked.error.message);
    assertStringIncludes(asked.error.message, says);
    assert(!/hunter2|PRIVATE KEY|ya29/.test(asked.error.message));
    await adapter.close();
  }
  // What is refused by a rate is asked again before it fails.
  const before = server.requests.length;
  server.fault = ({ what }) => what === "tables.get" ? refuse(403, "rateLimitExceeded") : undefined;
  const adapter = await openAdapter(server, { dataset: "lake" });
  await adapter.watermarks(["todos"]);
  const asked = server.requests.slice(before).filter(({ what }) => what === "tables.get");
  assertEquals(asked.length, 3);
  await adapter.close();
});

test("bigqueryServer() refuses options that can never work", async () => {
  const credentials = { client_email: "a@b", private_key: "…", project_id: "shop" };
  const cases: readonly (readonly [options: object, says: string])[] = [
    [{ credentials: {}, dataset: "d" }, "no service account's key"],
    [{ credentials: undefined, dataset: "d" }, "no service account's key"],
    [{ credentials, dataset: "a-b" }, 'dataset "a-b"'],
    [{ credentials: { ...credentials, project_id: "A/B" }, dataset: "d" }, 'project "A/B"'],
    [{ credentials, dataset: "d", endpoint: "localhost" }, 'endpoint "localhost"'],
  ];
  for (const [options, says] of cases) {
    const made = await bigqueryServer(options as Parameters<typeof bigqueryServer>[0]);
    assertEquals(made.ok || made.error.code, "VALIDATION_ERROR");
    assertStringIncludes(made.ok ? "" : made.error.message, says);
  }
});

test("BigQuery: a token is kept until shortly before it expires, and renewed when it is refused", async () => {
  let now = 1_700_000_000_000;
  await using server = await startBigQuery({ now: () => now });
  await server.makeDataset("lake");
  const adapter = await openAdapter(server, { dataset: "lake", clock: { now: () => now } });
  const ask = async () => void unwrapOrThrow(await adapter.watermarks(["todos"]));
  await Promise.all([ask(), ask()]);
  now += 3_500_000;
  await ask();
  assertEquals(server.tokens.issued, 1);
  now += 50_000;
  await ask();
  assertEquals(server.tokens.issued, 2);
  server.tokens.expireAll();
  await ask();
  assertEquals(server.tokens.issued, 3);
  await adapter.close();
});

test("BigQuery: a column that it does not allow is named, and other tables go on", async () => {
  await using server = await startBigQuery();
  await server.makeDataset("lake");
  const adapter = await openAdapter(server, { dataset: "lake" });
  const schema = {
    table: "odd",
    version: 1,
    columns: [{ name: "_PARTITIONTIME", type: "string", nullable: true }],
  } as const;
  const odd = deltaOf({ op: "INSERT", table: "odd", rowId: "r", hlc: 1 });
  await insert(adapter, [odd, todo("r", 2)], [schema, TODOS]);
  const refused = await adapter.materialise(schema);
  assert(!refused.ok);
  assertEquals([refused.error.code, refused.error.details], [
    "CONFLICT",
    { column: "_PARTITIONTIME", table: "odd" },
  ]);
  assertEquals(unwrapOrThrow(await adapter.materialise(TODOS)).upserted, 1);
  await adapter.close();
});

test("BigQuery: a head that is gone is CORRUPT, and nothing is written", async () => {
  await using server = await startBigQuery();
  await server.makeDataset("lake");
  const adapter = await openAdapter(server, { dataset: "lake" });
  await insert(adapter, [todo("r1", 1)]);
  const texts = ["DELETE FROM lakesync_head WHERE name = 'pos'"];
  await askDataset(server, { dataset: "lake", texts });
  const written = await adapter.insertDeltas(batchOf({ deltas: [todo("r2", 2)], from: 1 }));
  assertEquals(written.ok || written.error.code, "CORRUPT");
  assertEquals((await allDeltas(adapter)).length, 1);
  await adapter.close();
});

test({
  name:
    `BigQuery: ${MANY} deltas are one batch with as many jobs as one delta, also through lost parts`,
  timeoutMs: 240_000,
}, async () => {
  await using server = await startBigQuery({ pageBytes: 8 * 1024 * 1024 });
  await server.makeDataset("large");
  const adapter = await openAdapter(server, { dataset: "large" });
  unwrapOrThrow(await adapter.ensureSchema([TODOS]));
  const jobs = () =>
    server.requests.filter(({ what }) => /^(jobs\.(insert|query)|upload\.begin)$/.test(what))
      .length;
  const start = jobs();
  const first = await adapter.insertDeltas(batchOf({ deltas: [todo("r0", 1)] }));
  assertEquals(statuses(first), { todos: "committed" });
  const forOne = jobs() - start;
  let parts = 0;
  server.fault = ({ what }) => {
    if (what !== "upload.put") return undefined;
    return (["lose-request", "lose-answer", undefined, undefined] as const)[parts++ % 4];
  };
  const size = MANY;
  const deltas = Array.from({ length: size }, (_, i) => todo(`r${i}`, i + 2, { n: i }));
  const from = jobs();
  const written = await adapter.insertDeltas(batchOf({ deltas, from: 1 }));
  assertEquals(statuses(written), { todos: "committed" });
  assertEquals(jobs() - from, forOne);
  assert(parts > 5);
  const texts = [
    "SELECT COUNT(*), MAX(pos), MAX(seq) FROM lakesync_deltas",
    "SELECT COUNT(*) FROM lakesync_rows",
  ];
  assertEquals(await askDataset(server, { dataset: "large", texts }), [
    [[`${size + 1}`, `${size + 1}`, `${size + 1}`]],
    [[`${size}`]],
  ]);
  unwrapOrThrow(await adapter.materialise(TODOS));
  const rows = await askDataset(server, {
    dataset: "large",
    texts: ["SELECT COUNT(*), SUM(n) FROM todos"],
  });
  assertEquals(rows, [[[`${size}`, String(size * (size - 1) / 2)]]]);
  await adapter.close();
});

test("BigQuery: a source reads values of every type, and makes no tables", async () => {
  await using server = await startBigQuery();
  await server.makeDataset("lake");
  const raw = unwrapOrThrow(await bigqueryServer(optionsFor(server, { dataset: "lake" })));
  const ask = async (text: string) =>
    unwrapOrThrow(await raw.transaction((work) => work.run({ text, parameters: [] })));
  await ask("CREATE TABLE v (a INT64, b FLOAT64, c BOOL, d TIMESTAMP, e BYTES, f JSON, g DATE)");
  await ask(
    "INSERT INTO v (a, b, c, d, e, f, g) SELECT 9223372036854775807, CAST('0.1' AS FLOAT64), TRUE, " +
      "CAST('1969-12-31 23:59:59.000001+00' AS TIMESTAMP), CAST('ab' AS BYTES), " +
      "PARSE_JSON('[1]', wide_number_mode=>'round'), CAST('2026-01-02' AS DATE)",
  );
  assertEquals(await ask("SELECT a, b, c, d, e, f, g FROM v"), [[
    "9223372036854775807",
    "0.1",
    "true",
    "1969-12-31T23:59:59.000001Z",
    "\\x6162",
    "[1]",
    "2026-01-02",
  ]]);
  assertEquals(server.requests.some(({ body }) => body.includes("lakesync_head")), false);
  await raw.close();
});

test("BigQuery: a cursor of numbers is read page by page, ties apart, and from where it was", async () => {
  await using server = await startBigQuery();
  await server.makeDataset("lake");
  const raw = unwrapOrThrow(await bigqueryServer(optionsFor(server, { dataset: "lake" })));
  const ask = async (text: string) =>
    unwrapOrThrow(await raw.transaction((work) => work.run({ text, parameters: [] })));
  await ask("CREATE TABLE v (k INT64, version INT64)");
  await ask("INSERT INTO v (k, version) SELECT 9, 5");
  for (const [k, version] of [[10, 5], [11, 5], [2, 10], [1, 100]]) {
    await ask(`INSERT INTO v (k, version) SELECT ${k}, ${version}`);
  }
  const source = sqlCursorSource({
    name: "v",
    open: () => bigqueryServer(optionsFor(server, { dataset: "lake" })),
    query: "SELECT k, version FROM v",
    key: "k",
    cursor: "version",
    overlap: 0,
    batchSize: 2,
    to: defineTable("v", { k: integer(), version: integer() }).schema,
  });
  let cursor: string | undefined;
  const read = async () => {
    const keys: string[] = [];
    for await (const batch of source.read({ cursor })) {
      const { changes, cursor: next } = unwrapOrThrow(batch);
      keys.push(...changes.map(({ rowId }) => rowId));
      cursor = next;
    }
    return keys;
  };
  assertEquals(await read(), ["9", "10", "11", "2", "1"]);
  await ask("INSERT INTO v (k, version) SELECT 3, 101");
  assertEquals(await read(), ["3"]);
  await source.close();
  await raw.close();
});
