import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import plugin from "./lint_plugin.ts";

/** Lints a source as if it stood at a path of the workspace: "rule: message" for each fault. */
function lint(path: string, source: string): string[] {
  const filename = fileURLToPath(new URL(`../${path}`, import.meta.url));
  return Deno.lint.runPlugin(plugin, filename, source)
    .map(({ id, message }) => `${id.replace("lakesync/", "")}: ${message}`);
}

interface Case {
  path: string;
  source: string;
  faults?: string[];
}

function cases(title: string, list: Case[]): void {
  for (const { path, source, faults = [] } of list) {
    const verdict = faults.length === 0 ? "accepts" : "rejects";
    test(`${title}: ${verdict} ${JSON.stringify(source)} in ${path}`, () => {
      assertEquals(lint(path, source), faults);
    });
  }
}

const leaves = (specifier: string) => [`layers: Relative import "${specifier}" leaves its package`];
const onlyCore = (folder: string) => [`layers: ${folder} imports no package but @lakesync/core`];

cases("layers", [
  { path: "core/a.ts", source: 'import { b } from "./b.ts";' },
  { path: "core/proto/a.ts", source: 'import { b } from "../b.ts";' },
  { path: "core/a.ts", source: 'import { b } from "@noble/hashes/sha2.js";' },
  {
    path: "core/a.ts",
    source: 'import { b } from "@lakesync/client";',
    faults: ['layers: core imports no other package, so not "@lakesync/client" either'],
  },
  {
    path: "core/a_test.ts",
    source: 'export * from "@lakesync/gateway";',
    faults: ['layers: core imports no other package, so not "@lakesync/gateway" either'],
  },
  { path: "client/a.ts", source: 'import { b } from "@lakesync/core";' },
  { path: "adapters/file/a.ts", source: 'import { b } from "@lakesync/core/ports";' },
  {
    path: "client/a.ts",
    source: 'import { b } from "@lakesync/gateway";',
    faults: onlyCore("client"),
  },
  {
    path: "gateway/a.ts",
    source: 'import type { B } from "@lakesync/adapter-memory";',
    faults: onlyCore("gateway"),
  },
  {
    path: "adapters/iceberg/a_test.ts",
    source: 'const b = await import("@lakesync/adapter-file");',
    faults: onlyCore("adapters/iceberg"),
  },
  {
    path: "analyst/a.ts",
    source: 'type B = import("@lakesync/client").B;',
    faults: onlyCore("analyst"),
  },
  {
    path: "client/a.ts",
    source: 'export { b } from "@lakesync/lakesync";',
    faults: onlyCore("client"),
  },
  { path: "client/a_test.ts", source: 'import { test } from "@lakesync/testing";' },
  { path: "client/a_test.ts", source: 'import { assert } from "@std/assert";' },
  {
    path: "client/a.ts",
    source: 'import { Prng } from "@lakesync/testing";',
    faults: ['layers: "@lakesync/testing" is for tests only'],
  },
  {
    path: "deploy/a.ts",
    source: 'import { assert } from "@std/assert";',
    faults: ['layers: "@std/assert" is for tests only'],
  },
  {
    path: "client/a.ts",
    source: 'import { b } from "../core/b.ts";',
    faults: leaves("../core/b.ts"),
  },
  {
    path: "adapters/file/a.ts",
    source: 'import { b } from "../memory/b.ts";',
    faults: leaves("../memory/b.ts"),
  },
  { path: "mod.ts", source: 'export * from "./core/mod.ts";', faults: leaves("./core/mod.ts") },
  {
    path: "core/a.ts",
    source: 'import { b } from "../../core/b.ts";',
    faults: leaves("../../core/b.ts"),
  },
  {
    path: "core/a.ts",
    source: 'import { b } from "/srv/b.ts";',
    faults: ['layers: Absolute import "/srv/b.ts"'],
  },
  { path: "mod.ts", source: 'export * from "@lakesync/client";' },
  { path: "deploy/a.ts", source: 'import { b } from "@lakesync/gateway";' },
  { path: "examples/demo/a.ts", source: 'import { b } from "@lakesync/analyst";' },
  { path: "bench/a.ts", source: 'import { Prng } from "@lakesync/testing";' },
  { path: "testing/a.ts", source: 'import { b } from "@lakesync/gateway";' },
]);

cases("no-jsr", [
  { path: "tools/a.ts", source: 'import { b } from "npm:fast-check";' },
  {
    path: "tools/a.ts",
    source: 'import { b } from "jsr:@std/assert";',
    faults: ['no-jsr: Import "jsr:@std/assert" is from JSR'],
  },
  {
    path: "core/a.ts",
    source: 'export * from "https://jsr.io/@std/assert/1.0.0/mod.ts";',
    faults: ['no-jsr: Import "https://jsr.io/@std/assert/1.0.0/mod.ts" is from JSR'],
  },
]);

const ported = (name: string) => [`ports: ${name} in library code`];

cases("ports", [
  { path: "core/a.ts", source: "const t = Date.now();", faults: ported("Date.now") },
  { path: "core/a.ts", source: "const t = globalThis.Date;" },
  { path: "client/a.ts", source: 'const t = Date["now"]();', faults: ported("Date.now") },
  { path: "gateway/a.ts", source: "const now = { now: Date.now };", faults: ported("Date.now") },
  { path: "adapters/s3/a.ts", source: "const x = Math.random();", faults: ported("Math.random") },
  { path: "analyst/a.ts", source: "const d = new Date();", faults: ported("new Date()") },
  { path: "analyst/a.ts", source: "const d = Date();", faults: ported("Date()") },
  { path: "analyst/a.ts", source: "const d = new Date(0);" },
  { path: "core/a.ts", source: "performance.now();", faults: ported("performance.now") },
  { path: "core/a.ts", source: "setTimeout(f, 1);", faults: ported("setTimeout") },
  { path: "core/a.ts", source: "globalThis.setInterval(f, 1);", faults: ported("setInterval") },
  {
    path: "core/a.ts",
    source: 'import { setTimeout as sleep } from "node:timers/promises";',
    faults: ported("setTimeout"),
  },
  { path: "core/a.ts", source: "const w = { wait: setTimeout };", faults: ported("setTimeout") },
  {
    path: "client/a.ts",
    source: "fetch(u, { signal: AbortSignal.timeout(9) });",
    faults: ported("AbortSignal.timeout"),
  },
  { path: "core/a.ts", source: 'console.log("x");', faults: ported("console") },
  { path: "core/a.ts", source: "let t: ReturnType<typeof setTimeout>;" },
  { path: "core/a.ts", source: "port.setTimeout(f); const o = { console: 1 };" },
  { path: "core/a.ts", source: "interface P { console: string; setTimeout(): void }" },
  { path: "core/system.ts", source: "Date.now(); Math.random(); setTimeout(f, 1);" },
  { path: "client/a_test.ts", source: 'Date.now(); console.log("x");' },
  { path: "deploy/a.ts", source: 'Date.now(); console.log("x");' },
  { path: "bench/a.ts", source: "performance.now();" },
]);

const runtime = (name: string) => [`runtime-globals: ${name} API in a file for every runtime`];

cases("runtime-globals", [
  { path: "core/a.ts", source: "Deno.cwd();", faults: runtime("Deno") },
  { path: "core/a_test.ts", source: "Deno.cwd();", faults: runtime("Deno") },
  { path: "client/a.ts", source: "Bun.file(p);", faults: runtime("Bun") },
  { path: "client/a.ts", source: "globalThis.Bun.file(p);", faults: runtime("Bun") },
  {
    path: "gateway/a.ts",
    source: 'import { Database } from "bun:sqlite";',
    faults: runtime("Bun"),
  },
  { path: "gateway/store_deno.ts", source: "Deno.openKv();" },
  { path: "gateway/store_deno_test.ts", source: "Deno.openKv();" },
  { path: "gateway/store_deno.ts", source: "Bun.file(p);", faults: runtime("Bun") },
  { path: "gateway/store_bun.ts", source: "Bun.file(p);" },
  {
    path: "core/a.ts",
    source: 'const isBun = "Bun" in globalThis; x.Deno; const y = { Deno: 1 };',
  },
  { path: "testing/a.ts", source: "Deno.cwd();", faults: runtime("Deno") },
  { path: "tools/a.ts", source: "Deno.cwd();" },
]);

test("no rule speaks about a file outside the workspace but no-jsr", () => {
  const source =
    'import "../b.ts"; import "@lakesync/client"; Date.now(); Deno.cwd(); import "jsr:x";';
  assertEquals(
    Deno.lint.runPlugin(plugin, "/somewhere/else.ts", source).map(({ id }) => id),
    ["lakesync/no-jsr"],
  );
});
