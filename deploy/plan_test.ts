import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { defineTable, ok, string, unwrapOrThrow } from "@lakesync/core";
import { spawnScript, test, withTempDir } from "@lakesync/testing";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { loadConfig } from "./config.ts";
import { type Declared, planChanges } from "./plan.ts";
import { readDeclared } from "./plan_file.ts";
import { startServer } from "./server.ts";

const { schema: orders } = defineTable("orders", { item: string() });
const { schema: users } = defineTable("users", { name: string() });
const BEFORE: Declared = {
  tables: [orders, users],
  rules: null,
  shards: [],
  routes: [["lake", null], ["pg", ["orders"]], ["old", null]],
  flows: [
    { from: "shop", to: ["gateway", "pg"], every: 60 },
    { from: "crm", to: ["gateway"], every: 60 },
  ],
};
const told = (after: Declared, before: Declared = BEFORE) =>
  planChanges(before, after).map(({ kind, text }) => `${kind}: ${text}`);

test("a configuration that has not changed does nothing", () => {
  assertEquals(told(BEFORE), []);
});

test("tables that grow are told; what would narrow or move is refused", () => {
  const { schema: grown } = defineTable(
    "orders",
    { item: string().nullable(), note: string().nullable() },
    { version: 2 },
  );
  const { schema: more } = defineTable("more", { a: string() });
  assertEquals(told({ ...BEFORE, tables: [grown, users, more] }), [
    'note: column "item" of table "orders" may be null',
    'note: column "note" of table "orders" is new',
    'note: table "orders" goes from version 1 to 2',
    'note: table "more" is new',
  ]);
  assertEquals(told({ ...BEFORE, tables: [orders] }), [
    'refused: Table "users" is left out: a set of tables only grows, put it back',
  ]);
  assertEquals(told({ ...BEFORE, shards: [{ name: "a", tables: ["users"] }] }), [
    'refused: table "users" would move from no shard to shard "a": leave it where its log is',
  ]);
});

test("what destinations get, and no longer get, is told", () => {
  assertEquals(
    told({
      ...BEFORE,
      rules: { version: 1, buckets: [] },
      routes: [["lake", ["orders"]], ["pg", null], ["new", ["users"]]],
    }),
    [
      "note: the rules change: clients whose rows change take a checkpoint",
      'warning: destination "lake" gets nothing more of "users"; what it has stays',
      'note: destination "pg" gets "users" too',
      'note: destination "new" is new: the next flush writes "users" there',
      'warning: destination "old" gets nothing more; what it has stays',
    ],
  );
});

test("flows that begin, end and change are told", () => {
  assertEquals(
    told({
      ...BEFORE,
      flows: [{ from: "shop", to: ["gateway", "old"], every: 5 }, {
        from: "web",
        to: ["gateway"],
        every: 60,
      }],
    }),
    [
      'note: flow "shop" goes to "old" too: all that it had so far and what comes',
      'warning: flow "shop" goes to "pg" no longer; what is there stays',
      'note: flow "shop" is read every 5 s',
      'note: flow "web" is new: it is read from where it was left, or from the beginning',
      'warning: flow "crm" ends; what it brought stays, and so does its place',
    ],
  );
});

test("a flow that is copied from now on, or no longer, is warned of", () => {
  const logged = { from: "shop.orders", to: ["pg"], every: 60 };
  const [log, copy] = [[logged], [{ ...logged, copy: true as const }]]
    .map((flows): Declared => ({ ...BEFORE, flows }));
  assertEquals(told(copy!, log), [
    'warning: flow "shop.orders" is to be copied: it fails where its destinations have something of its log, declare new ones',
  ]);
  assertEquals(told(log!, copy), [
    'warning: flow "shop.orders" is copied no longer: it is read and written once more, by a log',
  ]);
});

test("deno task plan compares a configuration with what the server was last started with", () =>
  withTempDir(async (dir) => {
    const data = join(dir, "data");
    const write = async (name: string, tables: readonly unknown[], more = "") => {
      const path = join(dir, name);
      const listed = JSON.stringify(tables.map((schema) => ({ schema })));
      await writeFile(path, `export default { tables: ${listed}${more} };`);
      return path;
    };
    const plan = (config: string) =>
      spawnScript(new URL("./plan_list.ts", import.meta.url), {
        args: ["--config", config, "--data", data],
      });
    const shop = `, sources: { shop: { name: "shop", async *read() {} } },
      flows: [{ from: "shop", to: ["gateway"] }]`;
    const first = await write("first.ts", [orders, users], shop);
    const fresh = plan(first);
    assertEquals((await fresh.exited).code, 0);
    assertStringIncludes(
      await fresh.stdoutMatch(/^([^]*)$/),
      'table "orders" is new\ntable "users" is new\ndestination "lake" is new',
    );
    assertEquals(await readDeclared(data), ok(undefined));

    const { tables, flows } = unwrapOrThrow(await loadConfig(first));
    const server = unwrapOrThrow(await startServer({ data, tables, flows: flows! }));
    await server.stop();
    const same = plan(first);
    assertEquals((await same.exited).code, 0);
    assertEquals(await same.stdoutMatch(/^([^]*)$/), "nothing changes\n");
    const less = plan(await write("less.ts", [orders]));
    assertEquals((await less.exited).code, 1);
    assertEquals(
      await less.stdoutMatch(/^([^]*)$/),
      'refused: Table "users" is left out: a set of tables only grows, put it back\n' +
        'warning: flow "shop" ends; what it brought stays, and so does its place\n',
    );
    assertEquals((await plan(await write("bad.ts", [orders], ", x: 1")).exited).code, 2);
    await writeFile(join(data, "declared.json"), "{}");
    const corrupt = await readDeclared(data);
    assertEquals(corrupt.ok || corrupt.error.code, "CORRUPT");
  }));
