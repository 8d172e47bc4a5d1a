import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ScriptProcess, test, withTempDir } from "@lakesync/testing";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkProgram, type StartProgram } from "./testdata/check_program.ts";

/** Starts deploy/deno.ts by `deno serve`. */
function startOn(host: string): StartProgram {
  const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
  const serve = ["serve", "--allow-all", "--config", path("../deno.json")];
  return (args, env) =>
    new ScriptProcess(
      spawn(
        process.execPath,
        [...serve, "--host", host, "--port", "0", path("deno.ts"), ...args],
        { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] },
      ),
    );
}

test("deno serve runs the gateway: push, pull, WebSocket, restart, end", () =>
  withTempDir((data) => checkProgram(startOn("127.0.0.1"), data)));

test("without authentication deno serve runs it on loopback only, and says so", () =>
  withTempDir(async (data) => {
    const program = startOn("0.0.0.0")(["--data", data], {});
    assertEquals(await program.exited, { code: 2, signal: null });
    assertEquals(program.stdout, "");
    assertStringIncludes(program.stderr, "add --host 127.0.0.1");
  }));
