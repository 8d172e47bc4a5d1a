import { writeFile } from "node:fs/promises";
import { assert, assertEquals } from "@std/assert";
import { recordSource } from "@lakesync/adapter-sources";
import {
  defineTable,
  err,
  LakeSyncError,
  type ObjectStore,
  ok,
  type PullAnswer,
  type Source,
  string,
  unwrapOrThrow,
} from "@lakesync/core";
import { ManualClock, spawnScript, test, withTempDir } from "@lakesync/testing";
import { parseFlows } from "./config_flows.ts";
import type { DestinationFactory, Destinations } from "./databases.ts";
import { readFlowsStatus } from "./flows_status.ts";
import { type RunningServer, startServer } from "./server.ts";
import { deltasIn, isRead, jsonIn, statusOf } from "./testdata/flows.ts";

const orders = defineTable("orders", { item: string() });
const users = defineTable("users", { name: string() });
const tables = [orders.schema, users.schema];

/** A source of orders that may be added to. */
function shopOf(items: string[]): Source {
  return recordSource({
    name: "shop",
    records: () => items,
    change: (item, index) => ({
      op: "upsert",
      table: "orders",
      rowId: `o${index}`,
      columns: new Map([["item", item]]),
    }),
  });
}

interface Setting {
  readonly data: string;
  readonly flows: unknown;
  readonly sources?: unknown;
  readonly destinations?: Destinations;
  readonly scheduler?: ManualClock;
  readonly shards?: readonly { name: string; tables: readonly string[] }[];
}

async function start(setting: Setting): Promise<RunningServer> {
  const { destinations = {}, flows, sources, ...rest } = setting;
  const parsed = unwrapOrThrow(parseFlows({ flows, sources }, { tables, destinations }));
  return unwrapOrThrow(
    await startServer({
      ...rest,
      store: { kind: "sqlite" },
      tables,
      destinations,
      flows: parsed!,
    }),
  );
}

/** Pulls until there are so many items; each pull is held until something comes. */
async function pulled({ url }: { url: string }, count: number): Promise<string[]> {
  const items: string[] = [];
  for (let cursor = ""; items.length < count;) {
    const query = new URLSearchParams({ clientId: "reader", wait: "60", cursor });
    const answer = await (await fetch(`${url}/v1/sync/default/pull?${query}`)).json() as PullAnswer;
    for (const item of answer.deltas) {
      assert(item.op !== "OWN");
      items.push(`${item.op ?? ""} ${item.table}/${item.rowId}`);
    }
    cursor = answer.cursor;
  }
  return items;
}

test("a source flows into the gateway every so often, and its new records arrive", () =>
  withTempDir(async (data) => {
    const items = ["tea", "milk"];
    const scheduler = new ManualClock();
    await using server = closing(
      await start({
        data,
        sources: { shop: shopOf(items) },
        flows: [{ from: "shop", to: ["gateway"], every: 5 }],
        scheduler,
      }),
    );
    assertEquals(await pulled(server, 2), ["INSERT orders/o0", "INSERT orders/o1"]);
    items.push("eggs");
    await scheduler.advance(5_000);
    assertEquals((await pulled(server, 3)).at(-1), "INSERT orders/o2");
  }));

test("a client pulls from a declared source by its name", () =>
  withTempDir(async (data) => {
    await using server = closing(
      await start({ data, sources: { shop: shopOf(["tea"]) }, flows: [] }),
    );
    const url = `${server.url}/v1/sync/default/pull?clientId=reader`;
    const answer = await (await fetch(`${url}&source=shop`)).json() as PullAnswer;
    assertEquals(answer.deltas.map((item) => item.op), ["ENTER"]);
    assertEquals(
      (await fetch(`${url}&source=pohs`).then((r) => r.body?.cancel().then(() => r)))?.status,
      404,
    );
  }));

test("a source that fails is told of and tried again; what came before stays", () =>
  withTempDir(async (data) => {
    const scheduler = new ManualClock();
    let broken = true;
    const source = shopOf(["tea", "milk"]);
    const shop: Source = {
      name: "shop",
      async *read(options) {
        if (broken) yield err(new LakeSyncError("OFFLINE", "No shop today"));
        else yield* source.read(options);
      },
    };
    const setting = { data, sources: { shop }, flows: [{ from: "shop", to: ["gateway"] }] };
    const server = await start({ ...setting, scheduler });
    const failed = await statusOf(data, ({ flows }) => flows[0]?.state === "failed");
    assertEquals(failed.flows[0]?.error, { code: "OFFLINE", message: "No shop today" });
    broken = false;
    await scheduler.advance(30_000);
    assertEquals((await pulled(server, 2)).length, 2);
    await server.stop();
    const { flows: [flow], destinations } = unwrapOrThrow(await readFlowsStatus(data));
    assertEquals([flow?.flow, flow?.log, flow?.state, flow?.records, flow?.deltas, flow?.error], [
      "shop",
      "default",
      "waiting",
      2,
      2,
      null,
    ]);
    assert(flow!.readAt! > 0);
    assertEquals(destinations, [
      { log: "default", destination: "lake", flushedSeq: 2, lag: 0, cutOff: false },
    ]);
  }));

test("each destination gets the tables that flow there, and nothing else", () =>
  withTempDir(async (data) => {
    const stores = new Map<string, ObjectStore>();
    const destinations = { pg: jsonIn(stores), archive: jsonIn(stores) };
    const both: Source = {
      name: "both",
      async *read({ cursor }) {
        await Promise.resolve();
        if (cursor !== undefined) return;
        const columns = new Map([["item", "tea"]]);
        yield ok({
          changes: [
            { op: "upsert", table: "orders", rowId: "o", columns },
            { op: "upsert", table: "users", rowId: "u", columns: new Map([["name", "Ann"]]) },
          ],
          cursor: "1",
        });
      },
    };
    const server = await start({
      data,
      sources: { both },
      destinations,
      flows: [
        { from: "both", to: ["gateway"] },
        { from: "gateway.orders", to: ["pg"] },
        { from: "gateway", to: ["archive"] },
      ],
    });
    await pulled(server, 2);
    await server.stop();
    assertEquals(await deltasIn(stores.get("default/pg")), ["1 INSERT orders/o"]);
    assertEquals(await deltasIn(stores.get("default/archive")), [
      "1 INSERT orders/o",
      "2 INSERT users/u",
    ]);
  }));

test("a flow without a gateway takes each record once over restarts, and no client sees it", () =>
  withTempDir(async (data) => {
    const stores = new Map<string, ObjectStore>();
    const items = ["tea", "milk"];
    const setting = {
      data,
      sources: { shop: shopOf(items) },
      destinations: { archive: jsonIn(stores) },
      flows: [{ from: "shop.orders", to: ["archive"] }],
    };
    for (const item of ["eggs", "bread"]) {
      const server = await start(setting);
      await statusOf(data, ({ flows }) => isRead(flows[0]));
      const stats = await fetch(`${server.url}/v1/admin/flow_shop__orders/stats`);
      await stats.body?.cancel();
      assertEquals(stats.status, 404);
      const own = await (await fetch(`${server.url}/v1/admin/default/stats`)).json();
      assertEquals(own.head, 0);
      await server.stop();
      items.push(item);
    }
    assertEquals(await deltasIn(stores.get("flow_shop__orders/archive")), [
      "1 INSERT orders/o0",
      "2 INSERT orders/o1",
      "3 INSERT orders/o2",
    ]);
  }));

test("a destination that is away holds up no other, and gets everything when it is back", () =>
  withTempDir(async (data) => {
    const stores = new Map<string, ObjectStore>();
    const archive = jsonIn(stores);
    let away = true;
    const pg: DestinationFactory = async (context) => {
      const inner = unwrapOrThrow(await jsonIn(stores)(context));
      const offline = () => Promise.resolve(err(new LakeSyncError("OFFLINE", "No database today")));
      return ok({
        name: context.name,
        watermarks: (tables) => away ? offline() : inner.watermarks(tables),
        write: (batch) => away ? offline() : inner.write(batch),
      });
    };
    const scheduler = new ManualClock();
    const items = ["tea"];
    const server = await start({
      data,
      sources: { shop: shopOf(items) },
      destinations: { pg, archive },
      flows: [{ from: "shop", to: ["pg", "archive"], every: 10 }],
      scheduler,
    });
    const failed = await statusOf(data, ({ flows }) => flows[0]?.state === "failed");
    assertEquals(failed.flows[0]?.error?.code, "OFFLINE");
    const own = "flow_shop";
    assertEquals(await deltasIn(stores.get(`${own}/archive`)), ["1 INSERT orders/o0"]);
    assertEquals(await deltasIn(stores.get(`${own}/pg`)), []);
    items.push("milk");
    away = false;
    await scheduler.advance(10_000);
    await statusOf(data, ({ flows }) => isRead(flows[0]) && flows[0].records === 2);
    for (const name of ["archive", "pg"]) {
      assertEquals(await deltasIn(stores.get(`${own}/${name}`)), [
        "1 INSERT orders/o0",
        "2 INSERT orders/o1",
      ]);
    }
    await server.stop();
  }));

test("a source that does not heed its signal does not keep the server from stopping", () =>
  withTempDir(async (data) => {
    const asked = Promise.withResolvers<void>();
    const shop: Source = {
      name: "shop",
      // deno-lint-ignore require-yield -- it hangs before it has anything
      async *read() {
        asked.resolve();
        await new Promise(() => {});
      },
    };
    const scheduler = new ManualClock();
    const server = await start({
      data,
      sources: { shop },
      flows: [{ from: "shop", to: ["gateway"] }],
      scheduler,
    });
    await asked.promise;
    const { store } = server.gateways[0]!;
    let stopped = false;
    const stopping = server.stop().then(() => stopped = true);
    while (!stopped) await scheduler.advance(1_000);
    await stopping;
    const head = await store.head();
    assertEquals(head.ok || head.error.code, "CLOSED");
  }));

test("serve --config runs the flows that it declares", () =>
  withTempDir(async (dir) => {
    const config = `${dir}/lakesync.config.ts`;
    await writeFile(
      config,
      `const columns = new Map([["item", "tea"]]);
      const changes = [{ op: "upsert", table: "orders", rowId: "o0", columns }];
      export default {
        tables: [{ schema: ${JSON.stringify(orders.schema)} }],
        sources: {
          shop: {
            name: "shop",
            async *read({ cursor }) {
              if (cursor === undefined) yield { ok: true, value: { changes, cursor: "1" } };
            },
          },
        },
        flows: [{ from: "shop", to: ["gateway"] }],
      };`,
    );
    const args = ["--config", config, "--data", `${dir}/data`, "--port", "0"];
    await using serve = spawnScript(new URL("./serve.ts", import.meta.url), { args });
    const { url } = await serve.nextJson() as { url: string };
    assertEquals(await pulled({ url }, 1), ["INSERT orders/o0"]);
    assertEquals((await serve.kill("SIGTERM")).code, 0);
  }));

test("of a source, each shard takes the records of its tables", () =>
  withTempDir(async (data) => {
    await using server = closing(
      await start({
        data,
        sources: { shop: shopOf(["tea"]) },
        flows: [{ from: "shop", to: ["gateway"] }],
        shards: [{ name: "people", tables: ["users"] }],
      }),
    );
    assertEquals(await pulled(server, 1), ["INSERT orders/o0"]);
    const status = await statusOf(data, ({ flows }) =>
      flows.length === 2 && flows.every((flow) => isRead(flow)));
    assertEquals(status.flows.map(({ log, deltas, error }) => [log, deltas, error]).sort(), [
      ["default", 1, null],
      ["default.people", 0, null],
    ]);
  }));

test("the process that reads a source keeps its lease until it stops", () =>
  withTempDir(async (data) => {
    const server = await start({
      data,
      sources: { shop: shopOf(["tea"]) },
      flows: [{ from: "shop", to: ["gateway"] }],
      scheduler: new ManualClock(),
    });
    await statusOf(data, ({ flows }) => isRead(flows[0]));
    const { store } = server.gateways[0]!;
    const other = { holder: "other", ttlMs: 1_000 };
    assertEquals(await store.acquireLease("flow:shop", other), ok(false));
    await server.stop();
  }));

function closing(server: RunningServer): RunningServer & AsyncDisposable {
  return { ...server, [Symbol.asyncDispose]: () => server.stop() };
}
