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
      value: { tables: [{ table: "todos", version: 1, columns: [] }], flushEvery: 0.5 },
    });
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
  ["export default { tables: [], sources: [] };", '"sources" is not known'],
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
