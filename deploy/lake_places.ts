import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { parsePlace } from "./config_lake.ts";
import type { DestinationFactory, Destinations } from "./databases.ts";
import type { Routes } from "./flows_routes.ts";
import { type OpenLakesOptions, parseS3, s3Settings } from "./lake.ts";

/** Where lakes are: in a catalogue, in a bucket, else in directories. */
export type LakePlace = Pick<OpenLakesOptions, "choice" | "directory" | "env">;

/** What is known of a destination before it is opened. */
interface KnownPlace extends LakePlace {
  /** Whether it is where a lifecycle's old rows go. */
  readonly cold: boolean;
}

const known = new WeakMap<DestinationFactory, KnownPlace>();

/** Says where a destination keeps Iceberg tables, for {@linkcode checkPlaces}. */
export function keepPlace(factory: DestinationFactory, place: KnownPlace): DestinationFactory {
  known.set(factory, place);
  return factory;
}

/** What writes Iceberg tables of a log to a place. */
interface Writer {
  /** Its path in the configuration. */
  readonly path: string;
  readonly log: string;
  readonly cold: boolean;
}

/**
 * Sees that nobody else writes where a lifecycle's old rows go: deltas are moved there at other times
 * than they are flushed, so that the watermark of the one would have the other skip or repeat some.
 *
 * @param about The server's lake, its destinations, and by log what of them that is flushed to.
 * @returns `VALIDATION_ERROR` that names the lifecycle and who else writes there.
 */
export function checkPlaces(about: {
  readonly lake: LakePlace;
  readonly destinations: Destinations;
  readonly logs: ReadonlyMap<string, Routes | undefined>;
}): Result<void> {
  const writers = new Map<string, Writer>();
  for (const [log, routes] of about.logs) {
    const places: [string, KnownPlace][] = [["lake", { ...about.lake, cold: false }]];
    for (const [name, factory] of Object.entries(about.destinations)) {
      const place = known.get(factory);
      // What is wrong with it is said when it is opened.
      if (place === undefined || !parsePlace(place.choice, name).ok) continue;
      places.push([name, place]);
    }
    for (const [name, { cold, ...place }] of places) {
      const where = routes?.has(name) === false ? undefined : placeOf(log, place);
      if (where === undefined) continue;
      const path = name === "lake" ? name : `destinations.${name}${cold ? ".cold" : ""}`;
      const writer = { path, log, cold };
      const other = writers.get(where);
      if (other !== undefined && (cold || other.cold)) {
        return shared(where, cold ? [writer, other] : [other, writer]);
      }
      writers.set(where, writer);
    }
  }
  return ok(undefined);
}

function shared(where: string, [cold, other]: readonly [Writer, Writer]): Result<never> {
  return err(
    new LakeSyncError(
      "VALIDATION_ERROR",
      `${cold.path}: Cannot move rows of the log "${cold.log}" to ${where}: ${other.path} writes the log "${other.log}" there, give ${cold.path} a place of its own`,
    ),
  );
}

/** Where a log's tables are, the same text for the same place; undefined where that is none. */
function placeOf(log: string, { choice, directory, env }: LakePlace): string | undefined {
  const { catalogue, url } = choice;
  if (catalogue !== undefined) {
    const { namespace = "lakesync_{gateway}", warehouse } = catalogue;
    if (!URL.canParse(catalogue.url)) return undefined;
    return `the namespace "${namespace.replaceAll("{gateway}", log)}" of the catalogue ${
      addressOf(catalogue.url)
    }${warehouse === undefined ? "" : `, warehouse ${warehouse}`}`;
  }
  if (url === undefined) return realPath(directory(log));
  const place = parseS3(url);
  if (place === undefined) return undefined;
  const { endpoint = "" } = s3Settings(choice, env);
  const elsewhere = URL.canParse(endpoint) && !isAws(endpoint);
  const folder = [place.bucket, place.prefix, log].filter(Boolean).join("/");
  return `s3://${folder}${elsewhere ? ` at ${addressOf(endpoint)}` : ""}`;
}

/** A URL, of all ways to write it the same one. */
function addressOf(url: string): string {
  return new URL(url).href.replace(/\/+$/, "");
}

/** Whether an endpoint is where S3 is by itself: a bucket's name is given once for all regions. */
function isAws(endpoint: string): boolean {
  return /(^|\.)amazonaws\.com$/.test(new URL(endpoint).hostname);
}

/** A path without symbolic links, also where its end is not there yet. */
function realPath(path: string): string {
  const whole = resolve(path);
  try {
    return realpathSync(whole);
  } catch {
    const parent = dirname(whole);
    return parent === whole ? whole : join(realPath(parent), basename(whole));
  }
}
