import { type ErrorCode, LakeSyncError, toLakeSyncError } from "@lakesync/core";

/** What of the driver's errors is looked at. */
interface PgError {
  readonly code?: unknown;
  readonly column?: unknown;
  readonly table?: unknown;
}

/** By SQLSTATE or its class: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const KNOWN: readonly (readonly [state: RegExp, code: ErrorCode, next: string])[] = [
  [/^28/, "FORBIDDEN", "see that the user and the password in its URL are right"],
  [/^42501$/, "FORBIDDEN", "grant its user the right to create, read and write these tables"],
  [/^(3D000|3F000)$/, "VALIDATION_ERROR", "create it, or correct the URL"],
  [/^(57014|55P03|40P01|25P03)$/, "TIMEOUT", "try again, or allow more time by statementMs"],
  [/^(08|57P)/, "OFFLINE", "see that its server runs and can be reached, and try again"],
  [/^XX00[12]$/, "CORRUPT", "restore a backup"],
  [/^(22|23|42)/, "CONFLICT", "somebody else changed the table: drop or rename it, or undo that"],
];

/** Reasons of the driver's own, which have no SQLSTATE. */
const UNANSWERED = /Query read timeout/;

/**
 * What a statement or a connection threw, as an error with a code and the next step.
 *
 * @param thrown What was thrown.
 * @param place Names the database.
 */
export function postgresError(thrown: unknown, place: string): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const { message } = toLakeSyncError(thrown, "STORAGE_ERROR");
  const { code, column, table } = (thrown ?? {}) as PgError;
  const details = {
    ...(typeof column === "string" && { column }),
    ...(typeof table === "string" && { table }),
  };
  const make = (code: ErrorCode, next: string) =>
    new LakeSyncError(code, `${place} failed (${message}): ${next}`, { cause: thrown, details });
  if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && code !== "EPIPE") {
    for (const [state, known, next] of KNOWN) if (state.test(code)) return make(known, next);
    return make("STORAGE_ERROR", "see its server's log, and that it has room");
  }
  if (UNANSWERED.test(message)) {
    return make("TIMEOUT", "try again, or allow more time by statementMs");
  }
  return thrown instanceof TypeError
    ? make("INTERNAL", "this is a fault of LakeSync, report it")
    : make("OFFLINE", "see that its server runs and can be reached, and try again");
}
