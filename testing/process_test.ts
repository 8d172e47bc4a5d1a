import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { runtimeName, spawnScript } from "./process.ts";
import { withTempDir } from "./temp.ts";
import { test } from "./test.ts";

const echo = new URL("./testdata/echo.ts", import.meta.url);

test("spawnScript() runs a script on the same runtime, with arguments and environment", async () => {
  await using child = spawnScript(echo, { args: ["a b", "--c"], env: { ECHO: "x" } });
  assertEquals(await child.nextJson(), { runtimeName, args: ["a b", "--c"], env: "x" });
  child.send({ n: 1 });
  assertEquals(await child.nextJson(), { echo: { n: 1 } });
  child.send("exit");
  assertEquals(await child.exited, { code: 7, signal: null });
  assertEquals(await child.nextJson(), undefined);
  assertStringIncludes(child.stderr, "on stderr");
});

test("spawnScript() resolves the workspace's imports for a script that lies elsewhere", async () => {
  await withTempDir(async (dir) => {
    await copyFile(echo, join(dir, "elsewhere.ts"));
    await using child = spawnScript(join(dir, "elsewhere.ts"), { cwd: dir });
    assertEquals((await child.nextJson() as { runtimeName: string }).runtimeName, runtimeName);
  });
});

test("ScriptProcess.kill() ends the process at once and leaves out the line it was cut off in", async () => {
  await using child = spawnScript(echo);
  await child.nextJson();
  child.send("tear");
  let ended = false;
  child.exited.then(() => ended = true);
  while (!ended && !child.stdout.endsWith('{"torn":')) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assertEquals(await child.kill(), { code: null, signal: "SIGKILL" });
  assertEquals(await child.nextJson(), undefined);
});

test("ScriptProcess reads on, however much a process writes that nobody reads", async () => {
  await withTempDir(async (dir) => {
    const script = join(dir, "chatty.ts");
    await writeFile(script, `for (let i = 0; i < 50_000; i++) console.log("x".repeat(99));`);
    await using child = spawnScript(script);
    assertEquals(await child.exited, { code: 0, signal: null });
    assertEquals(child.stdout.length, 5_000_000);
  });
});

test("a ScriptProcess that is left is killed", async () => {
  let pid = 0;
  {
    await using child = spawnScript(echo);
    await child.nextJson();
    pid = child.pid;
  }
  await assertRejects(() => Promise.resolve().then(() => process.kill(pid, 0)), Error, "ESRCH");
});

test("ScriptProcess.nextJson() rejects on a line that is not JSON", async () => {
  await withTempDir(async (dir) => {
    await writeFile(join(dir, "plain.ts"), `console.log("plain text")`);
    await using child = spawnScript(join(dir, "plain.ts"));
    await assertRejects(() => child.nextJson(), Error, 'Cannot parse line "plain text"');
  });
});
