import { type ErrorCode, LakeSyncError, toLakeSyncError } from "@lakesync/core";

/** What of the driver's errors is looked at. */
interface MysqlError {
  readonly code?: unknown;
  readonly sqlState?: unknown;
}

/** By the driver's names: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
const KNOWN: readonly (readonly [name: RegExp, code: ErrorCode, next: string])[] = [
  [
    /^ER_(ACCESS_DENIED|NOT_SUPPORTED_AUTH|MUST_CHANGE_PASSWORD)/,
    "FORBIDDEN",
    "see that the user and the password in its URL are right",
  ],
  [/ACCESS_DENIED/, "FORBIDDEN", "grant its user the right to create, read and write these tables"],
  [/^ER_(BAD_DB|NO_DB)_ERROR$/, "VALIDATION_ERROR", "create the database, or correct the URL"],
  [
    /^(ER_LOCK_WAIT_TIMEOUT|ER_LOCK_DEADLOCK|PROTOCOL_SEQUENCE_TIMEOUT|ER_QUERY_TIMEOUT|ER_QUERY_INTERRUPTED|ER_STATEMENT_TIMEOUT)$/,
    "TIMEOUT",
    "try again, or allow more time by statementMs",
  ],
  [/^ER_(CRASHED|NOT_KEYFILE|TABLE_CORRUPT)/, "CORRUPT", "restore a backup"],
  [
    /^ER_(SERVER_SHUTDOWN|CON_COUNT_ERROR|TOO_MANY_USER_CONNECTIONS|CONNECTION_KILLED)$/,
    "OFFLINE",
    "see that its server runs and can be reached, and try again",
  ],
];

/**
 * What a statement or a connection threw, as an error with a code and the next step.
 *
 * @param thrown What was thrown.
 * @param place Names the database.
 */
export function mysqlError(thrown: unknown, place: string): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const { message } = toLakeSyncError(thrown, "STORAGE_ERROR");
  const { code, sqlState } = (thrown ?? {}) as MysqlError;
  const column = /column '(?:[^']*\.)?`?([^'`]+)`?'|Field '([^']+)'/i.exec(message);
  const details = column === null ? {} : { column: column[1] ?? column[2] ?? "" };
  const make = (code: ErrorCode, next: string) =>
    new LakeSyncError(code, `${place} failed (${message}): ${next}`, { cause: thrown, details });
  if (typeof code === "string") {
    for (const [name, known, next] of KNOWN) if (name.test(code)) return make(known, next);
    // Data that does not fit, a table or a column that is not there.
    if (
      /^ER_(NO_DEFAULT_FOR|TRUNCATED_WRONG|WRONG_VALUE|WARN_DATA|DATA_OUT|INVALID_JSON)/.test(code)
    ) {
      return make("CONFLICT", CHANGED);
    }
    if (code.startsWith("ER_") && typeof sqlState === "string" && /^(21|22|23|42)/.test(sqlState)) {
      return make("CONFLICT", CHANGED);
    }
    if (code.startsWith("ER_")) {
      return make("STORAGE_ERROR", "see its server's log, and that it has room");
    }
  }
  return thrown instanceof TypeError
    ? make("INTERNAL", "this is a fault of LakeSync, report it")
    : make("OFFLINE", "see that its server runs and can be reached, and try again");
}

/** The next step where a table does not take what it should. */
export const CHANGED = "somebody else changed the table: drop or rename it, or undo that";
