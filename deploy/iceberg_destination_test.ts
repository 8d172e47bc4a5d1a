// Iceberg tables of flows, from a lakesync.config.ts to rows that DuckDB reads.
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { openAnalyst } from "@lakesync/analyst";
import { type JsonValue, unwrapOrThrow } from "@lakesync/core";
import { memoryLogStore } from "@lakesync/gateway";
import { spawnScript, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { loadConfig } from "./config.ts";
import { iceberg, type IcebergOptions } from "./iceberg_destination.ts";
import { type RunningServer, startServer } from "./server.ts";
import { isRead, statusOf } from "./testdata/flows.ts";

/** What an operator writes: orders of a file go to a history, and to the server's lake. */
function configText(dir: string): string {
  const path = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  return `
    import { defineTable, string } from ${path("../core/mod.ts")};
    import { csvRecords, recordSource } from ${path("../adapters/sources/mod.ts")};
    import { defineLake } from ${path("./config.ts")};
    import { iceberg } from ${path("./iceberg_destination.ts")};

    const source = (table) => recordSource({
      name: table,
      records: csvRecords(${JSON.stringify(join(dir, "orders.csv"))}),
      change: ({ item }, index) => ({
        op: "upsert",
        table,
        rowId: \`o\${index}\`,
        columns: new Map([["item", item]]),
      }),
    });
    export default defineLake({
      tables: [defineTable("orders", { item: string() }), defineTable("bought", { item: string() })],
      sources: { shop: source("orders"), till: source("bought") },
      destinations: { history: iceberg({ directory: ${JSON.stringify(join(dir, "history"))} }) },
      flows: [
        { from: "shop.orders", to: ["history", "lake"], copy: true, every: 3600 },
        { from: "till.bought", to: ["gateway", "lake"], every: 3600 },
        { from: "till", to: ["history", "lake"], every: 3600 },
        { from: "gateway.orders", to: ["history"] },
      ],
    });`;
}

/** The rows of a table in a lake of files. */
async function rowsIn(directory: string, table: string): Promise<JsonValue[][]> {
  const lake = icebergLake({ store: fileObjectStore({ directory }) });
  const analyst = unwrapOrThrow(await openAnalyst({ lake }));
  const { rows } = unwrapOrThrow(
    await analyst.query(`SELECT id, item FROM ${table} ORDER BY id`),
  );
  await analyst.close();
  return rows.map(({ id, item }) => [String(id), String(item)]);
}

test({
  name: "flows keep Iceberg tables in a directory and in the server's lake, each log by itself",
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (dir) => {
    const data = join(dir, "data");
    await writeFile(join(dir, "orders.csv"), "item\ntea\nmilk\n");
    const config = join(dir, "lakesync.config.ts");
    await writeFile(config, configText(dir));
    const start = async (every = 0): Promise<RunningServer> => {
      const { tables, destinations, flows } = unwrapOrThrow(await loadConfig(config));
      const lake = { maintain: { every } };
      return unwrapOrThrow(await startServer({ data, tables, destinations, flows: flows!, lake }));
    };
    const rows = [["o0", "tea"], ["o1", "milk"]];
    // The second start finds everything where it was, and nothing comes twice.
    for (let round = 0; round < 2; round++) {
      const server = await start();
      const { flows } = await statusOf(data, ({ flows }) => flows.every(isRead));
      assertEquals(flows.map(({ flow, error }) => [flow, error?.message]).sort(), [
        ["shop.orders", undefined],
        ["shop.orders", undefined],
        ["till", undefined],
        ["till.bought", undefined],
      ]);
      await server.stop();
      for (const root of [join(dir, "history"), join(data, "lake")]) {
        assertEquals(await rowsIn(join(root, "flow_shop__orders"), "orders"), rows, root);
        assertEquals(await rowsIn(join(root, "flow_till"), "bought"), rows, root);
      }
      // What goes through the gateway is in its own lake.
      assertEquals(await rowsIn(join(data, "lake/default"), "bought"), rows);
    }
    // The server keeps the lakes of flows as it keeps its own: with tables of current rows.
    const keeping = await start(0.1);
    for (const made of ["flow_shop__orders/orders", "flow_till/bought", "default/bought"]) {
      const hint = join(data, "lake", made, "metadata/version-hint.text");
      while (!existsSync(hint)) await (await fetch(`${keeping.url}/health`)).body?.cancel();
    }
    await keeping.stop();
    await using query = spawnScript(new URL("./query.ts", import.meta.url), {
      args: [
        "SELECT item FROM orders ORDER BY id",
        ...["--data", data, "--id", "flow_shop__orders", "--format", "json"],
      ],
    });
    assertEquals((await query.exited).code, 0, query.stderr);
    assertEquals(JSON.parse(query.stdout), [{ item: "tea" }, { item: "milk" }]);
  }));

test("iceberg() wants one place, and a server names the destination whose place is wrong", () =>
  withTempDir(async (data) => {
    const url = "s3://lake/history";
    const none = {} as unknown as IcebergOptions;
    assertThrows(() => iceberg(none), TypeError, "in no place: give one of directory, url");
    assertThrows(() => iceberg({ directory: "history", url }), TypeError, "directory and url");
    // @ts-expect-error: the compiler asks for a place
    assertThrows(() => iceberg({ endpoint: "http://127.0.0.1" }), TypeError);
    const faults: [IcebergOptions, string][] = [
      [{ url: "/data" }, 'destinations.history: The lake "/data" is no s3://BUCKET/PREFIX'],
      [{ url, env: {} }, "destinations.history: Cannot sign for S3: the variable AWS_ACCESS_KEY"],
      [{ catalogue: { url: "c" } }, "destinations.history: Cannot use"],
      [{ url, maintain: {} } as IcebergOptions, "destinations.history.maintain is not known"],
    ];
    for (const [options, message] of faults) {
      const destinations = { history: iceberg(options) };
      const started = await startServer({ data, destinations });
      assert(!started.ok && started.error.code === "VALIDATION_ERROR");
      assert(started.error.message.startsWith(message), started.error.message);
    }
    const context = {
      name: "history",
      gateway: "shop~1",
      store: memoryLogStore(),
      logger: { log: () => {} },
    };
    const opened = unwrapOrThrow(await iceberg({ directory: data })(context));
    assertEquals(opened.name, "history");
  }));
