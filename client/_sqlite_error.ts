import { type ErrorCode, LakeSyncError } from "@lakesync/core";

// Result codes of SQLite: https://www.sqlite.org/rescode.html
const ERROR = 1;
const READONLY = 8;
const CORRUPT = 11;
const FULL = 13;
const RANGE = 25;
const NOTADB = 26;

/**
 * Turns what node:sqlite threw into an error of ours. A fault of the statement itself is
 * `VALIDATION_ERROR`.
 */
export function sqliteError(thrown: unknown, what: string): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new LakeSyncError(errorCode(thrown), `${what}: ${hint(thrown) ?? reason}`, {
    cause: thrown,
  });
}

function primaryCode(thrown: unknown): number | undefined {
  const { errcode } = thrown as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}

function errorCode(thrown: unknown): ErrorCode {
  switch (primaryCode(thrown)) {
    case CORRUPT:
    case NOTADB:
      return "CORRUPT";
    case ERROR:
    case RANGE:
    case READONLY:
      return "VALIDATION_ERROR";
    case undefined: {
      // Values that cannot be bound, and too many of them.
      const { code } = thrown as { code?: unknown };
      const bad = typeof code === "string" && code.startsWith("ERR_INVALID_ARG");
      return bad ? "VALIDATION_ERROR" : "STORAGE_ERROR";
    }
    default:
      return "STORAGE_ERROR";
  }
}

function hint(thrown: unknown): string | undefined {
  switch (primaryCode(thrown)) {
    case FULL:
      return "the disk is full, make room and try again";
    case READONLY:
      return "it would write, use client.tables for that";
    case CORRUPT:
    case NOTADB:
      return "the file is damaged, put a backup back or remove it and sync anew";
    default:
      return undefined;
  }
}
