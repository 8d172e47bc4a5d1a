import { assert, assertFalse } from "@std/assert";
import { test } from "@lakesync/testing";
import { isLocalHost, isLoopback, isLoopbackOrigin } from "./loopback.ts";

test("isLoopback() takes this machine's names and addresses and nothing else", () => {
  for (const host of ["localhost", "127.0.0.1", "127.1.2.3", "::1"]) assert(isLoopback(host), host);
  for (
    const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org", "localhost.example.org"]
  ) {
    assertFalse(isLoopback(host), host);
  }
});

test("isLoopbackOrigin() takes pages of this machine, whatever their port", () => {
  for (const origin of ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"]) {
    assert(isLoopbackOrigin(origin), origin);
  }
  for (const origin of ["https://example.org", "http://127.0.0.1.example.org", "null", ""]) {
    assertFalse(isLoopbackOrigin(origin), origin);
  }
});

test("a name that a stranger can have resolve to this machine is not local", () => {
  for (
    const host of ["localhost", "LOCALHOST:80", "127.0.0.1:8787", "[::1]:1", "box", "a.localhost"]
  ) {
    assert(isLocalHost(host), host);
  }
  for (
    const host of [
      "evil.example",
      "127.0.0.1.evil.example:80",
      "a.b",
      "",
      "x:y",
      "[::1",
      "localhost:80:80",
      "localhost@x",
      "localhost:x",
    ]
  ) {
    assertFalse(isLocalHost(host), host);
  }
});
