import { type ErrorCode, LakeSyncError } from "@lakesync/core";

/** Kinds of DuckDB's errors that are not the query's fault. */
const CODES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^INTERRUPT Error/, "ABORTED"],
  [/^(?:IO|HTTP|Out of Memory) Error/, "STORAGE_ERROR"],
  [/^(?:INTERNAL|FATAL) Error/, "INTERNAL"],
  [/No magic bytes|TProtocolException|Corrupt/i, "CORRUPT"],
];

/** What DuckDB threw, with DuckDB's message. */
export function duckDbError(thrown: unknown): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const code = CODES.find(([pattern]) => pattern.test(message))?.[1] ?? "VALIDATION_ERROR";
  return new LakeSyncError(code, `Cannot run the query: ${message}`, { cause: thrown });
}

/** The error of what was stopped by its signal. */
export function aborted(): LakeSyncError {
  return new LakeSyncError("ABORTED", "Cannot run the query: it was stopped by its signal");
}

/** The error of what came after `close`. */
export function closed(): LakeSyncError {
  return new LakeSyncError("CLOSED", "Cannot run the query: the analyst is closed, open another");
}
