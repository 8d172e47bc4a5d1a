import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { defineTable, string } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { defineLake, loadConfig } from "./config.ts";

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
        flushEvery: 0.5,
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

const FAULTS: readonly [source: string, reason: string][] = [
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
  ["export default { tables: [], sources: [] };", '"sources" is not known'],
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
