import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runtimeName, spawnScript, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";

test("a failure that nobody waits for is logged and ends no program that serves", async () => {
  const script = new URL("./testdata/stray_failures.ts", import.meta.url);
  await using program = spawnScript(script);
  assertEquals(await program.nextJson(), "alive");
  assertEquals(await program.kill("SIGTERM"), { code: 0, signal: null });
  const lines = program.stderr.trim().split("\n").map((line) =>
    JSON.parse(line) as { event: string; message?: string }
  );
  assertEquals(
    lines.map(({ event, message }) => `${event} ${message}`).toSorted(),
    ["stopping undefined", "unhandled stray exception", "unhandled stray rejection"],
  );
});

test("a program that serves stops in good order though nobody takes its output any more", async () => {
  const script = fileURLToPath(new URL("./testdata/slow_stop.ts", import.meta.url));
  const rights = runtimeName === "deno" ? ["--allow-all"] : [];
  const program = spawn(process.execPath, ["run", ...rights, script], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 30_000,
    killSignal: "SIGKILL",
  });
  const exited = once(program, "exit");
  await once(program.stdout, "data");
  program.stdout.destroy();
  program.stderr.destroy();
  // Not `program.kill`: on Deno that reports the signal even where the process ends by itself.
  process.kill(program.pid!, "SIGTERM");
  assertEquals(await exited, [0, null]);
});
