// Every source into every destination, with real rows: equal on both sides, then and after changes.
// With LAKESYNC_INTEROP set it takes 100,000 rows (`deno task test:interop`).
import process from "node:process";
import { bigqueryServer } from "@lakesync/adapter-bigquery";
import { sqlAdapter } from "@lakesync/adapter-database";
import { filesCatalogue, icebergDestination } from "@lakesync/adapter-iceberg";
import { jsonDestination } from "@lakesync/adapter-json";
import { memoryObjectStore } from "@lakesync/adapter-memory";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import {
  csvRecords,
  databaseSource,
  jsonRecords,
  recordSource,
  sqlCursorSource,
  sqlDiffSource,
} from "@lakesync/adapter-sources";
import { type Delta, type ObjectStore, ok, type SourceChange, unwrapOrThrow } from "@lakesync/core";
import {
  findMariadb,
  findPostgres,
  startBigQuery,
  startMariadb,
  startPostgres,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { parseFlows } from "./config_flows.ts";
import { bigquery, type Destinations, mysql, postgres } from "./databases.ts";
import { icebergSource } from "./iceberg_source.ts";
import { startServer } from "./server.ts";
import {
  CITIES,
  cityOf,
  type CityRecord,
  databaseDeltas,
  jsonDeltas,
  lagOf,
  lakeDeltas,
  load,
  rowText,
  run,
  shown,
  throwFailures,
  UntilRead,
  writeCities,
} from "./testdata/matrix.ts";

const to = CITIES;
const ROWS = process.env["LAKESYNC_INTEROP"] === undefined ? 2_500 : 100_000;
const EVERY_S = 20;
/** A machine may be busy. */
const connectMs = 60_000;

const { bin, skip: noPostgres } = await findPostgres();
const { programs, skip: noMariadb } = await findMariadb();

/** What is read, and then what is read of the places that this was written to. */
const FIRST = ["csv", "json", "pg_cursor", "pg_diff", "maria_cursor", "maria_diff"];
// BigQuery is an emulator here, which has its behaviour and not its speed: few rows only.
const WITH_BQ = ROWS < 100_000;
const SECOND = ["pg_deltas", "maria_deltas", "lake", ...WITH_BQ ? ["bq_deltas"] : []];
const DESTINATIONS = ["json", "iceberg", "pg", "maria", ...WITH_BQ ? ["bq"] : []];

test({
  name:
    `every source into every destination: the same ${ROWS} rows on both sides, also after changes and restarts`,
  skip: noPostgres ?? noMariadb,
  timeoutMs: 1_800_000,
}, () =>
  withTempDir(async (dir) => {
    await using pg = await startPostgres({ bin: bin! });
    await using maria = await startMariadb({ programs: programs! });
    await using bq = await startBigQuery();
    const { endpoint, credentials } = bq;
    const datasetOf = (log: string) => log.replaceAll("_", "_5f");
    const mariaAt = (name: string) => new URL(name, maria.url).href;
    const inPg = unwrapOrThrow(await postgresServer({ url: pg.url }));
    const root = unwrapOrThrow(await mysqlServer({ url: maria.url }));
    for (const name of ["shop", ...[...FIRST, ...SECOND].map((source) => `flow_${source}`)]) {
      await run(root, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
      await bq.makeDataset(datasetOf(name));
    }
    await root.close();
    const inMaria = unwrapOrThrow(await mysqlServer({ url: mariaAt("shop") }));
    const rows = await writeCities(dir, ROWS);
    for (const server of [inPg, inMaria]) await load(server, [...rows.values()]);

    const stores = new Map<string, ObjectStore>();
    const storeOf = (log: string, name: string): ObjectStore => {
      const key = `${log}/${name}`;
      if (!stores.has(key)) stores.set(key, memoryObjectStore());
      return stores.get(key)!;
    };
    const readsPg = { open: () => postgresServer({ url: pg.url, connectMs }), key: "id", to };
    const readsMaria = {
      open: () => mysqlServer({ url: mariaAt("shop"), connectMs }),
      key: "id",
      to,
    };
    const query = "SELECT * FROM cities";
    const sources = {
      csv: recordSource({ name: "csv", records: csvRecords(`${dir}/cities.csv`), change: cityOf }),
      json: recordSource({
        name: "json",
        records: jsonRecords(`${dir}/cities.json`),
        change: (record, index) => cityOf(record as CityRecord, index),
      }),
      pg_cursor: sqlCursorSource({ ...readsPg, name: "pc", query, cursor: "version" }),
      pg_diff: sqlDiffSource({ ...readsPg, name: "pd", query, state: `${dir}/pg-diff` }),
      maria_cursor: sqlCursorSource({ ...readsMaria, name: "mc", query, cursor: "version" }),
      maria_diff: sqlDiffSource({ ...readsMaria, name: "md", query, state: `${dir}/maria-diff` }),
      pg_deltas: databaseSource({
        name: "pg_deltas",
        tables: [to],
        async open() {
          const server = await postgresServer({ url: pg.url, schema: "flow_pg_diff" });
          return server.ok ? ok(sqlAdapter({ server: server.value, name: "pg" })) : server;
        },
      }),
      maria_deltas: databaseSource({
        name: "maria_deltas",
        tables: [to],
        async open() {
          const server = await mysqlServer({ url: mariaAt("flow_maria_diff") });
          return server.ok ? ok(sqlAdapter({ server: server.value, name: "maria" })) : server;
        },
      }),
      bq_deltas: databaseSource({
        name: "bq_deltas",
        tables: [to],
        async open() {
          const dataset = datasetOf("flow_pg_diff");
          const server = await bigqueryServer({ endpoint, credentials, dataset });
          return server.ok ? ok(sqlAdapter({ server: server.value, name: "bq" })) : server;
        },
      }),
      lake: icebergSource({
        name: "lake",
        catalogue: filesCatalogue(storeOf("flow_pg_diff", "iceberg")),
        tables: [to],
      }),
    };
    const destinations: Destinations = {
      json: ({ gateway, name }) =>
        Promise.resolve(ok(jsonDestination({ store: storeOf(gateway, name), name }))),
      iceberg: ({ gateway, name }) =>
        Promise.resolve(ok(icebergDestination({ store: storeOf(gateway, name), name }))),
      pg: postgres({ url: pg.url, connectMs }),
      maria: mysql({
        url: mariaAt("{gateway}").replaceAll("%7B", "{").replaceAll("%7D", "}"),
        connectMs,
      }),
      bq: bigquery({ endpoint, credentials, dataset: "{gateway}" }),
    };

    /** Starts a server, has it read a source to its end, and stops it. */
    const readOnce = async (from: string) => {
      const flows = [{ from, to: DESTINATIONS, every: EVERY_S }];
      const parsed = parseFlows({ sources, flows }, { tables: [to], destinations });
      const scheduler = new UntilRead({ flows: 1, everyMs: EVERY_S * 1000 });
      const server = unwrapOrThrow(
        await startServer({
          data: `${dir}/data`,
          tables: [to],
          destinations,
          flows: unwrapOrThrow(parsed)!,
          scheduler,
        }),
      );
      await scheduler.done;
      await server.stop();
      await throwFailures(`${dir}/data`);
    };
    /** The same, until every destination has everything: one that was too slow catches up. */
    const sync = async (from: string) => {
      for (let tries = 0; tries === 0 || await lagOf(`${dir}/data`) > 0; tries++) {
        assert(tries < 5, `${from} does not get everywhere`);
        await readOnce(from);
      }
    };
    const compare = async (source: string, expected: ReadonlyMap<string, SourceChange>) => {
      const log = `flow_${source}`;
      const wanted = Array.from(expected.values(), ({ rowId, columns }) => rowText(rowId, columns))
        .toSorted();
      const found: {
        [destination: string]: () => AsyncIterable<Delta> | Promise<AsyncIterable<Delta>>;
      } = {
        json: () => jsonDeltas(storeOf(log, "json")),
        iceberg: () => lakeDeltas(storeOf(log, "iceberg")),
        pg: async () =>
          databaseDeltas(unwrapOrThrow(await postgresServer({ url: pg.url, schema: log }))),
        maria: async () => databaseDeltas(unwrapOrThrow(await mysqlServer({ url: mariaAt(log) }))),
        bq: async () => {
          const dataset = datasetOf(log);
          return databaseDeltas(
            unwrapOrThrow(await bigqueryServer({ endpoint, credentials, dataset })),
          );
        },
      };
      for (const destination of DESTINATIONS) {
        const lines = await shown(await found[destination]!());
        assertEquals(lines.length, wanted.length, `${source} -> ${destination}`);
        const strange = lines.find((line, i) => line !== wanted[i]);
        assertEquals(strange, undefined, `${source} -> ${destination}`);
      }
    };

    for (const source of [...FIRST, ...SECOND]) await sync(source);
    for (const source of [...FIRST, ...SECOND]) await compare(source, rows);

    const [first, second] = [...rows.keys()];
    const changed = new Map(rows);
    const renamed = { ...rows.get(first!)!, columns: new Map(rows.get(first!)!.columns) };
    renamed.columns.set("name", "Elsewhere").set("district", null);
    changed.set(first!, renamed);
    const update = `UPDATE cities SET name = 'Elsewhere', district = NULL, version = ${ROWS}`;
    for (const server of [inPg, inMaria]) {
      await run(server, `${update} WHERE id = '${first}'`);
      await run(server, `DELETE FROM cities WHERE id = '${second}'`);
    }
    for (const source of [...FIRST, ...SECOND]) await sync(source);
    await compare("csv", rows);
    await compare("json", rows);
    // A cursor sees no deletions, a diff does.
    await compare("pg_cursor", changed);
    await compare("maria_cursor", changed);
    changed.delete(second!);
    for (const source of ["pg_diff", "maria_diff", ...SECOND]) await compare(source, changed);
    await inPg.close();
    await inMaria.close();
  }));
