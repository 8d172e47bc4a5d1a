// Flows without a log: `copy`.
import { assert, assertEquals } from "@std/assert";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { recordSource } from "@lakesync/adapter-sources";
import { openAnalyst } from "@lakesync/analyst";
import {
  defineTable,
  err,
  LakeSyncError,
  type ObjectStore,
  ok,
  string,
  unwrapOrThrow,
} from "@lakesync/core";
import { ManualClock, Prng, spawnScript, test, withTempDir } from "@lakesync/testing";
import { parseFlows } from "./config_flows.ts";
import type { DestinationFactory } from "./databases.ts";
import { type RunningServer, startServer } from "./server.ts";
import { deltasIn, isRead, jsonIn, statusOf } from "./testdata/flows.ts";

const orders = defineTable("orders", { item: string() });
const tables = [orders.schema];
const LOG = "flow_shop__orders";

/** A server with a flow from a list of items. */
async function start(setting: {
  readonly data: string;
  readonly items: readonly string[];
  readonly destinations: { readonly [name: string]: DestinationFactory };
  readonly copy: boolean;
  readonly scheduler?: ManualClock;
}): Promise<RunningServer> {
  const { data, items, destinations, copy, scheduler } = setting;
  const shop = recordSource({
    name: "shop",
    records: () => items,
    change: (item, index) => ({
      op: "upsert",
      table: "orders",
      rowId: `o${index}`,
      columns: new Map([["item", item]]),
    }),
  });
  const flow = { from: "shop.orders", to: Object.keys(destinations), copy, every: 10 };
  const flows = unwrapOrThrow(
    parseFlows({ sources: { shop }, flows: [flow] }, { tables, destinations }),
  )!;
  const scheduled = scheduler === undefined ? {} : { scheduler };
  return unwrapOrThrow(await startServer({ data, tables, destinations, flows, ...scheduled }));
}

/** What was done to which rows, in order. */
async function changes(store: ObjectStore | undefined): Promise<string[]> {
  const seqs = (await deltasIn(store)).map((line) => line.split(" "));
  return seqs.sort(([a], [b]) => Number(a) - Number(b)).map(([, op, row]) => `${op} ${row}`);
}

test("a flow that is copied takes each record once, over restarts, and goes on with what is new", () =>
  withTempDir(async (data) => {
    const stores = new Map<string, ObjectStore>();
    const destinations = { one: jsonIn(stores), two: jsonIn(stores) };
    const items = ["tea", "milk"];
    for (const item of ["eggs", "bread"]) {
      const scheduler = new ManualClock();
      const server = await start({ data, items, destinations, copy: true, scheduler });
      await statusOf(data, ({ flows }) => flows.length === 2 && flows.every(isRead));
      items.push(item);
      await scheduler.advance(10_000);
      const { flows } = await statusOf(
        data,
        ({ flows }) =>
          flows.every(({ records }) => records === (item === "eggs" ? 3 : 1)) &&
          flows.every(isRead),
      );
      assertEquals(
        flows.map(({ flow, log, destination, records, deltas }) => [
          [flow, log, destination],
          records - deltas,
        ]),
        [[["shop.orders", LOG, "one"], 0], [["shop.orders", LOG, "two"], 0]],
      );
      await server.stop();
    }
    const wanted = items.map((_, i) => `INSERT orders/o${i}`);
    for (const name of ["one", "two"]) {
      assertEquals(await changes(stores.get(`${LOG}/${name}`)), wanted);
    }
  }));

test("of the destinations of a flow that is copied, one that is away holds up no other", () =>
  withTempDir(async (data) => {
    const stores = new Map<string, ObjectStore>();
    let away = true;
    const offline = () => Promise.resolve(err(new LakeSyncError("OFFLINE", "No database today")));
    const pg: DestinationFactory = async (context) => {
      const inner = unwrapOrThrow(await jsonIn(stores)(context));
      return ok({
        name: context.name,
        watermarks: (tables) => away ? offline() : inner.watermarks(tables),
        write: (batch) => inner.write(batch),
      });
    };
    const scheduler = new ManualClock();
    const destinations = { pg, archive: jsonIn(stores) };
    const server = await start({ data, items: ["tea"], destinations, copy: true, scheduler });
    const { flows } = await statusOf(
      data,
      ({ flows }) => flows.some(isRead) && flows.some(({ state }) => state === "failed"),
    );
    assertEquals(
      flows.map(({ destination, state, error }) => [destination, state, error?.code]).sort(),
      [["archive", "waiting", undefined], ["pg", "failed", "OFFLINE"]],
    );
    away = false;
    await scheduler.advance(10_000);
    await statusOf(data, ({ flows }) => flows.every(isRead));
    await server.stop();
    for (const name of ["pg", "archive"]) {
      assertEquals(await changes(stores.get(`${LOG}/${name}`)), ["INSERT orders/o0"]);
    }
  }));

test("a flow is not copied on top of what its log has written; a log goes on top of a copy", () =>
  withTempDir(async (data) => {
    const stores = new Map<string, ObjectStore>();
    const destinations = { archive: jsonIn(stores) };
    const items = ["tea"];
    const logged = await start({ data, items, destinations, copy: false });
    await statusOf(data, ({ flows }) => isRead(flows[0]));
    await logged.stop();
    const refused = await start({ data, items, destinations, copy: true });
    const { flows } = await statusOf(data, ({ flows }) => flows[0]?.state === "failed");
    assertEquals(flows[0]?.error?.code, "CONFLICT");
    await refused.stop();

    const fresh = { later: jsonIn(stores) };
    const copied = await start({ data, items, destinations: fresh, copy: true });
    await statusOf(data, ({ flows }) => flows[0]?.destination === "later" && isRead(flows[0]));
    await copied.stop();
    const again = await start({ data, items, destinations: fresh, copy: false });
    await statusOf(data, ({ flows }) => flows[0]?.destination === undefined && isRead(flows[0]));
    await again.stop();
    const twice = ["INSERT orders/o0", "INSERT orders/o0"];
    assertEquals(await changes(stores.get(`${LOG}/later`)), twice);
  }));

test({
  name: "a server that is killed amid a copy goes on there: each record is in the lake once",
  timeoutMs: 180_000,
}, () =>
  withTempDir(async (dir) => {
    const directory = `${dir}/lake`;
    const config = new URL("./testdata/copy.config.ts", import.meta.url);
    const args = ["--config", config.pathname, "--data", `${dir}/data`, "--port", "0"];
    const prng = new Prng(42);
    const copied = async () => {
      const { flows } = await statusOf(`${dir}/data`, ({ flows }) => flows.length === 1);
      return flows[0]!;
    };
    let amid = 0;
    for (let killed = 0, done = false; !done; killed++) {
      await using serve = spawnScript(new URL("./serve.ts", import.meta.url), {
        args,
        env: { COPY_LAKE: directory },
      });
      assert(await serve.nextJson() !== undefined, serve.stderr);
      // Somewhere within the next commits; after some kills it may end.
      const commits = killed < 6 ? prng.int(0, 8) * 2_000 : Infinity;
      for (let flow = await copied();; flow = await copied()) {
        done = isRead(flow);
        if (done || flow.deltas >= commits) break;
      }
      if (!done) amid++;
      await serve.kill(done ? "SIGTERM" : "SIGKILL");
    }
    assert(amid > 0, "it was killed amid the copy");
    const store = fileObjectStore({ directory: `${directory}/flow_counted__numbers` });
    const lake = icebergLake({ store });
    const analyst = unwrapOrThrow(await openAnalyst({ lake }));
    const { rows } = unwrapOrThrow(
      await analyst.query(
        "SELECT count(*) AS n, count(DISTINCT id) AS ids, min(n) AS low, max(n) AS high FROM numbers_changes",
      ),
    );
    await analyst.close();
    assertEquals(Object.values(rows[0]!).map(Number), [60_000, 60_000, 0, 59_999]);
  }));
