// A device's own changes beside the lake and what its gateway has not flushed.
import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import { compactTable, filesCatalogue, icebergLake } from "@lakesync/adapter-iceberg";
import { type AnalystOptions, openAnalyst, ownFromSqlite, pendingFromLog } from "@lakesync/analyst";
import { createClient } from "@lakesync/client";
import { defineTable, integer, string, unwrapOrThrow } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { gatewayPaths } from "./gateway_paths.ts";
import { lakeStates } from "./lake_states.ts";
import { startServer } from "./server.ts";

const todos = defineTable("todos", { title: string(), n: integer().nullable() });
const drafts = defineTable("drafts", { text: string() });

test("an analyst sees lake, unflushed deltas and a device's own, each delta once, with the device's newest values", () =>
  withTempDir(async (directory) => {
    const data = join(directory, "data");
    const server = unwrapOrThrow(
      await startServer({ data, tables: [todos.schema], flushEvery: 86_400 }),
    );
    const device = unwrapOrThrow(
      await createClient({
        tables: [todos, drafts],
        database: ":memory:",
        clientId: "phone",
        url: server.url,
        sync: { auto: false },
      }),
    );
    const gateway = server.gateways[0]!;
    // In the lake and still kept by the device.
    unwrapOrThrow(await device.tables.todos.insert({ id: "1", title: "Milk" }));
    unwrapOrThrow(await device.tables.todos.insert({ id: "2", title: "Tea" }));
    unwrapOrThrow(await device.syncOnce());
    unwrapOrThrow(await gateway.flush());
    const store = fileObjectStore({ directory: gatewayPaths(data, "default").lake });
    unwrapOrThrow(await compactTable({ store, table: "todos" }));
    // At the gateway, not in the lake.
    unwrapOrThrow(await device.tables.todos.update("1", { n: 1 }));
    unwrapOrThrow(await device.syncOnce());
    // On the device alone.
    unwrapOrThrow(await device.tables.todos.update("1", { title: "Oat milk" }));
    unwrapOrThrow(await device.tables.todos.delete("2"));
    unwrapOrThrow(await device.tables.drafts.insert({ id: "d", text: "only here" }));

    const catalogue = filesCatalogue(store);
    const lake = icebergLake({ catalogue });
    const pending = pendingFromLog(gateway.store, {
      schemas: () => gateway.schema(),
      flushed: () => gateway.flushedUpTo("lake"),
    });
    const own = ownFromSqlite(device);
    const ask = async (options: Partial<AnalystOptions>, sql: string) => {
      const analyst = unwrapOrThrow(await openAnalyst({ lake, threads: 1, ...options }));
      const answer = await analyst.query(sql);
      await analyst.close();
      return unwrapOrThrow(answer).rows.map((row) => ({ ...row }));
    };
    const sql = "SELECT * FROM todos ORDER BY id";
    const findState = lakeStates(catalogue);
    assertEquals(await ask({ pending }, sql), [
      { id: "1", title: "Milk", n: 1 },
      { id: "2", title: "Tea", n: null },
    ]);
    const shown = [{ id: "1", title: "Oat milk", n: 1 }];
    for (
      const options of [{ pending, own }, { own }, { own, findState }, { pending, own, findState }]
    ) {
      assertEquals(await ask(options, sql), shown);
    }
    assertEquals(
      await ask(
        { pending, own },
        `SELECT _op, id, _columns, _seq IS NULL AND _commit_ts IS NULL AS here
         FROM todos_changes ORDER BY _hlc`,
      ),
      [
        { _op: "INSERT", id: "1", _columns: "title", here: false },
        { _op: "INSERT", id: "2", _columns: "title", here: false },
        { _op: "UPDATE", id: "1", _columns: "n", here: false },
        { _op: "UPDATE", id: "1", _columns: "title", here: true },
        { _op: "DELETE", id: "2", _columns: null, here: true },
      ],
    );
    assertEquals(await ask({ own }, "SELECT * FROM drafts"), [{ id: "d", text: "only here" }]);
    await device.close();
    await server.stop();
  }));
