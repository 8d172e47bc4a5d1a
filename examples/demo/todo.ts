/** What `--keep` leaves running: the to-do app on the demo's gateway, with what the demo found out in it. */
import type { Analyst } from "@lakesync/analyst";
import { type RuleBucket, type Rules, unwrapOrThrow } from "@lakesync/core";
import type { RunningServer } from "@lakesync/deploy";
import { TODO_PATH } from "../todo/pages.ts";
import { rules } from "../todo/rules.ts";
import { SAMPLE, type SampleList, writeLists } from "../todo/sample.ts";
import { PEOPLE } from "../todo/tables.ts";
import { airports, departures, flights } from "./tables.ts";

const ROUTES = `
  SELECT o.name AS origin, d.name AS destination, count(*) AS flights
  FROM departures f JOIN airports o ON o.id = f.origin JOIN airports d ON d.id = f.destination
  GROUP BY ALL ORDER BY flights DESC, origin, destination LIMIT 5`;

const own: RuleBucket = {
  name: "demo",
  tables: [airports.name, flights.name, departures.name],
  filters: [],
};

/** The app's rules; everybody sees the demo's own tables. */
export const keptRules: Rules = {
  ...rules,
  buckets: [...rules.buckets, own],
  write: [...rules.write!, own],
};

/**
 * Fills the app: Ann and Ben get their lists, and one of what the lake was asked.
 *
 * @param server The demo's server, with the app's tables and pages.
 * @param analyst Asks the lake.
 * @returns Where the app is.
 */
export async function openTodo(server: RunningServer, analyst: Analyst): Promise<string> {
  const { rows } = unwrapOrThrow(await analyst.query(ROUTES));
  const routes: SampleList = {
    id: "routes",
    title: "Busiest routes",
    colour: "teal",
    owner: "ann",
    people: ["ben"],
    open: rows.map((row) => `${row["origin"]} to ${row["destination"]}: ${row["flights"]} flights`),
  };
  for (const { id } of PEOPLE) await writeLists(id, [routes, ...SAMPLE], { url: server.url });
  return server.url + TODO_PATH;
}
