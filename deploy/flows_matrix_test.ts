// Every source into every destination, with real rows: equal on both sides, then and after changes.
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { sqlAdapter } from "@lakesync/adapter-database";
import { filesCatalogue, icebergDestination } from "@lakesync/adapter-iceberg";
import { jsonDestination } from "@lakesync/adapter-json";
import { memoryObjectStore } from "@lakesync/adapter-memory";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import {
  csvRecords,
  jsonRecords,
  recordSource,
  sqlCursorSource,
  sqlDiffSource,
} from "@lakesync/adapter-sources";
import {
  defineTable,
  type Delta,
  emptyRow,
  isVisible,
  type JsonValue,
  mergeDelta,
  number,
  type ObjectStore,
  ok,
  type RowState,
  type SourceChange,
  type SqlServer,
  string,
  unwrapOrThrow,
} from "@lakesync/core";
import {
  findMariadb,
  findPostgres,
  ManualClock,
  startMariadb,
  startPostgres,
  test,
  withTempDir,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { parseFlows } from "./config_flows.ts";
import { type Destinations, mysql, postgres } from "./databases.ts";
import { readFlowsStatus } from "./flows_status.ts";
import { openHistory } from "./lake_history.ts";
import { startServer } from "./server.ts";

const airports = defineTable("airports", {
  name: string(),
  state: string().nullable(),
  latitude: number(),
});
const to = airports.schema;
const CSV = fileURLToPath(import.meta.resolve("vega-datasets")).replace(
  /vega-datasets\/.*$/,
  "vega-datasets/data/airports.csv",
);

type Airport = { readonly [column: string]: JsonValue };
const change = (record: Airport): SourceChange => ({
  op: "upsert",
  table: "airports",
  rowId: record["iata"] as string,
  columns: new Map<string, JsonValue>([
    ["name", record["name"]!],
    ["state", record["state"]!],
    ["latitude", Number(record["latitude"])],
  ]),
});

const { bin, skip: noPostgres } = await findPostgres();
const { programs, skip: noMariadb } = await findMariadb();
const SOURCES = ["csv", "json", "pg_cursor", "maria_diff"];
const DESTINATIONS = ["json", "iceberg", "pg", "maria"];

test({
  name:
    "every source into every destination: the same rows on both sides, also after changes and restarts",
  skip: noPostgres ?? noMariadb,
  timeoutMs: 240_000,
}, () =>
  withTempDir(async (dir) => {
    await using pg = await startPostgres({ bin: bin! });
    await using maria = await startMariadb({ programs: programs! });
    const mariaAt = (name: string) => new URL(name, maria.url).href;
    const inPg = unwrapOrThrow(await postgresServer({ url: pg.url }));
    const root = unwrapOrThrow(await mysqlServer({ url: maria.url }));
    for (const name of ["shop", ...SOURCES.map((source) => `flow_${source}`)]) {
      await run(root, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
    }
    await root.close();
    const inMaria = unwrapOrThrow(await mysqlServer({ url: mariaAt("shop") }));

    const rows = new Map<string, SourceChange>();
    const lines: string[] = [];
    for await (const record of csvRecords(CSV)()) {
      rows.set(change(record).rowId, change(record));
      lines.push(JSON.stringify(record));
    }
    assert(rows.size > 3_000);
    await writeFile(`${dir}/airports.json`, `[${lines.join(",\n")}]`);
    for (const server of [inPg, inMaria]) await load(server, [...rows.values()]);

    const sources = {
      csv: recordSource({ name: "csv", records: csvRecords(CSV), change }),
      json: recordSource({
        name: "json",
        records: jsonRecords(`${dir}/airports.json`),
        change: (record) => change(record as Airport),
      }),
      pg_cursor: sqlCursorSource({
        name: "pg",
        open: () => postgresServer({ url: pg.url }),
        query: "SELECT * FROM airports",
        key: "id",
        cursor: "version",
        to,
        batchSize: 500,
      }),
      maria_diff: sqlDiffSource({
        name: "maria",
        open: () => mysqlServer({ url: mariaAt("shop") }),
        query: "SELECT * FROM airports",
        key: "id",
        to,
        state: `${dir}/diff`,
        batchSize: 500,
      }),
    };
    const stores = new Map<string, ObjectStore>();
    const storeOf = (log: string, name: string): ObjectStore => {
      const key = `${log}/${name}`;
      if (!stores.has(key)) stores.set(key, memoryObjectStore());
      return stores.get(key)!;
    };
    const destinations: Destinations = {
      json: ({ gateway, name }) =>
        Promise.resolve(ok(jsonDestination({ store: storeOf(gateway, name), name }))),
      iceberg: ({ gateway, name }) =>
        Promise.resolve(ok(icebergDestination({ store: storeOf(gateway, name), name }))),
      pg: postgres({ url: pg.url }),
      maria: mysql({ url: mariaAt("{gateway}").replaceAll("%7B", "{").replaceAll("%7D", "}") }),
    };
    const flows = SOURCES.map((from) => ({ from, to: DESTINATIONS, every: 3600 }));

    const sync = async () => {
      const parsed = parseFlows({ sources, flows }, { tables: [to], destinations });
      const server = unwrapOrThrow(
        await startServer({
          data: `${dir}/data`,
          tables: [to],
          destinations,
          flows: unwrapOrThrow(parsed)!,
          scheduler: new ManualClock(),
        }),
      );
      for (;;) {
        const status = await readFlowsStatus(`${dir}/data`);
        if (!status.ok) continue;
        const failed = status.value.flows.find(({ error }) => error !== null);
        assertEquals(failed, undefined);
        const waiting = status.value.flows.filter(({ state, readAt }) =>
          state === "waiting" && readAt !== null
        );
        if (waiting.length === SOURCES.length) break;
      }
      await server.stop();
    };
    const compare = async (source: string, expected: ReadonlyMap<string, SourceChange>) => {
      const log = `flow_${source}`;
      const wanted = Array.from(expected.values(), ({ rowId, columns }) => rowText(rowId, columns));
      const found = {
        json: jsonDeltas(storeOf(log, "json")),
        iceberg: lakeDeltas(storeOf(log, "iceberg")),
        pg: databaseDeltas(unwrapOrThrow(await postgresServer({ url: pg.url, schema: log }))),
        maria: databaseDeltas(unwrapOrThrow(await mysqlServer({ url: mariaAt(log) }))),
      };
      for (const [destination, deltas] of Object.entries(found)) {
        assertEquals(await shown(deltas), wanted.toSorted(), `${source} -> ${destination}`);
      }
    };

    await sync();
    for (const source of SOURCES) await compare(source, rows);

    const changed = new Map(rows);
    const renamed = { ...rows.get("JFK")!, columns: new Map(rows.get("JFK")!.columns) };
    renamed.columns.set("name", "Idlewild");
    changed.set("JFK", renamed);
    const version = rows.size + 1;
    for (const server of [inPg, inMaria]) {
      await run(
        server,
        `UPDATE airports SET name = 'Idlewild', version = ${version} WHERE id = 'JFK'`,
      );
      await run(server, "DELETE FROM airports WHERE id = 'LAX'");
    }
    await sync();
    await compare("csv", rows);
    await compare("json", rows);
    // A cursor sees no deletions, a diff does.
    await compare("pg_cursor", changed);
    changed.delete("LAX");
    await compare("maria_diff", changed);
    await inPg.close();
    await inMaria.close();
  }));

async function run(server: SqlServer, text: string): Promise<void> {
  unwrapOrThrow(await server.transaction((work) => work.run({ text, parameters: [] })));
}

async function load(server: SqlServer, changes: readonly SourceChange[]): Promise<void> {
  const { dialect } = server;
  const types = { id: "VARCHAR(10)", name: "VARCHAR(100)", state: "VARCHAR(10)" };
  const columns = Object.entries(types).map(([name, type]) => `${name} ${type}`).join(", ");
  await run(
    server,
    `CREATE TABLE airports (${columns}, latitude DOUBLE PRECISION, version BIGINT, PRIMARY KEY (id))`,
  );
  unwrapOrThrow(
    await server.transaction(async (work) => {
      const write = {
        table: "airports",
        columns: [
          { name: "id", type: "string" },
          { name: "name", type: "string" },
          { name: "state", type: "string" },
          { name: "latitude", type: "number" },
          { name: "version", type: "integer" },
        ],
        rows: changes.map(({ rowId, columns }, i) => [
          rowId,
          columns.get("name") as string,
          columns.get("state") as string,
          columns.get("latitude") as number,
          i,
        ]),
      } as const;
      for (const statement of dialect.write(write)) await work.run(statement);
    }),
  );
}

/** What the deltas come to: a line for each row that is visible. */
async function shown(deltas: AsyncIterable<Delta>): Promise<string[]> {
  const rows = new Map<string, RowState>();
  for await (const delta of deltas) {
    if (!rows.has(delta.rowId)) rows.set(delta.rowId, emptyRow());
    mergeDelta(rows.get(delta.rowId)!, delta);
  }
  return [...rows].filter(([, state]) => isVisible(state)).map(([rowId, { columns }]) =>
    rowText(rowId, new Map(Array.from(columns, ([name, [value]]) => [name, value])))
  ).toSorted();
}

function rowText(rowId: string, columns: ReadonlyMap<string, JsonValue>): string {
  return JSON.stringify([rowId, ...["name", "state", "latitude"].map((name) => columns.get(name))]);
}

async function* jsonDeltas(store: ObjectStore): AsyncGenerator<Delta> {
  const { objects } = unwrapOrThrow(await store.list("airports/deltas/"));
  for (const { key } of objects) {
    const text = gunzipSync(unwrapOrThrow(await store.get(key))).toString();
    for (const line of text.trim().split("\n")) yield JSON.parse(line).delta;
  }
}

async function* lakeDeltas(store: ObjectStore): AsyncGenerator<Delta> {
  const history = unwrapOrThrow(await openHistory(filesCatalogue(store)));
  for await (const chunk of history.changes()) for (const { delta } of chunk) yield delta;
}

async function* databaseDeltas(server: SqlServer): AsyncGenerator<Delta> {
  const adapter = sqlAdapter({ server, name: "db" });
  for (let cursor: string | undefined, more = true; more;) {
    const page = unwrapOrThrow(await adapter.queryDeltasSince(cursor, { limit: 1_000 }));
    for (const { delta } of page.entries) yield delta;
    ({ cursor, hasMore: more } = page);
  }
  await adapter.close();
}
