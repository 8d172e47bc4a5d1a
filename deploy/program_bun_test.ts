import { spawnScript, test, withTempDir } from "@lakesync/testing";
import { checkProgram } from "./testdata/check_program.ts";

test("bun runs the gateway: push, pull, WebSocket, restart, end", () =>
  withTempDir((data) =>
    checkProgram((args, env) => {
      const script = new URL("./bun.ts", import.meta.url);
      return spawnScript(script, { args: ["--port", "0", ...args], env });
    }, data)
  ));
