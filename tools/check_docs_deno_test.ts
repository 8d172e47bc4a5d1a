import { test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { basename, join } from "node:path";
import { docFaults } from "./check_docs.ts";

/** The faults of a module, without the folder it lies in. */
async function faultsOf(source: string): Promise<string[]> {
  return await withTempDir(async (dir) => {
    const file = join(dir, "mod.ts");
    await Deno.writeTextFile(file, source);
    return (await docFaults([file])).map((fault) =>
      fault.replace(/^\S+(?=:\d+ )/, (path) => basename(path))
    );
  });
}

test("docFaults() has nothing to say about documented symbols", async () => {
  assertEquals(
    await faultsOf(`
/** A number. */
export const a: number = 1;
/**
 * Doubles.
 *
 * @example Double one
 * \`\`\`ts
 * double(1);
 * \`\`\`
 */
export function double(n: number): number { return 2 * n; }
/** Options of something. */
export interface SomeOptions {
  /** Needed. */
  needed: string;
  /**
   * How many.
   *
   * @default {1}
   */
  count?: number;
  /** Aborts it. */
  signal?: AbortSignal;
}
function notExported(): void {}
notExported();
`),
    [],
  );
});

test("docFaults() names every fault with its line and the next step", async () => {
  assertEquals(
    await faultsOf(`export const a: number = 1;
export type B = string;
/** Has no example. */
export function c(): void {}
export class D {}
/**
 * Has an example without title.
 *
 * @example
 * \`\`\`ts
 * e();
 * \`\`\`
 */
export function e(): void {}
/**
 * Has an example without code.
 *
 * @example Call it
 */
export function f(): void {}
/** Options. */
export interface GOptions {
  /** Without default. */
  h?: number;
}
`),
    [
      "mod.ts:1 a has no doc comment: say what goes in and what comes out",
      "mod.ts:2 B has no doc comment: say what goes in and what comes out",
      "mod.ts:4 c has no @example: add a titled one with a ```ts block",
      "mod.ts:5 D has no doc comment: say what goes in and what comes out",
      "mod.ts:5 D has no @example: add a titled one with a ```ts block",
      "mod.ts:14 e has an @example without title: put it after the tag",
      "mod.ts:20 f has an @example without code: add a ```ts block",
      'mod.ts:24 GOptions.h has no @default: add "@default {value}"',
    ],
  );
});

test("docFaults() takes the comment of one overload for all", async () => {
  assertEquals(
    await faultsOf(`
/**
 * Either.
 *
 * @example Call it
 * \`\`\`ts
 * either(1);
 * \`\`\`
 */
export function either(a: number): number;
export function either(a: string): string;
export function either(a: number | string): number | string { return a; }
`),
    [],
  );
});

test("docFaults() takes a symbol that two modules export as documented by one", async () => {
  await withTempDir(async (dir) => {
    await Deno.writeTextFile(join(dir, "a.ts"), "/** A number. */\nexport const a: number = 1;\n");
    const modules = [join(dir, "mod.ts"), join(dir, "other.ts")];
    for (const path of modules) await Deno.writeTextFile(path, 'export { a } from "./a.ts";\n');
    assertEquals(await docFaults(modules), []);
  });
});

test("docFaults() reports a module that cannot be read", async () => {
  const faults = await docFaults(["/nowhere/mod.ts"]);
  assertEquals(faults.length, 1);
  assertEquals(faults[0]!.startsWith("deno doc ended with code 1"), true);
});
