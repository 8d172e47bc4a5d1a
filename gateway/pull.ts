import { createHash } from "node:crypto";
import {
  canonicalJson,
  type Claims,
  err,
  isIdentifier,
  LakeSyncError,
  ok,
  type Result,
} from "@lakesync/core";
import { type Caller, checkClientId, claimsOf } from "./caller.ts";
import type { GatewayLimits } from "./limits.ts";

/** The parameters of a pull after they were checked. */
export interface PullParams {
  /** Who asks. */
  readonly clientId: string;
  /** What rules see of who asks. */
  readonly claims: Claims;
  /** Where it stands; `""` is the beginning. */
  readonly cursor: string;
  /** The most items. */
  readonly limit: number;
  /** Only these tables; undefined for all. */
  readonly tables: readonly string[] | undefined;
  /** How long to hold an empty answer, in seconds. */
  readonly wait: number;
  /** Whether the caller's own deltas come as OWN. */
  readonly own: boolean;
  /** Whether answers tell where the log ends. */
  readonly tellHead: boolean;
  /** The client's schema version, where it stated one. */
  readonly schemaVersion: number | undefined;
}

/**
 * Reads the query of a pull or a checkpoint.
 *
 * @param query The URL's query.
 * @param context Who asks, and the limits.
 * @returns The parameters; `VALIDATION_ERROR` where one is malformed, `FORBIDDEN` for another's
 * clientId, `NOT_FOUND` for a source that there is not.
 */
export function parsePull(
  query: URLSearchParams,
  context: { caller: Caller; limits: GatewayLimits },
): Result<PullParams> {
  const { caller, limits } = context;
  const clientId = checkClientId(caller, query.get("clientId"));
  if (!clientId.ok) return clientId;
  const limit = wholeNumber(query.get("limit"), limits.pageItems);
  if (limit === undefined || limit < 1) return invalid("limit must be a whole number from 1");
  const wait = finiteNumber(query.get("wait"));
  if (wait === undefined || wait < 0) {
    return invalid("wait must be a number of seconds from 0 to 60");
  }
  const own = query.get("own");
  if (own !== null && own !== "ids") return invalid('own must be "ids" where it is given');
  const tell = query.get("tell");
  if (tell !== null && tell !== "head") {
    return invalid('tell must be "head" where it is given');
  }
  const version = wholeNumber(query.get("schemaVersion"), -1);
  if (version === undefined || !Number.isSafeInteger(version)) {
    return invalid("schemaVersion must be a whole number");
  }
  const tables = query.get("tables")?.split(",").filter((name) => name !== "");
  if (tables?.some((name) => !isIdentifier(name)) === true) {
    return invalid("tables must be table names, comma-separated");
  }
  // The log is none: only a plain pull reads one.
  if (query.get("source") !== null) return noSuchSource();
  return ok({
    clientId: clientId.value,
    claims: claimsOf(caller, clientId.value),
    cursor: query.get("cursor") ?? "",
    limit: Math.min(limit, limits.maxPageItems),
    tables: tables === undefined || tables.length === 0 ? undefined : tables,
    wait: Math.min(wait, limits.maxWaitSeconds),
    own: own === "ids",
    tellHead: tell === "head",
    schemaVersion: version < 0 ? undefined : version,
  });
}

/** The answer to who asks for a source that there is not. */
export function noSuchSource(): Result<never> {
  return err(new LakeSyncError("NOT_FOUND", "There is no source of that name to read here"));
}

/**
 * The digest of what a caller may see and asked for: a cursor is good only under the same one.
 *
 * @param params The tables and the schema version that it asked with.
 * @param rules The canonical text of what the rules let it see; undefined where there are none.
 * @returns 32 hex digits. Pages and checkpoints are shared between callers of one digest, and a caller
 * may try any number of `schemaVersion`s offline to come to another's: so they must not be fewer.
 */
export function viewDigest(
  params: Pick<PullParams, "tables" | "schemaVersion">,
  rules: string | undefined,
): string {
  const { tables, schemaVersion } = params;
  const view = canonicalJson({
    tables: tables === undefined ? null : [...new Set(tables)].sort(),
    schemaVersion: schemaVersion ?? null,
    ...(rules !== undefined && { rules }),
  });
  return createHash("sha256").update(view).digest("hex").slice(0, 32);
}

function wholeNumber(text: string | null, fallback: number): number | undefined {
  if (text === null) return fallback;
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function finiteNumber(text: string | null): number | undefined {
  if (text === null) return 0;
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
