/**
 * `deno task demo`: the main job end to end, on real data, with embedded parts only. Two devices and
 * two sources, a gateway, a lake, and DuckDB over it.
 *
 * @module
 */
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Analyst, openAnalyst, pendingFromLog } from "@lakesync/analyst";
import { createClient } from "@lakesync/client";
import { type Hlc, type Source, unwrapOrThrow } from "@lakesync/core";
import { fileObjectStore } from "@lakesync/adapter-file";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { csvRecords, jsonRecords, recordSource } from "@lakesync/adapter-sources";
import { gatewayPaths, type RunningServer, startServer } from "@lakesync/deploy";
import { todoPages } from "../todo/pages.ts";
import { tables as todoTables } from "../todo/tables.ts";
import { allRows, type Device, editOffline, judge } from "./conflicts.ts";
import { count, rate, Screen } from "./screen.ts";
import {
  airportRow,
  airports,
  departureChange,
  departures,
  flightChange,
  flights,
} from "./tables.ts";
import { keptRules, openTodo } from "./todo.ts";

const screen = new Screen();
const dataset = (file: string) =>
  fileURLToPath(new URL(`../../node_modules/vega-datasets/data/${file}`, import.meta.url));

async function main(): Promise<void> {
  const keep = wantsKeep();
  const began = performance.now();
  const home = await mkdtemp(join(tmpdir(), "lakesync-demo-"));
  const data = join(home, "gateway");
  const paths = gatewayPaths(data, "default");

  screen.heading("LakeSync: two devices, two sources, a gateway, a lake");
  const server = unwrapOrThrow(
    await startServer({
      data,
      tables: [airports, flights, departures, ...(keep ? todoTables : [])].map(({ schema }) =>
        schema
      ),
      ...(keep && { rules: keptRules, pages: todoPages() }),
      flushEvery: 3_600,
    }),
  );
  const gateway = server.gateways[0]!;
  const lake = icebergLake({ store: fileObjectStore({ directory: paths.lake }) });
  const pending = pendingFromLog(gateway.store, {
    schemas: () => gateway.schema(),
    flushed: () => gateway.flushedUpTo("lake"),
  });
  const [a, b] = [await device(home, "a", server), await device(home, "b", server)];

  const rows = await importAirports(a, b);
  await ingest(
    server,
    recordSource({
      name: "flights",
      records: jsonRecords(dataset("flights-200k.json")),
      change: flightChange,
    }),
    231_083,
  );
  await ingest(
    server,
    recordSource({
      name: "departures",
      records: jsonRecords(dataset("flights-20k.json")),
      change: departureChange,
    }),
    20_000,
  );
  await flush(server, "flush to Iceberg");

  const beforeEdits = await lastStamp(lake);
  a.pause();
  b.pause();
  await editOffline(a, b);
  for (const each of [a, b, a]) unwrapOrThrow(await each.syncOnce());
  const converged = await allRows(a) === await allRows(b);

  const union = unwrapOrThrow(await openAnalyst({ lake, pending }));
  screen.heading("Both devices edited the same rows offline, then met again");
  const verdicts = await judge(a, b, union);
  screen.table(
    ["row", "edits", "both show now", "why"],
    verdicts.map(({ row, edits, shown, why }) => [row, edits, shown, why]),
  );
  if (!converged) throw new Error("The devices show different rows");
  screen.line(`  All ${count(rows)} airports are the same on both, less the deleted one.`);

  const analyst = unwrapOrThrow(await openAnalyst({ lake }));
  screen.heading("Not yet flushed edits: the lake alone, and its union with them");
  screen.line("  the lake alone:");
  await show(analyst, ["airports", "changes"], COUNTS);
  screen.line("  with the gateway's unflushed deltas:");
  await show(union, ["airports", "changes"], COUNTS);
  await union.close();

  screen.heading("Then the edits are flushed too");
  await flush(server, "flush to Iceberg");
  screen.heading("The ten busiest routes (DuckDB, reading only the lake)");
  await show(analyst, ["from", "to", "flights", "mean delay, min"], BUSIEST_ROUTES);
  screen.heading("Three airports, now and as they were before the edits (time travel)");
  await show(analyst, ["id", "name", "city"], THREE_AIRPORTS);
  screen.line(`  as of ${beforeEdits}:`);
  await show(analyst, ["id", "name", "city"], THREE_AIRPORTS, beforeEdits);
  const page = keep ? await openTodo(server, analyst) : undefined;
  await analyst.close();

  await a.close();
  await b.close();
  screen.heading("What lies where");
  await whatLiesWhere({ home, lake: paths.lake, log: paths.log, lakeRows: await lakeRows(lake) });
  screen.line(`\n  Done in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
  await leave({ page, server, home });
}

function wantsKeep(): boolean {
  try {
    return parseArgs({ options: { keep: { type: "boolean", default: false } } }).values.keep;
  } catch (thrown) {
    process.stderr.write(`${(thrown as Error).message}. Usage: deno task demo [--keep]\n`);
    process.exit(2);
  }
}

const COUNTS = `
  SELECT (SELECT count(*) FROM airports) AS airports, (SELECT count(*) FROM airports_changes) AS changes`;
const BUSIEST_ROUTES = `
  SELECT o.name AS origin, d.name AS destination, count(*) AS flights, round(avg(f.delay), 1) AS delay
  FROM departures f JOIN airports o ON o.id = f.origin JOIN airports d ON d.id = f.destination
  GROUP BY ALL ORDER BY flights DESC, origin, destination LIMIT 10`;
const THREE_AIRPORTS =
  "SELECT id, name, city FROM airports WHERE id IN ('SEA', 'JFK', 'ORD') ORDER BY id";

async function device(home: string, name: string, server: RunningServer): Promise<Device> {
  return unwrapOrThrow(
    await createClient({
      tables: [airports],
      database: join(home, `device-${name}.db`),
      url: server.url,
      clientId: `${name}:device`,
      sync: { auto: false },
    }),
  );
}

async function importAirports(a: Device, b: Device): Promise<number> {
  let began = performance.now();
  const rows = [];
  for await (const record of csvRecords(dataset("airports.csv"))()) rows.push(airportRow(record));
  const imported = unwrapOrThrow(await a.import("airports", rows));
  screen.done("device A imports airports.csv", rate(imported.rows, performance.now() - began));
  began = performance.now();
  unwrapOrThrow(await a.syncOnce());
  screen.done("device A syncs up", rate(imported.rows, performance.now() - began));
  began = performance.now();
  unwrapOrThrow(await b.syncOnce());
  const [arrived] = unwrapOrThrow(await b.query("SELECT count(*) AS n FROM airports"));
  screen.done("device B syncs down", rate(Number(arrived?.["n"]), performance.now() - began));
  return imported.rows;
}

async function ingest(server: RunningServer, source: Source, total: number): Promise<void> {
  const began = performance.now();
  const label = `source "${source.name}" into the gateway`;
  const report = unwrapOrThrow(
    await server.gateways[0]!.ingest(source, {
      onBatch: ({ records }) => screen.progress(label, records, total),
    }),
  );
  screen.done(label, rate(report.records, performance.now() - began));
}

async function flush(server: RunningServer, label: string): Promise<void> {
  const began = performance.now();
  const report = unwrapOrThrow(await server.gateways[0]!.flush());
  screen.done(label, rate(report.deltas, performance.now() - began));
}

type Lake = ReturnType<typeof icebergLake>;

async function lastStamp(lake: Lake): Promise<Hlc> {
  const analyst = unwrapOrThrow(await openAnalyst({ lake }));
  const { rows } = unwrapOrThrow(
    await analyst.query("SELECT max(_hlc)::VARCHAR AS last FROM airports_changes"),
  );
  await analyst.close();
  return String(rows[0]?.["last"]);
}

async function lakeRows(lake: Lake): Promise<number> {
  let rows = 0;
  for (const table of unwrapOrThrow(await lake.tables())) {
    for (const file of unwrapOrThrow(await lake.scan(table)).files) rows += file.rows;
  }
  return rows;
}

async function show(
  analyst: Analyst,
  headings: readonly string[],
  sql: string,
  asOf?: Hlc,
): Promise<void> {
  const { columns, rows } = unwrapOrThrow(
    await analyst.query(sql, asOf === undefined ? {} : { asOf }),
  );
  screen.table(
    headings,
    rows.map((row) =>
      columns.map(({ name }) => {
        const value = row[name];
        return typeof value === "number" ? value : String(value);
      })
    ),
  );
}

async function whatLiesWhere(
  at: { home: string; lake: string; log: string; lakeRows: number },
): Promise<void> {
  const lakeBytes = await bytesBelow(at.lake, ".parquet");
  screen.table(["what", "bytes", "bytes a row", "where"], [
    ["lake, data files", lakeBytes, Math.round(10 * lakeBytes / at.lakeRows) / 10, at.lake],
    ["lake, metadata", await bytesBelow(at.lake, "") - lakeBytes, "", ""],
    ["gateway's log", (await stat(at.log)).size, "", at.log],
    ["device A", (await stat(join(at.home, "device-a.db"))).size, "", join(at.home, "device-a.db")],
    ["device B", (await stat(join(at.home, "device-b.db"))).size, "", join(at.home, "device-b.db")],
  ]);
}

async function bytesBelow(directory: string, suffix: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(suffix)) continue;
    bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

async function leave(
  at: { page: string | undefined; server: RunningServer; home: string },
): Promise<void> {
  const { page, server, home } = at;
  if (page === undefined) {
    await server.stop();
    await rm(home, { recursive: true });
    screen.line(
      "  Everything was removed again; --keep keeps it and leaves the gateway running.\n",
    );
    return;
  }
  screen.heading("The gateway goes on. Try:");
  screen.line(`  curl ${server.url}/v1/admin/default/stats`);
  screen.line(`  curl "${server.url}/v1/sync/default/pull?clientId=me&tables=airports&limit=3"`);
  screen.line(`  curl -X POST ${server.url}/v1/admin/default/flush`);
  screen.line("\n  Ctrl-C stops it. The page, for Ann in one browser and for Ben in another:");
  screen.line(`  ${page}\n`);
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => stopped.resolve());
  }
  await stopped.promise;
  await server.stop();
}

await main();
