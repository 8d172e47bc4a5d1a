/** The app's queries, with the types of its table. */
import { queryBuilder } from "@lakesync/client/kysely";
import { tables } from "../tables.ts";

/** Makes typed queries. */
export const db = queryBuilder(tables);

/** A sighting as the list shows it. */
export interface Sighting {
  readonly id: string;
  readonly species: string;
  readonly count: number | bigint;
  readonly place: string;
  readonly seen: string;
}

/** The newest sightings whose species or place has a text in it. */
export function sightingsWith(text: string) {
  const pattern = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  return db.selectFrom("sightings").select(["id", "species", "count", "place", "seen"])
    .where((row) =>
      row.or([
        row(row.fn<string>("lower", ["species"]), "like", pattern.toLowerCase()),
        row(row.fn<string>("lower", ["place"]), "like", pattern.toLowerCase()),
      ])
    )
    .orderBy("seen", "desc").orderBy("id").limit(200);
}

/** How many birds of each species, most first. */
export const bySpecies = db.selectFrom("sightings")
  .select(({ fn }) => ["species", fn.sum<number>("count").as("birds")])
  .groupBy("species").orderBy("birds", "desc").orderBy("species");

/** How many sightings, places and birds. */
export const sums = db.selectFrom("sightings").select(({ fn }) => [
  fn.countAll<number>().as("sightings"),
  fn.count<number>("place").distinct().as("places"),
  fn.sum<number | null>("count").as("birds"),
]);
