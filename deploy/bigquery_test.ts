// From a lakesync.config.ts to rows in BigQuery: a real client, real HTTP, an emulator of BigQuery.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bigqueryServer } from "@lakesync/adapter-bigquery";
import { createClient } from "@lakesync/client";
import { defineTable, integer, string, unwrapOrThrow } from "@lakesync/core";
import { startBigQuery, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { loadConfig } from "./config.ts";
import { bigquery } from "./databases.ts";
import { startServer } from "./server.ts";

const todos = defineTable("todos", { title: string(), n: integer() });

/** What an operator writes. */
function configText(options: { readonly credentials: object; readonly endpoint: string }): string {
  const path = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  return `
    import { defineTable, integer, string } from ${path("../core/mod.ts")};
    import { bigquery } from ${path("./databases.ts")};
    export default {
      tables: [defineTable("todos", { title: string(), n: integer() })],
      destinations: {
        bq: bigquery({
          credentials: ${JSON.stringify(options.credentials)},
          endpoint: ${JSON.stringify(options.endpoint)},
          dataset: "lake_{gateway}",
          materialise: true,
          attempts: 1,
        }),
      },
    };
  `;
}

test("bigquery() in a lakesync.config.ts brings a client's rows to BigQuery, through an outage", () =>
  withTempDir(async (data) => {
    await using bq = await startBigQuery();
    await bq.makeDataset("lake_default");
    const path = join(data, "lakesync.config.ts");
    await writeFile(path, configText(bq));
    const { tables, destinations } = unwrapOrThrow(await loadConfig(path));
    const start = async () => unwrapOrThrow(await startServer({ data, tables, destinations }));
    let server = await start();
    const client = unwrapOrThrow(
      await createClient({
        tables: [todos],
        database: join(data, "client.db"),
        url: server.url,
        clientId: "alice",
        sync: { auto: false },
      }),
    );
    for (let i = 0; i < 3; i++) {
      unwrapOrThrow(await client.tables.todos.insert({ id: `r${i}`, title: `Todo ${i}`, n: i }));
    }
    unwrapOrThrow(await client.syncOnce());
    const flush = async () => {
      const { deltas } = unwrapOrThrow(await server.gateways[0]!.flush({ waitMs: 60_000 }));
      const { destinations } = unwrapOrThrow(await server.gateways[0]!.stats());
      return [deltas, destinations["bq"]?.lag, destinations["bq"]?.error?.code];
    };
    assertEquals(await flush(), [6, 0, undefined]);

    // BigQuery is away: the lake goes on, the stats say why, nothing is lost.
    bq.fault = () => "lose-request";
    unwrapOrThrow(await client.tables.todos.update("r0", { title: "Changed" }));
    unwrapOrThrow(await client.tables.todos.delete("r1"));
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await flush(), [2, 2, "OFFLINE"]);
    bq.fault = () => undefined;
    assertEquals(await flush(), [2, 0, undefined]);
    await client.close();
    await server.stop();
    server = await start();
    assertEquals(await flush(), [0, 0, undefined]);
    await server.stop();

    const { endpoint, credentials } = bq;
    const dataset = unwrapOrThrow(
      await bigqueryServer({ endpoint, credentials, dataset: "lake_default" }),
    );
    const text = "SELECT id, title, n FROM todos ORDER BY id";
    const rows = unwrapOrThrow(
      await dataset.transaction((work) => work.run({ text, parameters: [] })),
    );
    assertEquals(rows, [["r0", "Changed", "0"], ["r2", "Todo 2", "2"]]);
    await dataset.close();
  }));

test("bigquery() names the destination whose options are wrong", () =>
  withTempDir(async (data) => {
    const credentials = { client_email: "a@b", private_key: "…", project_id: "shop" };
    const destinations = { bq: bigquery({ credentials, dataset: "a b" }) };
    const started = await startServer({ data, destinations });
    assert(!started.ok);
    assert(started.error.message.startsWith("destinations.bq: The BigQuery dataset"));
  }));
