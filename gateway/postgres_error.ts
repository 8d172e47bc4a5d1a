import { LakeSyncError, toLakeSyncError } from "@lakesync/core";

/**
 * What a statement threw, as an error with a code and the next step.
 *
 * @param thrown What was thrown.
 * @param log Names the log: its schema and where its database is.
 */
export function postgresError(thrown: unknown, log: string): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const { message } = toLakeSyncError(thrown, "STORAGE_ERROR");
  const damaged = isDamage(thrown);
  return new LakeSyncError(
    damaged ? "CORRUPT" : "STORAGE_ERROR",
    damaged
      ? `The log ${log} is damaged (${message}): stop the gateways and restore a backup`
      : `The log ${log} failed (${message}): see that its server runs, can be reached and has room`,
    { cause: thrown },
  );
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
function isDamage(thrown: unknown): boolean {
  const code = (thrown as { code?: unknown } | null)?.code;
  return typeof code === "string" && [
    "XX001", // data_corrupted
    "XX002", // index_corrupted
    "42P01", // undefined_table
    "42703", // undefined_column
    "3F000", // invalid_schema_name
  ].includes(code);
}

/** A log that is not what it should be. */
export function damagedError(log: string, reason: string): LakeSyncError {
  return new LakeSyncError(
    "CORRUPT",
    `Cannot open the log ${log}: ${reason}. It was left as it is; restore a backup or choose another schema`,
  );
}
