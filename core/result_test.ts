import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "@lakesync/testing";
import { LakeSyncError } from "./errors.ts";
import { err, match, ok, type Result, unwrapOr, unwrapOrThrow } from "./result.ts";

const failed: Result<number, string> = err("no");
const done: Result<number, string> = ok(1);

test("ok() and err() make results that `ok` tells apart", () => {
  assertEquals(ok(undefined), { ok: true, value: undefined });
  assertEquals(err(undefined), { ok: false, error: undefined });
  const text = (result: Result<number, string>) => result.ok ? result.value + 1 : result.error;
  assertEquals([text(done), text(failed)], [2, "no"]);
});

test("unwrapOr() gives the value of a success, also a falsy one, else the fallback", () => {
  assertEquals(unwrapOr(done, 9), 1);
  assertEquals(unwrapOr(failed, 9), 9);
  for (const falsy of [0, "", false, null, undefined]) {
    assertStrictEquals(unwrapOr<unknown, string>(ok(falsy), "fallback"), falsy);
  }
});

test("match() calls the one handler that fits and gives what it returned", () => {
  const calls: string[] = [];
  const handlers = {
    ok: (value: number) => (calls.push(`ok ${value}`), "yes"),
    err: (error: string) => (calls.push(`err ${error}`), "no"),
  };
  assertEquals([match(done, handlers), match(failed, handlers)], ["yes", "no"]);
  assertEquals(calls, ["ok 1", "err no"]);
});

test("unwrapOrThrow() gives the value of a success and throws the very error of a failure", () => {
  assertEquals(unwrapOrThrow(done), 1);
  const error = new LakeSyncError("CONFLICT", "Cannot do it");
  assertStrictEquals(assertThrows(() => unwrapOrThrow(err(error)), LakeSyncError), error);
});

test("a Result has LakeSyncError as its error unless told otherwise", () => {
  const result: Result<string> = err(new LakeSyncError("TIMEOUT", "Cannot wait longer"));
  assert(!result.ok);
  assertEquals(result.error.code, "TIMEOUT");
});
