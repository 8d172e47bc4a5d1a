import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { jsrImports } from "./check_jsr.ts";
import { differences } from "./check_tsconfig.ts";

test("differences() accepts what agrees", () => {
  const expected = new Map([["@lakesync/core", ["./core/mod.ts"]]]);
  assertEquals(differences('"paths"', expected, new Map(expected)), []);
});

test("differences() names what is missing, wrong or left over", () => {
  const expected = new Map([["a", ["./a.ts"]], ["b", ["./b.ts"]]]);
  const actual = new Map([["b", ["./c.ts"]], ["d", ["./d.ts"]]]);
  assertEquals(differences('"paths"', expected, actual), [
    '"paths" must have "a": ["./a.ts"]',
    '"paths" must have "b": ["./b.ts"]',
    '"paths" has "d", which no deno.json exports',
  ]);
});

test("jsrImports() finds imports from JSR in code, texts and configuration", () => {
  const at = (file: string, text: string) =>
    jsrImports(file, text).map((fault) => fault.split(" ")[0]);
  assertEquals(at("core/a.ts", 'export {};\nimport { x } from "jsr:@std/assert";'), [
    "core/a.ts:2",
  ]);
  assertEquals(at("core/a.ts", "await import('jsr:@std/assert');"), ["core/a.ts:1"]);
  assertEquals(at("README.md", 'import x from "https://jsr.io/@a/b/1.0.0/mod.ts";'), [
    "README.md:1",
  ]);
  assertEquals(at("deno.json", '{ "imports": { "a": "jsr:@std/assert@1" } }'), ["deno.json:1"]);
  assertEquals(at("deno.lock", '{ "specifiers": {\n "jsr:@std/assert@1": "1.0.0" } }'), [
    "deno.lock:2",
  ]);
});

test("jsrImports() leaves alone what only speaks of JSR", () => {
  assertEquals(jsrImports("README.md", "Published as `jsr:@lakesync/core`."), []);
  assertEquals(jsrImports("core/a.ts", "// no jsr: imports here"), []);
  assertEquals(jsrImports("deno.json", '{ "description": "also on jsr: …" }'), []);
});
