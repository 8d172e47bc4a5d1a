import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { runtimeName } from "./process.ts";
import { withTempDir } from "./temp.ts";
import { test } from "./test.ts";

/** Runs a test file under the present runtime's own runner: its exit code and JUnit report. */
async function runTests(
  source: string,
  flags: readonly string[] = [],
): Promise<{ code: number; report: string }> {
  return await withTempDir(async (dir) => {
    const file = join(dir, "sample_test.ts");
    const report = join(dir, "report.xml");
    await writeFile(
      file,
      `import { test } from ${
        JSON.stringify(new URL("./test.ts", import.meta.url).href)
      };\n${source}`,
    );
    const args = runtimeName === "deno"
      ? ["test", "--allow-all", "--no-check", `--junit-path=${report}`, file]
      : ["test", "--reporter=junit", `--reporter-outfile=${report}`, ...flags, file];
    const code = await new Promise<number>((resolve) => {
      execFile(process.execPath, args, { cwd: dir }, (error) => {
        resolve(error === null ? 0 : Number(error.code));
      });
    });
    return { code, report: await readFile(report, "utf8") };
  });
}

test("test() reports passed, failed and rejected tests under their titles", async () => {
  const { code, report } = await runTests(`
    test("holds", () => {});
    test("holds later", () => Promise.resolve());
    test("throws", () => { throw new Error("boom"); });
    test({ name: "rejects" }, () => Promise.reject(new Error("bang")));
  `);
  assertEquals(code, 1);
  assertEquals(report.match(/<testcase /g)?.length, 4);
  assertEquals(report.match(/<failure /g)?.length, 2);
  for (const title of ["holds", "holds later", "throws", "rejects"]) {
    assertStringIncludes(report, `name="${title}"`);
  }
});

test("test() reports a skipped test with its reason and does not run it", async () => {
  const { code, report } = await runTests(`
    test({ name: "needs a GPU", skip: "no GPU here" }, () => { throw new Error("was run"); });
    test({ name: "needs nothing", skip: undefined }, () => {});
  `);
  assertEquals(code, 0);
  assertStringIncludes(report, 'name="needs a GPU — no GPU here"');
  assertStringIncludes(report, 'name="needs nothing"');
  assertEquals(report.match(/<skipped/g)?.length, 1);
});

test("test() fails a test that outlasts its time limit", async () => {
  const { code, report } = await runTests(`
    test({ name: "hangs", timeoutMs: 50 }, () => new Promise((r) => setTimeout(r, 5_000)));
  `);
  assertEquals(code, 1);
  assertMatch(report, /<failure/);
});

test("test() gives a test its own time limit in place of Bun's default of five seconds", async () => {
  // The runner's default is put below what the test takes, so that nobody waits five seconds.
  const { code } = await runTests(
    `test("slow", () => new Promise((r) => setTimeout(r, 200)));`,
    runtimeName === "bun" ? ["--timeout=20"] : [],
  );
  assertEquals(code, 0);
});

test("test() refuses to skip without a reason", () => {
  const error = assertThrows(() => test({ name: "x", skip: " " }, () => {}), TypeError);
  assert(error.message.includes("the reason is empty"));
});
