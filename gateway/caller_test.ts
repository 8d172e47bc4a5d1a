import { assertEquals } from "@std/assert";
import type { Result } from "@lakesync/core";
import { insertTodo, test } from "@lakesync/testing";
import { type Caller, checkClientId, claimsOf, isOwnClientId, subjectOf } from "./caller.ts";
import { openGateway } from "./testdata/fixture.ts";

function bearer(sub: string): Caller {
  return { sub, role: "client", claims: { sub, team: "red" }, expiresAt: Infinity };
}

function codeOf(result: Result<unknown>): string {
  return result.ok ? "ok" : result.error.code;
}

test("subjectOf() is the part before the first colon, percent-decoded", () => {
  const cases: [clientId: string, subject: string][] = [
    ["alice", "alice"],
    ["alice:phone", "alice"],
    ["alice:phone:2", "alice"],
    ["auth0%7C42:x", "auth0|42"],
    ["a%3Ab:x", "a:b"],
    ["%E4%BD%A0:x", "你"],
    [":x", ""],
    // Not percent-encoded: taken as it is.
    ["100%:x", "100%"],
    ["%ff", "%ff"],
  ];
  for (const [clientId, subject] of cases) assertEquals(subjectOf(clientId), subject);
});

test("checkClientId() takes any clientId without authentication", () => {
  for (const clientId of ["alice", "100%", "@source:crm", "é".repeat(100)]) {
    assertEquals(codeOf(checkClientId({ sub: undefined }, clientId)), "ok");
  }
});

test("checkClientId() takes only those of its own subject where it knows one", () => {
  const caller = bearer("a:b");
  for (const own of ["a%3Ab", "a%3Ab:phone", "a%3Ab:", "a%3Ab:x:y"]) {
    assertEquals(codeOf(checkClientId(caller, own)), "ok");
  }
  for (
    const foreign of [
      "a",
      "a:b",
      "a%3Abc",
      "A%3AB",
      "a%253Ab",
      " a%3Ab",
      "a%3ab:tablet",
      "%61%3Ab",
      "@source:a%3Ab",
    ]
  ) {
    assertEquals(codeOf(checkClientId(caller, foreign)), "FORBIDDEN", foreign);
    assertEquals(isOwnClientId(caller, { own: "a%3Ab:phone", other: foreign }), false, foreign);
  }
  assertEquals(isOwnClientId(caller, { own: "a%3Ab:phone", other: "a%3Ab:tablet" }), true);
});

test("claimsOf() is what the token says, without authentication the clientId's subject", () => {
  assertEquals(claimsOf(bearer("alice"), "alice:phone"), { sub: "alice", team: "red" });
  assertEquals(claimsOf({ sub: undefined }, "a%3Ab:phone"), { sub: "a:b" });
});

test("a request with another subject's clientId is FORBIDDEN on each sync route", async () => {
  const gateway = await openGateway();
  const caller = bearer("alice");
  const body = { clientId: "bob", deltas: [insertTodo("a", 1, "bob")] };
  assertEquals(codeOf(await gateway.push(body, caller)), "FORBIDDEN");
  const query = new URLSearchParams({ clientId: "bob:x" });
  assertEquals(codeOf(await gateway.pull(query, { caller })), "FORBIDDEN");
  assertEquals(codeOf(await gateway.checkpoint(query, { caller })), "FORBIDDEN");
  assertEquals(codeOf(await gateway.push({ clientId: "alice:x", deltas: [] }, caller)), "ok");
  const smuggled = { clientId: "alice:x", deltas: [insertTodo("a", 1, "bob")] };
  assertEquals(codeOf(await gateway.push(smuggled, caller)), "FORBIDDEN");
  const devices = { clientId: "alice:x", deltas: [insertTodo("a", 1, "alice:y")] };
  assertEquals(codeOf(await gateway.push(devices, caller)), "ok");
});
