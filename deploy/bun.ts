/**
 * A gateway on `Bun.serve` and its WebSockets: `bun deploy/bun.ts`. Flags, environment and
 * configuration are those of `deno task serve`.
 *
 * @module
 */
import { LakeSyncError, toLakeSyncError } from "@lakesync/core";
import { openGateways } from "./gateways.ts";
import { listenOn } from "./listen_bun.ts";
import { fail, readProgram, runUntilStopped, tellListening } from "./program.ts";

const options = await readProgram();
const { host = "127.0.0.1", port = 0 } = options;
const opened = await openGateways(options);
const { handler, stop } = opened.ok ? opened.value : fail(opened.error, 1);

try {
  const listener = listenOn(handler, { host, port });
  runUntilStopped(() => stop(listener.stop));
  const name = host.includes(":") ? `[${host}]` : host;
  tellListening(`http://${name}:${listener.port}`, options);
} catch (thrown) {
  await stop(() => Promise.resolve());
  const { message } = toLakeSyncError(thrown, "CONFLICT");
  fail(new LakeSyncError("CONFLICT", `Cannot listen on ${host}:${port}: ${message}`), 1);
}
