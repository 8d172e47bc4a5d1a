/**
 * Runs the programs in README.md as a reader would.
 *
 * A fence with the info string `ts run` is a whole program (GitHub goes by the first word and
 * highlights it as TypeScript). It runs in an empty directory and must end with exit code 0. Where
 * the next fence has the info string `text output`, that is what it must print to stdout.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runtimeName, spawnScript, test, withTempDir } from "@lakesync/testing";
import { assertEquals, assertGreater, assertLessOrEqual, fail } from "@std/assert";
import { readPrograms } from "./_readme.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const readme = join(root, "README.md");
const programs = existsSync(readme) ? readPrograms(readFileSync(readme, "utf8")) : [];

test("README.md has a program to begin with, of at most twenty lines", () => {
  assertGreater(programs.length, 0, "README.md has no ```ts run fence");
  assertLessOrEqual(programs[0]!.source.trimEnd().split("\n").length, 20);
});

for (const { line, source, output } of programs) {
  test(`the program at README.md:${line} runs as written`, async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, "program.ts");
      await writeFile(path, source);
      await using program = spawnScript(path, { cwd: dir });
      assertEquals(await program.exited, { code: 0, signal: null }, program.stderr);
      if (output !== undefined) assertEquals(program.stdout, output);
    });
  });

  if (runtimeName !== "deno") continue; // Only Deno checks types.
  test(`the program at README.md:${line} has no type errors`, async () => {
    await withTempDir(async (dir) => {
      const path = join(dir, "program.ts");
      await writeFile(path, source);
      const args = ["check", "--config", join(root, "deno.json"), path];
      const errors = await new Promise<string>((resolve) => {
        execFile(process.execPath, args, (error, _, stderr) => resolve(error ? stderr : ""));
      });
      if (errors !== "") fail(errors);
    });
  });
}
