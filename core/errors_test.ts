import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import { test } from "@lakesync/testing";
import {
  type ErrorCode,
  httpStatus,
  isRequestErrorCode,
  LakeSyncError,
  type LocalErrorCode,
  type RejectionCode,
  type RequestErrorCode,
  toLakeSyncError,
} from "./errors.ts";

// PROTOCOL, section 4. A Record, so that the compiler demands every code.
const STATUS: Record<RequestErrorCode, number> = {
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
const OTHERS: Record<RejectionCode | LocalErrorCode, true> = {
  SCHEMA_ERROR: true,
  BAD_DELTA_ID: true,
  CLOCK_DRIFT: true,
  FORBIDDEN_WRITE: true,
  TOO_LARGE: true,
  TX_REJECTED: true,
  STALE: true,
  OFFLINE: true,
  ABORTED: true,
  STORAGE_ERROR: true,
  CORRUPT: true,
  CLOSED: true,
};

test("httpStatus() gives the status that the protocol has for each request code", () => {
  for (const [code, status] of Object.entries(STATUS)) {
    assertEquals(httpStatus(code as RequestErrorCode), status, code);
    assert(isRequestErrorCode(code), code);
  }
});

test("httpStatus() is 500 for codes that answer no request", () => {
  for (const code of Object.keys(OTHERS)) {
    assertEquals(httpStatus(code as ErrorCode), 500, code);
    assertFalse(isRequestErrorCode(code), code);
  }
});

test("isRequestErrorCode() refuses the names of inherited properties", () => {
  for (const code of ["", "toString", "constructor", "__proto__", "conflict"]) {
    assertFalse(isRequestErrorCode(code), code);
    assertEquals(httpStatus(code as ErrorCode), 500);
  }
});

test("LakeSyncError carries code, message, cause and details", () => {
  const cause = new Error("disk full");
  const error = new LakeSyncError("STORAGE_ERROR", "Cannot write", { cause, details: { free: 0 } });
  assertInstanceOf(error, Error);
  assertEquals([error.name, error.code, error.message], [
    "LakeSyncError",
    "STORAGE_ERROR",
    "Cannot write",
  ]);
  assertStrictEquals(error.cause, cause);
  assertEquals(error.details, { free: 0 });
  assertEquals(String(error), "LakeSyncError: Cannot write");
});

test("LakeSyncError has no cause and no details where none are given", () => {
  const error = new LakeSyncError("CLOSED", "Cannot read: the store is closed");
  assertFalse("cause" in error);
  assertEquals(error.details, undefined);
});

test("toLakeSyncError() gives a LakeSyncError back as it is", () => {
  const error = new LakeSyncError("CONFLICT", "Cannot commit");
  assertStrictEquals(toLakeSyncError(error, "INTERNAL"), error);
});

test("toLakeSyncError() wraps anything else with the code and keeps it as cause", () => {
  const cause = new RangeError("too big");
  const wrapped = toLakeSyncError(cause, "CORRUPT");
  assertEquals([wrapped.code, wrapped.message], ["CORRUPT", "too big"]);
  assertStrictEquals(wrapped.cause, cause);
  assertEquals(toLakeSyncError("boom", "INTERNAL").message, "boom");
  for (const thrown of [null, undefined, 1, 1n, Symbol("s"), {}, Object.create(null), () => 1]) {
    const error = toLakeSyncError(thrown, "INTERNAL");
    assertEquals(error.code, "INTERNAL");
    assert(error.message.length > 0);
    assertStrictEquals(error.cause, thrown ?? error.cause);
  }
});
