import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import type { FlushThresholds } from "./flushing.ts";
import { DELETES, type LakeChoice } from "./lake_choice.ts";

type Check = "text" | "flag" | "seconds" | readonly string[] | { readonly [name: string]: Check };

/** What timers can wait for. */
const MAX_SECONDS = 2_000_000;

const PLACE: { readonly [name: string]: Check } = {
  url: "text",
  endpoint: "text",
  region: "text",
  pathStyle: "flag",
  catalogue: {
    url: "text",
    warehouse: "text",
    namespace: "text",
    vended: "flag",
    sigv4: ["s3tables", "glue"],
    scope: "text",
    tokenUrl: "text",
  },
};

const LAKE: { readonly [name: string]: Check } = {
  ...PLACE,
  checkpoints: "text",
  format: ["iceberg", "json"],
  maintain: { every: "seconds", compact: "flag", deletes: DELETES },
};

/** Reads what a configuration says of the lake; `VALIDATION_ERROR` that names what is wrong. */
export function parseLake(value: unknown): Result<LakeChoice | undefined> {
  return parse(value, LAKE, "lake");
}

/** Reads where the tables of a destination are; `VALIDATION_ERROR` that names what is wrong. */
export function parsePlace(value: unknown, path: string): Result<LakeChoice | undefined> {
  return parse(value, PLACE, path);
}

/** Reads what a configuration says of thresholds; `VALIDATION_ERROR` that names what is wrong. */
export function parseFlushAt(value: unknown): Result<FlushThresholds | undefined> {
  if (value === undefined) return ok(undefined);
  if (!isObject(value)) return invalid("flushAt is no object");
  for (const [name, number] of Object.entries(value)) {
    if (name !== "rows" && name !== "bytes") return invalid(`flushAt.${name} is not known`);
    if (!(typeof number === "number" && number >= 1)) {
      return invalid(`flushAt.${name} is not a number from 1 on`);
    }
  }
  return ok(value as FlushThresholds);
}

function parse(value: unknown, check: Check, path: string): Result<LakeChoice | undefined> {
  const fault = faultOf(value, check, path);
  if (fault !== undefined) return invalid(fault);
  const lake = value as LakeChoice | undefined;
  if (lake?.catalogue !== undefined && lake.catalogue.url === undefined) {
    return invalid(`${path}.catalogue.url is missing`);
  }
  return ok(lake);
}

function faultOf(value: unknown, check: Check, path: string): string | undefined {
  if (value === undefined) return undefined;
  if (check === "text") {
    return typeof value === "string" && value !== "" ? undefined : `${path} is no text`;
  }
  if (check === "flag") return typeof value === "boolean" ? undefined : `${path} is no boolean`;
  if (check === "seconds") {
    const fits = typeof value === "number" && value >= 0 && value <= MAX_SECONDS;
    return fits ? undefined : `${path} is no number of seconds from 0 to ${MAX_SECONDS}`;
  }
  if (Array.isArray(check)) {
    return check.includes(value) ? undefined : `${path} is none of ${check.join(", ")}`;
  }
  if (!isObject(value)) return `${path} is no object`;
  for (const [name, member] of Object.entries(value)) {
    if (!Object.hasOwn(check, name)) return `${path}.${name} is not known, take it out`;
    const fault = faultOf(member, (check as { [name: string]: Check })[name]!, `${path}.${name}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
