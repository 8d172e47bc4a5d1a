import { unwrapOrThrow } from "@lakesync/core";
import type { Catalogue } from "../catalogue.ts";
import { versionKey } from "../table.ts";

/** The URL of a table's newest metadata file, in a lake without a catalogue. */
export async function readNewest(catalogue: Catalogue, table: string): Promise<string> {
  const version = unwrapOrThrow(await catalogue.load(table))!;
  return `${version.metadata.location}${versionKey("", version.number)}`;
}
