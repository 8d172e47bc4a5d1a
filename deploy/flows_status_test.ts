import { writeFile } from "node:fs/promises";
import { assertEquals } from "@std/assert";
import { recordSource } from "@lakesync/adapter-sources";
import {
  defineTable,
  err,
  LakeSyncError,
  silentLogger,
  string,
  systemRandom,
  unwrapOrThrow,
} from "@lakesync/core";
import { createGateway, memoryLogStore } from "@lakesync/gateway";
import { ManualClock, spawnScript, test, withTempDir } from "@lakesync/testing";
import { type OpenSource, parseFlows } from "./config_flows.ts";
import { runFlows } from "./flows.ts";
import { flowsInto } from "./flows_log.ts";
import { type FlowsStatus, FlowsStatusFile, readFlowsStatus } from "./flows_status.ts";

const tables = [defineTable("orders", { item: string() }).schema];
const teaAndMilk = recordSource({
  name: "shop",
  records: () => ["tea", "milk"],
  change: (item, index) => ({
    op: "upsert",
    table: "orders",
    rowId: `o${index}`,
    columns: new Map([["item", item]]),
  }),
});

test("readFlowsStatus() tells a status that is not there from one that is none", () =>
  withTempDir(async (data) => {
    const missing = await readFlowsStatus(data);
    assertEquals(missing.ok || missing.error.code, "NOT_FOUND");
    for (const text of ["{", "{}"]) {
      await writeFile(`${data}/flows.json`, text);
      const found = await readFlowsStatus(data);
      assertEquals(found.ok || found.error.code, "CORRUPT");
    }
  }));

test("deno task flows tells what runs, how far it is and what failed", () =>
  withTempDir(async (data) => {
    const status: FlowsStatus = {
      at: Date.UTC(2025, 0, 1),
      flows: [{
        flow: "shop",
        log: "default",
        state: "failed",
        records: 3,
        deltas: 2,
        readAt: null,
        error: { code: "OFFLINE", message: "No shop today" },
      }, {
        flow: "shop.orders",
        log: "flow_shop__orders",
        destination: "pg",
        state: "reading",
        records: 5_000,
        deltas: 4_000,
        readAt: null,
        error: null,
      }],
      destinations: [{
        log: "default",
        destination: "pg",
        flushedSeq: 3,
        lag: 7,
        cutOff: false,
        attempts: 2,
        error: { code: "CONFLICT", message: 'Table "a" is another\'s' },
        failing: {
          a: { code: "CONFLICT", message: 'Table "a" is another\'s' },
          b: { code: "CORRUPT", message: 'Table "b" is damaged' },
        },
        behind: {
          done: 1,
          tables: {
            orders: {
              waiting: true,
              attempts: 1,
              error: { code: "CONFLICT", message: 'Table "orders" has another column "item"' },
              misfits: { item: 2 },
            },
          },
        },
      }],
    };
    const list = (...args: string[]) =>
      spawnScript(new URL("./flows_list.ts", import.meta.url), {
        args: ["--data", data, ...args],
      });
    assertEquals((await list().exited).code, 2);
    await writeFile(`${data}/flows.json`, JSON.stringify(status));
    const told = list();
    assertEquals((await told.exited).code, 1);
    assertEquals(
      await told.stdoutMatch(/^as of .*\n([^]*)$/),
      `\
shop -> default: failed, never read to its end, 3 records, 2 deltas
  OFFLINE: No shop today
shop.orders -> pg, copied: reading, never read to its end, 5000 records, 4000 deltas
default -> pg: lacks 7 deltas
  CONFLICT: Table "a" is another's
  CORRUPT: Table "b" is damaged
  CONFLICT: Table "orders" has another column "item"
  table "orders": 2 values that column "item" cannot hold
`,
    );
    assertEquals(await list("--json").nextJson(), status);
  }));

test("of several processes on one log, each tells how far the one is that reads the source", () =>
  withTempDir(async (dir) => {
    const store = memoryLogStore();
    const scheduler = new ManualClock();
    const stop = new AbortController();
    let broken = false;
    const shop: OpenSource = {
      name: "shop",
      async *read(options) {
        if (broken) yield err(new LakeSyncError("OFFLINE", "no shop"));
        else yield* teaAndMilk.read(options);
      },
    };
    const flows = unwrapOrThrow(
      parseFlows({ sources: { shop }, flows: [{ from: "shop", to: ["gateway"], every: 10 }] }, {
        tables,
        destinations: {},
      }),
    )!;
    const process = async (name: string) => {
      const gateway = unwrapOrThrow(
        await createGateway({ id: "default", store, tables }),
      );
      const data = `${dir}/${name}`;
      const status = new FlowsStatusFile({ data, clock: scheduler, logs: [gateway] });
      const runs = flowsInto([gateway], { flows, sharded: false });
      const { signal } = stop;
      const random = systemRandom;
      return {
        running: runFlows(runs, { status, scheduler, random, logger: silentLogger, signal }),
        async told() {
          await status.settled();
          const [flow] = unwrapOrThrow(await readFlowsStatus(data)).flows;
          return [flow?.state, flow?.records, flow?.deltas, flow?.error?.code];
        },
      };
    };
    const first = await process("first");
    await scheduler.advance(0);
    const second = await process("second");
    await scheduler.advance(0);
    assertEquals(await first.told(), ["waiting", 2, 2, undefined]);
    assertEquals(await second.told(), ["elsewhere", 2, 2, undefined]);
    // Where the one fails, the other takes over, and the first hears of that.
    broken = true;
    await scheduler.advance(20_000);
    const both = [await first.told(), await second.told()];
    assertEquals(both.map(([, , , code]) => code), ["OFFLINE", "OFFLINE"]);
    stop.abort();
    await Promise.all([first.running, second.running]);
  }));
