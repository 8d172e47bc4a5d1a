import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { defineTable, string } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { defineLake, loadConfig } from "./config.ts";
import type { FrontConfig } from "./config_front.ts";

test("defineLake() gives back what it gets", () => {
  const config = { tables: [defineTable("todos", { title: string() })], flushEvery: 5 };
  assertEquals(defineLake(config), config);
});

const TODOS = `{ schema: { table: "todos", version: 1, columns: [] } }`;

test("loadConfig() reads tables and flushEvery", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "lakesync.config.ts");
    await writeFile(path, `export default { tables: [${TODOS}], flushEvery: 0.5 };`);
    assertEquals(await loadConfig(path), {
      ok: true,
      value: {
        tables: [{ table: "todos", version: 1, columns: [] }],
        rules: undefined,
        limits: {},
        rates: undefined,
        front: {},
        shards: [],
        lake: undefined,
        destinations: {},
        flushEvery: 0.5,
        flushAt: undefined,
      },
    });
  }));

const OWN = `{ version: 1, buckets: [{ name: "own", tables: ["todos"], filters: [
  { column: "id", op: "eq", value: "jwt:sub" }] }] }`;

test("loadConfig() reads rules about its tables", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "lakesync.config.ts");
    await writeFile(path, `export default { tables: [${TODOS}], rules: ${OWN} };`);
    const loaded = await loadConfig(path);
    assert(loaded.ok);
    assertEquals(loaded.value.rules?.buckets[0]?.filters, [
      { column: "id", op: "eq", value: "jwt:sub" },
    ]);
  }));

test("loadConfig() reads limits and rates", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "lakesync.config.ts");
    const limits = { retentionMs: 1000, bodiesBytes: 5, maxLagEntries: Infinity };
    const rates = { perClient: { perSecond: 0.5, burst: 3 } };
    await writeFile(
      path,
      `export default { tables: [], limits: { retentionMs: 1000, bodiesBytes: 5,
        maxLagEntries: Infinity }, rates: ${JSON.stringify(rates)} };`,
    );
    const loaded = await loadConfig(path);
    assert(loaded.ok);
    assertEquals([loaded.value.limits, loaded.value.rates], [limits, rates]);
  }));

test("loadConfig() reads where the lake is, and what a flush does not wait with", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "lakesync.config.ts");
    const maintain = { every: 600, compact: false, deletes: "vectors" };
    const checkpoints = "s3://b/first";
    const lake = {
      maintain,
      checkpoints,
      region: "auto",
      catalogue: { url: "http://c", vended: true, sigv4: "glue" },
    };
    const flushAt = { rows: 10_000, bytes: 1_000_000 };
    await writeFile(
      path,
      `export default { tables: [], ...${JSON.stringify({ lake, flushAt })} };`,
    );
    const loaded = await loadConfig(path);
    assert(loaded.ok);
    assertEquals(loaded.value.lake, lake as typeof loaded.value.lake);
    assertEquals(loaded.value.flushAt, flushAt);
  }));

test("loadConfig() reads who is let in, and shards", () =>
  withTempDir(async (dir) => {
    const path = join(dir, "lakesync.config.ts");
    const front = {
      origins: ["https://app.example.org"],
      https: true,
      metrics: "open",
      ready: "admin",
    };
    const shards = [{ name: "tasks", tables: ["todos"] }];
    await writeFile(
      path,
      `export default { tables: [${TODOS}], shards: ${JSON.stringify(shards)}, ...${
        JSON.stringify(front)
      } };`,
    );
    const loaded = await loadConfig(path);
    assert(loaded.ok);
    assertEquals([loaded.value.front, loaded.value.shards], [front as FrontConfig, shards]);
  }));

const FAULTS: readonly [source: string, reason: string][] = [
  ["export default { tables: [], lake: 's3://b' };", "lake is no object"],
  ["export default { tables: [], lake: { uri: 'x' } };", "lake.uri is not known"],
  [
    "export default { tables: [], lake: { maintain: { every: -1 } } };",
    "lake.maintain.every is no",
  ],
  [
    "export default { tables: [], lake: { maintain: { every: '9' } } };",
    "lake.maintain.every is no",
  ],
  ["export default { tables: [], lake: { maintain: 60 } };", "lake.maintain is no object"],
  [
    "export default { tables: [], lake: { maintain: { deletes: 'no' } } };",
    "lake.maintain.deletes is none of rewrite, positions, vectors, equality",
  ],
  ["export default { tables: [], lake: { checkpoints: true } };", "lake.checkpoints is no text"],
  [
    "export default { tables: [], lake: { format: 'csv' } };",
    "lake.format is none of iceberg, json",
  ],
  ["export default { tables: [], lake: { catalogue: {} } };", "lake.catalogue.url is missing"],
  [
    "export default { tables: [], lake: { catalogue: { url: 1 } } };",
    "lake.catalogue.url is no text",
  ],
  [
    "export default { tables: [], flushAt: { rows: 0 } };",
    "flushAt.rows is not a number from 1 on",
  ],
  ["export default { tables: [], flushAt: { age: 1 } };", "flushAt.age is not known"],
  ["export const a = 1;", "it has no default export"],
  ["export default { tables: 1 };", "tables is not a list"],
  ["export default { tables: [{}] };", "tables[0] is not a table, make it with defineTable"],
  [`export default { tables: [${TODOS}, ${TODOS}] };`, 'tables[1].table "todos" is there already'],
  [
    "export default { tables: [], flushEvery: 0 };",
    "flushEvery is not a number of seconds above 0",
  ],
  [
    `export default { tables: [], rules: ${OWN.replaceAll("\n", "")} };`,
    "rules: buckets[0].tables[0] is not the name of a table",
  ],
  ["export default { tables: [], tabels: [] };", '"tabels" is not known'],
  ["export default { tables: [], limits: 5 };", "limits is no object of numbers"],
  ["export default { tables: [], limits: { bodyByte: 5 } };", 'limits: "bodyByte" is not known'],
  [
    "export default { tables: [], limits: { bodyBytes: 0 } };",
    "limits.bodyBytes is not a number above 0",
  ],
  ["export default { tables: [], rates: { each: {} } };", 'rates: "each" is not known'],
  [
    "export default { tables: [], rates: { perClient: { perSecond: 0 } } };",
    "rates.perClient is not { perSecond, burst }",
  ],
  ['export default { tables: [], origins: ["*"] };', "origins[0] is no exact origin"],
  ['export default { tables: [], origins: "https://a.example" };', "origins is not a list"],
  ['export default { tables: [], metrics: "closed" };', 'metrics is not "off", "admin" or "open"'],
  ["export default { tables: [], https: 1 };", "https is not true or false"],
  ["export default { tables: [], shards: {} };", "shards is not a list"],
  ['export default { tables: [], shards: [{ name: "a.b" }] };', "shards[0].name is not 1 to 32"],
  [
    'export default { tables: [], shards: [{ name: "a", tables: [] }] };',
    "shards[0].tables is not",
  ],
  [
    'export default { tables: [], shards: [{ name: "a", tables: ["b"] }] };',
    "shards[0].tables[0] is not the name of a table",
  ],
  [
    `export default { tables: [${TODOS}], shards: [{ name: "a", tables: ["todos"] }, {
      name: "b", tables: ["todos"] }] };`.replaceAll("\n", ""),
    'shards[1].tables[0] "todos" is in the shard "a" already',
  ],
  ["export default {", "Cannot load"],
  ['throw new Error("boom");', "boom"],
];
for (const [i, [source, reason]] of FAULTS.entries()) {
  test(`loadConfig() names the fault of ${source}`, () =>
    withTempDir(async (dir) => {
      const path = join(dir, `fault${i}.config.ts`);
      await writeFile(path, source);
      const loaded = await loadConfig(path);
      assert(!loaded.ok);
      assertEquals(loaded.error.code, "VALIDATION_ERROR");
      assertStringIncludes(loaded.error.message, reason);
    }));
}
