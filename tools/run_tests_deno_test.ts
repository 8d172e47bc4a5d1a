import { test, withTempDir } from "@lakesync/testing";
import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { dirname, join } from "node:path";
import { findBun } from "./_runners.ts";
import { ROOT } from "./_workspace.ts";

const bun = await findBun();
const withBun = "missing" in bun ? `no Bun: ${bun.missing}` : undefined;

/** What the test runner and its `test()` consist of. */
const PARTS = [
  "tools/run_tests.ts",
  "tools/_junit.ts",
  "tools/_run.ts",
  "tools/_runners.ts",
  "tools/_workspace.ts",
  "testing/test.ts",
  "testing/_register.ts",
  "testing/_register_browser.ts",
  "testing/_register_bun.ts",
  "testing/_register_deno.ts",
];

interface Outcome {
  code: number;
  lines: string[];
}

/** Runs the test runner on a repository with these files. */
async function runOn(
  files: Record<string, string>,
  { args = [], path }: { args?: string[]; path?: string } = {},
): Promise<Outcome> {
  return await withTempDir(async (dir) => {
    const put = async (file: string, text: string): Promise<void> => {
      await Deno.mkdir(join(dir, dirname(file)), { recursive: true });
      await Deno.writeTextFile(join(dir, file), text);
    };
    for (const file of PARTS) await put(file, await Deno.readTextFile(join(ROOT, file)));
    await put("deno.json", '{ "name": "@toy/toy", "version": "0.0.0", "exports": {} }');
    for (const [file, text] of Object.entries(files)) {
      await put(file, text.replaceAll("TESTING", "../testing/test.ts"));
    }
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "tools/run_tests.ts", ...args],
      cwd: dir,
      env: { INIT_CWD: dir, NO_COLOR: "1", ...(path === undefined ? {} : { PATH: path }) },
      stdin: "null",
      stderr: "null",
    }).output();
    return { code, lines: new TextDecoder().decode(stdout).trimEnd().split("\n") };
  });
}

const passing = `import { test } from "TESTING";
test("holds", () => {});
test({ name: "draws", skip: "no screen" }, () => {});
`;

test({
  name: "the runner sums up both runtimes and names what was skipped",
  skip: withBun,
}, async () => {
  const { code, lines } = await runOn({
    "a/a_test.ts": passing,
    "a/only_deno_test.ts": 'Deno.test("on Deno", () => {});',
    "a/only_bun_test.ts": 'import { test } from "bun:test";\ntest("on Bun", () => {});',
    "a/lib.ts": "/**\n * One.\n *\n * @example Use it\n * ```ts\n * one();\n * ```\n */\n" +
      "export function one(): number {\n  return 1;\n}\n",
    "README.md": "```ts\nthis is no program\n```\n",
  });
  assertEquals(lines.slice(-3), [
    "skipped: draws — no screen (Deno)",
    "skipped: draws — no screen (Bun)",
    "5 passed, 0 failed, 2 skipped",
  ]);
  assertEquals(code, 0);
});

test({
  name: "the runner counts failed tests, examples and files that do not load, on both runtimes",
  skip: withBun,
}, async () => {
  const { code, lines } = await runOn({
    "a/a_test.ts": passing,
    "a/bad_test.ts": `import { test } from "TESTING";
test("breaks", () => { throw new Error("boom"); });
`,
    "a/broken_test.ts": 'throw new Error("not loaded");',
    "a/lib.ts": "/**\n * One.\n *\n * @example Use it\n * ```ts\n * throw one();\n * ```\n */\n" +
      "export function one(): Error {\n  return new Error();\n}\n",
  });
  const failed = lines.filter((line) => line.startsWith("failed: "));
  assertStringIncludes(failed[0]!, "breaks (Deno)");
  assertMatch(failed[1]!, /lib\.ts.*\(Deno\)$/);
  assertEquals(failed.slice(2), [
    "failed: breaks (Bun)",
    "failed: a/broken_test.ts was not loaded, or has no test (Bun)",
  ]);
  const told = lines.slice(lines.indexOf("failed: breaks (Bun)") + 1);
  assertEquals(told[0], "  a/bad_test.ts");
  assertMatch(told[1]!, /^ {2}.*boom/);
  assertEquals(lines.at(-1), "2 passed, 4 failed, 2 skipped");
  assertEquals(code, 1);
});

test({
  name: "the runner counts a file that alone does not load as a failure of its runtime",
  skip: withBun,
}, async () => {
  const { code, lines } = await runOn({
    "a/a_test.ts": passing,
    "a/broken_test.ts": 'throw new Error("not loaded");',
  });
  assertEquals(lines.filter((line) => line.startsWith("failed: ")), [
    "failed: the runner ended with code 1 though no test failed (Deno)",
    "failed: a/broken_test.ts was not loaded, or has no test (Bun)",
  ]);
  assertEquals(code, 1);
});

test({
  name: "the runner counts a runtime that dies, or leaves early as if all were well, as a failure",
  skip: withBun,
}, async () => {
  for (const end of ['process.kill(process.pid, "SIGKILL")', "process.exit(0)"]) {
    const { code, lines } = await runOn({
      "a/a_test.ts": passing,
      "a/dies_test.ts": `import process from "node:process";
import { test } from "TESTING";
test("dies", () => { ${end}; });
`,
    });
    assertMatch(lines.at(-1)!, /^\d+ passed, [1-9]\d* failed(, \d+ skipped)?$/);
    assertMatch(lines.findLast((line) => line.startsWith("failed: "))!, /\(Bun\)$/);
    assertNotEquals(code, 0);
  }
});

test("the runner says by name that there is no Bun, and why", async () => {
  const { code, lines } = await runOn({ "a/a_test.ts": passing }, { path: "" });
  assertEquals(lines.slice(-3), [
    "skipped: 1 test files on Bun 1.4.4 — npx is not on the PATH",
    "skipped: draws — no screen (Deno)",
    "1 passed, 0 failed, 2 skipped",
  ]);
  assertEquals(code, 0);
});

test("the runner runs only what lies under the given paths, and fails where that is nothing", async () => {
  const files = { "a/a_test.ts": passing, "b/b_test.ts": 'throw new Error("not asked for");' };
  const { lines } = await runOn(files, { args: ["a"], path: "" });
  assertEquals(lines.at(-1), "1 passed, 0 failed, 2 skipped");
  const none = await runOn({ ...files, "c/c.ts": "export {};\n" }, { args: ["c"], path: "" });
  assertMatch(none.lines.at(-1)!, /^0 passed, [1-9] failed$/);
  assertEquals(none.code, 1);
});
