import type { JsonValue } from "./json.ts";

/** Codes of errors that answer a whole request (PROTOCOL, section 4). */
export type RequestErrorCode =
  | "VALIDATION_ERROR"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "CONFLICT"
  | "CHECKPOINT_REQUIRED"
  | "PAYLOAD_TOO_LARGE"
  | "RATE_LIMITED"
  | "BACKPRESSURE"
  | "SHUTTING_DOWN"
  | "TIMEOUT"
  | "INTERNAL";

/** Codes of a delta that a push rejected (PROTOCOL, section 4). */
export type RejectionCode =
  | "SCHEMA_ERROR"
  | "BAD_DELTA_ID"
  | "CLOCK_DRIFT"
  | "FORBIDDEN_WRITE"
  | "TOO_LARGE"
  | "TX_REJECTED"
  | "STALE";

/** Codes of failures that never cross the wire. */
export type LocalErrorCode =
  /** The other side cannot be reached. */
  | "OFFLINE"
  /** The operation was stopped by its signal. */
  | "ABORTED"
  /** Stable storage failed or is full. */
  | "STORAGE_ERROR"
  /** A stored thing is damaged or was made by something else. */
  | "CORRUPT"
  /** What was asked for is closed. */
  | "CLOSED";

/** Every code that a {@linkcode LakeSyncError} can carry. */
export type ErrorCode = RequestErrorCode | RejectionCode | LocalErrorCode;

const STATUS: Readonly<Record<RequestErrorCode, number>> = {
  VALIDATION_ERROR: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  CHECKPOINT_REQUIRED: 410,
  PAYLOAD_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  BACKPRESSURE: 503,
  SHUTTING_DOWN: 503,
  TIMEOUT: 504,
  INTERNAL: 500,
};

/**
 * The HTTP status that an error code is answered with.
 *
 * @param code Any error code; one that has no status of its own counts as `INTERNAL`.
 * @returns The status, 400 to 599.
 *
 * @example Look up a status
 * ```ts
 * import { httpStatus } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(httpStatus("CHECKPOINT_REQUIRED"), 410);
 * assertEquals(httpStatus("STORAGE_ERROR"), 500);
 * ```
 */
export function httpStatus(code: ErrorCode): number {
  return isRequestErrorCode(code) ? STATUS[code] : STATUS.INTERNAL;
}

/**
 * Tells whether a text is one of the codes that answer a request.
 *
 * @param code Any text, say from an error body.
 * @returns Whether it is a {@linkcode RequestErrorCode}.
 *
 * @example Read a code from outside
 * ```ts
 * import { isRequestErrorCode } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(isRequestErrorCode("CONFLICT"));
 * assert(!isRequestErrorCode("toString"));
 * ```
 */
export function isRequestErrorCode(code: string): code is RequestErrorCode {
  return Object.hasOwn(STATUS, code);
}

/** Options of {@linkcode LakeSyncError}. */
export interface LakeSyncErrorOptions {
  /**
   * What led to this error.
   *
   * @default {undefined}
   */
  cause?: unknown;
  /**
   * Facts for programs; never row values.
   *
   * @default {undefined}
   */
  details?: { readonly [key: string]: JsonValue };
}

/**
 * The one error class. A message says what failed and what to do next.
 *
 * @example Make and read one
 * ```ts
 * import { LakeSyncError } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new LakeSyncError("NOT_FOUND", 'No table "todo": did you mean "todos"?');
 * assertEquals(error.code, "NOT_FOUND");
 * ```
 */
export class LakeSyncError extends Error {
  /** What kind of failure this is. */
  readonly code: ErrorCode;
  /** Facts for programs, where there are any. */
  readonly details: { readonly [key: string]: JsonValue } | undefined;

  /**
   * Makes an error.
   *
   * @param code What kind of failure this is.
   * @param message What failed and the next step, without a full stop.
   * @param options Cause and details, where there are any.
   */
  constructor(code: ErrorCode, message: string, options: LakeSyncErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "LakeSyncError";
    this.code = code;
    this.details = options.details;
  }
}

/**
 * Turns anything that was thrown into a {@linkcode LakeSyncError}; one that is one already is
 * returned as it is.
 *
 * @param thrown What was caught.
 * @param code The code for what has none.
 * @returns The error.
 *
 * @example Wrap what a library threw
 * ```ts
 * import { toLakeSyncError } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(toLakeSyncError(new Error("disk full"), "STORAGE_ERROR").message, "disk full");
 * ```
 */
export function toLakeSyncError(thrown: unknown, code: ErrorCode): LakeSyncError {
  if (thrown instanceof LakeSyncError) return thrown;
  const message = thrown instanceof Error
    ? thrown.message
    // An object may have no form as a string.
    : typeof thrown === "object"
    ? "A thing that is no Error was thrown"
    : String(thrown);
  return new LakeSyncError(code, message, { cause: thrown });
}
