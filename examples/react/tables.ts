/** The example's table: birds that somebody saw. */
import { defineTable, integer, string, timestamp } from "@lakesync/core";

/** A sighting: so many birds of a species, at a place. */
export const sightings = defineTable("sightings", {
  species: string(),
  count: integer(),
  place: string(),
  seen: timestamp(),
}, { indexes: [["seen"]] });

/** All of them. */
export const tables = [sightings] as const;

/** What {@linkcode tables} is, for `useLakeSync`. */
export type Tables = typeof tables;
