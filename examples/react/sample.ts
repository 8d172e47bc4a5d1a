/** What a new gateway begins with, so that there is something to see. */
import { createClient } from "@lakesync/client";
import { type InsertOf, unwrapOrThrow } from "@lakesync/core";
import { type sightings, tables } from "./tables.ts";

const SEEN: readonly [species: string, count: number, place: string, hoursAgo: number][] = [
  ["Common kingfisher", 1, "Mill pond", 1.2],
  ["Grey heron", 2, "Mill pond", 1.5],
  ["Mute swan", 6, "Mill pond", 1.6],
  ["Great crested grebe", 4, "East shore", 3],
  ["Barn swallow", 18, "Old barn", 5],
  ["House martin", 11, "Old barn", 5.1],
  ["Common swift", 24, "Church tower", 22],
  ["Eurasian nuthatch", 2, "Beech wood", 25],
  ["Great spotted woodpecker", 1, "Beech wood", 25.4],
  ["Long-tailed tit", 9, "Beech wood", 26],
  ["Eurasian wren", 1, "Hollow lane", 27],
  ["Red kite", 3, "Hill farm", 46],
  ["Skylark", 5, "Hill farm", 46.5],
  ["Yellowhammer", 2, "Hill farm", 47],
  ["Northern lapwing", 32, "Water meadow", 71],
  ["White stork", 2, "Water meadow", 72],
  ["Reed bunting", 3, "East shore", 73],
  ["Grey heron", 1, "Water meadow", 74],
];

/** Writes the sample through a client of its own, as any device would. */
export async function writeSample(url: string): Promise<void> {
  const client = unwrapOrThrow(
    await createClient({ tables, database: ":memory:", url, sync: { auto: false } }),
  );
  const now = Date.now();
  const rows = SEEN.map(([species, count, place, hoursAgo]): InsertOf<typeof sightings> => ({
    species,
    count,
    place,
    seen: new Date(now - hoursAgo * 3_600_000),
  }));
  unwrapOrThrow(await client.tables.sightings.insertMany(rows));
  unwrapOrThrow(await client.syncOnce());
  await client.close();
}
