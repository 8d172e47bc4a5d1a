// Names that SQL gives a meaning of its own, in every place that builds SQL of them.
import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergDestination, icebergLake, lakeColumnName } from "@lakesync/adapter-iceberg";
import { openAnalyst } from "@lakesync/analyst";
import { createClient, inProcessTransport } from "@lakesync/client";
import { defineTable, integer, string, unwrapOrThrow } from "@lakesync/core";
import { createGateway, createHandler, openSqliteLogStore } from "@lakesync/gateway";
import { test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";

const NAMES: readonly string[] = [
  ..."select from where order group table index values primary user union null true".split(" "),
  ..."rowid oid _rowid_ constructor __proto__ seq log rows state excluded lateral pivot".split(" "),
  "A".repeat(63),
];

/** The value of a column: a text or an integer. */
const valueOf = (i: number): string | number => i % 2 === 0 ? `value ${i}` : i;

test("tables and columns of every kind of name go from a device through log and lake to SQL", () =>
  withTempDir(async (directory) => {
    const tables = NAMES.map((name) =>
      defineTable(
        name,
        Object.fromEntries(NAMES.map((column, i) => [column, i % 2 === 0 ? string() : integer()])),
      )
    );
    const lake = fileObjectStore({ directory: join(directory, "lake") });
    const gateway = unwrapOrThrow(
      await createGateway({
        id: "default",
        store: unwrapOrThrow(await openSqliteLogStore({ path: join(directory, "log.db") })),
        tables: tables.map(({ schema }) => schema),
        destinations: [icebergDestination({ store: lake, name: "lake" })],
      }),
    );
    const transport = () => inProcessTransport(createHandler({ gateways: [gateway] }));
    const open = async (name: string) =>
      unwrapOrThrow(
        await createClient({
          tables,
          database: join(directory, `${name}.db`),
          transport: transport(),
        }),
      );
    const [a, b] = [await open("a"), await open("b")];
    const row = Object.fromEntries(NAMES.map((column, i) => [column, valueOf(i)]));
    for (const name of NAMES) unwrapOrThrow(await a.tables[name]!.insert(row));
    unwrapOrThrow(await a.syncOnce());
    unwrapOrThrow(await b.syncOnce());
    unwrapOrThrow(await gateway.flush());
    const analyst = unwrapOrThrow(await openAnalyst({ lake: icebergLake({ store: lake }) }));
    for (const name of NAMES) {
      const [shown] = unwrapOrThrow(await b.query(`SELECT * FROM "${name}"`));
      const asked = unwrapOrThrow(await analyst.query(`SELECT * FROM "${name}"`));
      for (const [i, column] of NAMES.entries()) {
        assertEquals(shown?.[column], valueOf(i), `${name}.${column} on the device`);
        const at = lakeColumnName(column);
        const value = asked.rows[0]?.[at];
        assertEquals(
          typeof value === "bigint" ? Number(value) : value,
          valueOf(i),
          `${name}.${column} in the lake`,
        );
      }
    }
    await analyst.close();
    for (const each of [a, b]) await each.close();
    await gateway.close();
  }));
