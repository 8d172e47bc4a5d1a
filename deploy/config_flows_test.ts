import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, assertEquals } from "@std/assert";
import { defineTable, ok, type Source, type SourceBatch, string } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { defineLake, loadConfig } from "./config.ts";
import { type LoadedFlows, parseFlows } from "./config_flows.ts";
import type { DestinationFactory } from "./databases.ts";
import { flowSource } from "./flows_source.ts";

const orders = defineTable("orders", { item: string() });
const users = defineTable("users", { name: string() });
const tables = [orders.schema, users.schema];
const nowhere: DestinationFactory = ({ name }) =>
  Promise.resolve(ok({
    name,
    watermarks: () => Promise.resolve(ok(new Map())),
    write: () => Promise.resolve(ok(new Map())),
  }));
const shop: Source = { name: "other", async *read() {} };

test("defineLake() has the compiler check the names in flows", () => {
  const declared = { tables: [orders, users], destinations: { pg: nowhere }, sources: { shop } };
  const config = defineLake({
    ...declared,
    flows: [
      { from: "shop.orders", to: ["lake", "gateway", "pg"], every: 5 },
      { from: "gateway.users", to: ["lake", "pg"] },
      // @ts-expect-error: there is no source "shpo"
      { from: "shpo", to: ["gateway"] },
      // @ts-expect-error: there is no table "order"
      { from: "shop.order", to: ["gateway"] },
      // @ts-expect-error: there is no destination "gp"
      { from: "gateway", to: ["gp"] },
      // @ts-expect-error: deltas of the gateway are not filtered
      { from: "gateway", to: ["lake"], where: () => true },
    ],
  });
  assertEquals(config.flows?.length, 6);
});

const parsed = (flows: unknown, sources: unknown = { shop }) =>
  parseFlows({ sources, flows }, { tables, destinations: { pg: nowhere, archive: nowhere } });

function loaded(flows: unknown): LoadedFlows {
  const result = parsed(flows);
  assert(result.ok && result.value !== undefined);
  return result.value;
}

test("without a flow from the gateway, all goes to the lake and to destinations that no flow names", () => {
  assertEquals([...loaded([]).routes.keys()], ["lake", "pg", "archive"]);
  const { routes, flows, sources } = loaded([{ from: "shop", to: ["gateway", "archive"] }]);
  assertEquals([...routes.keys()], ["lake", "pg"]);
  assertEquals(
    flows.map(({ from, toGateway, direct, every }) => [from, toGateway, direct, every]),
    [
      ["shop", true, ["archive"], 60],
    ],
  );
  assertEquals(sources.map(({ name }) => name), ["shop"]);
});

test("flows from the gateway say all that leaves it; tables of several add up", () => {
  const { routes } = loaded([
    { from: "gateway.orders", to: ["pg"] },
    { from: "gateway.users", to: ["pg", "lake"] },
    { from: "gateway.orders", to: ["archive"] },
    { from: "gateway", to: ["archive"] },
  ]);
  assertEquals(
    routes,
    new Map([
      ["pg", new Set(["orders", "users"])],
      ["lake", new Set(["users"])],
      ["archive", undefined],
    ]),
  );
});

test("the lake of a flow is the gateway's where it goes through that, else its own", () => {
  const directOf = (flows: unknown) => loaded(flows).flows.map(({ direct }) => direct);
  const both = { from: "shop.orders", to: ["lake", "gateway", "pg"] };
  const own = { from: "shop", to: ["lake"] };
  assertEquals(directOf([both, own]), [["pg"], ["lake"]]);
  // Neither takes anything away from the gateway's own.
  assertEquals([...loaded([both, own]).routes.keys()], ["lake", "archive"]);
  const users = { from: "gateway.users", to: ["pg"] };
  assertEquals(
    loaded([users, both]).routes,
    new Map([["pg", new Set(["users"])], ["lake", new Set(["orders"])]]),
  );
  assertEquals(loaded([users, { ...both, from: "shop" }]).routes.get("lake"), undefined);
  assertEquals(loaded([users, own]).routes.has("lake"), false);
});

test("faults in sources and flows are named by their path", () => {
  const fault = (...args: Parameters<typeof parsed>) => {
    const result = parsed(...args);
    assert(!result.ok);
    assertEquals(result.error.code, "VALIDATION_ERROR");
    return result.error.message;
  };
  const good = { from: "shop", to: ["gateway"] };
  const copied = { from: "shop.orders", to: ["pg"], copy: true };
  assertEquals(
    [
      fault([], 3),
      fault([], { "a-b": shop }),
      fault([], { gateway: shop }),
      fault([], { shop: {} }),
      fault("all"),
      fault([null]),
      fault([good, { ...good, form: 1 }]),
      fault([{ to: [] }]),
      fault([{ ...good, from: "a.b.c" }]),
      fault([{ ...good, from: "shop.order" }]),
      fault([{ ...good, from: "shpo" }]),
      fault([{ ...good, to: [] }]),
      fault([{ ...good, to: ["gateway", "lakes"] }]),
      fault([{ ...good, to: ["gateway", "gateway"] }]),
      fault([{ from: "gateway", to: ["gateway"] }]),
      fault([{ from: "gateway", to: ["lake"], every: 3 }]),
      fault([good, good]),
      fault([{ ...good, every: 0 }]),
      fault([{ ...good, map: "no" }]),
      fault([{ ...copied, copy: "yes" }]),
      fault([{ ...copied, copy: { commitRecords: 0 } }]),
      fault([{ ...copied, copy: { rows: 1 } }]),
      fault([{ ...copied, from: "shop" }]),
      fault([{ ...copied, to: ["gateway", "pg"] }]),
      fault([{ ...copied, where: () => true }]),
      fault([copied], { shop: { ...shop, stateful: true } }),
    ],
    [
      "sources is no object of names and sources",
      'sources: "a-b" is no identifier',
      "sources.gateway: that is the gateway's name, take another",
      "sources.shop is no source: it has no read()",
      "flows is not a list of { from, to }",
      "flows[0] is no { from, to }",
      'flows[1]: "form" is not known, take it out',
      "flows[0].from is not a name",
      'flows[0].from "a.b.c" is neither a name nor NAME.TABLE',
      'flows[0].from "shop.order": there is no table "order"',
      'flows[0].from "shpo": there is no source "shpo"',
      "flows[0].to is not a list of names",
      'flows[0].to[1] "lakes" is neither "gateway" nor "lake" nor a destination',
      "flows[0].to names one destination twice",
      'flows[0].to[0] "gateway" is neither "lake" nor a destination',
      "flows[0]: every, where, map and copy are for flows from a source",
      'flows[1].from "shop" has a flow already: put both into one',
      "flows[0].every is not a number of seconds above 0",
      "flows[0].map is no function",
      "flows[0].copy is neither true nor { commitRecords: 1 to 1,000,000 }",
      "flows[0].copy is neither true nor { commitRecords: 1 to 1,000,000 }",
      "flows[0].copy is neither true nor { commitRecords: 1 to 1,000,000 }",
      'flows[0].copy is of one table: write "shop.TABLE" in from',
      'flows[0].copy goes past every log: take "gateway" out of to',
      "flows[0].copy does not know which rows were let through before: take where out, or copy",
      'flows[0].copy is not for source "shop", which keeps something for its reader: take it out',
    ],
  );
});

test("a flow that is copied has its table, and how many records a commit has", () => {
  const copyOf = (copy: unknown) =>
    loaded([{ from: "shop.orders", to: ["pg"], copy }]).flows[0]?.copy;
  assertEquals(copyOf(true), { table: orders.schema });
  assertEquals(copyOf({ commitRecords: 5 }), { table: orders.schema, commitRecords: 5 });
  assertEquals(copyOf(false), undefined);
});

test("loadConfig() reads sources and flows, and names the file where they are wrong", () =>
  withTempDir(async (dir) => {
    const write = async (name: string, from: string) => {
      const path = join(dir, name);
      await writeFile(
        path,
        `export default { tables: [], sources: { shop: { name: "shop", async *read() {} } },
          flows: [{ from: "${from}", to: ["gateway"] }] };`,
      );
      return path;
    };
    const good = await loadConfig(await write("good.ts", "shop"));
    assertEquals(good.ok && good.value.flows?.flows[0]?.from, "shop");
    const path = await write("bad.ts", "pohs");
    const bad = await loadConfig(path);
    assertEquals(
      !bad.ok && bad.error.message,
      `${path}: flows[0].from "pohs": there is no source "pohs"`,
    );
  }));

test("a flow's source has its table's records, mapped; one that does not count is deleted", async () => {
  const source: Source = {
    name: "shop",
    async *read({ cursor }) {
      await Promise.resolve();
      const change = (table: string, rowId: string) =>
        ({ op: "upsert", table, rowId, columns: new Map([["item", cursor ?? "none"]]) }) as const;
      yield ok({
        changes: [change("orders", "keep"), change("orders", "drop"), change("users", "u")],
        cursor: "next",
      });
    },
  };
  const [flow] = loaded([{
    from: "shop.orders",
    to: ["gateway"],
    where: ({ rowId }: { rowId: string }) => rowId !== "drop",
    map: (change: { rowId: string }) => ({ ...change, rowId: `${change.rowId}!` }),
  }]).flows;
  const made = flowSource({ ...flow!, source }, { tables: undefined });
  assertEquals(made.name, "shop.orders");
  const batches = await Array.fromAsync(made.read({ cursor: "c" }));
  assertEquals(batches, [ok<SourceBatch>({
    changes: [
      { op: "upsert", table: "orders", rowId: "keep!", columns: new Map([["item", "c"]]) },
      { op: "delete", table: "orders", rowId: "drop!", columns: new Map() },
    ],
    cursor: "next",
  })]);
  const none = flowSource({ ...flow!, source }, { tables: new Set(["users"]) });
  assertEquals(await Array.fromAsync(none.read({ cursor: "c" })), [
    ok<SourceBatch>({ changes: [], cursor: "next" }),
  ]);
});
