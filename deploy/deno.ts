/**
 * A gateway for `deno serve`, which listens for it: `deno serve -A --host 127.0.0.1 --port 8787
 * deploy/deno.ts`. Flags (but `--host` and `--port`), environment and configuration are those of
 * `deno task serve`.
 *
 * @module
 */
import { LakeSyncError } from "@lakesync/core";
import { openGateways } from "./gateways.ts";
import { answer } from "./listen_deno.ts";
import { isLoopback } from "./loopback.ts";
import { fail, readProgram, runUntilStopped, tellListening } from "./program.ts";

const options = await readProgram();
const opened = await openGateways(options);
const { handler, stop } = opened.ok ? opened.value : fail(opened.error, 1);
// `deno serve` tells nobody when the answers have been read.
runUntilStopped(() => stop(() => Promise.resolve()));

const program: Deno.ServeDefaultExport = {
  fetch: (request) => answer(request, handler),
  onListen(address) {
    const { hostname, port } = address as Deno.NetAddr;
    if (options.auth === undefined && !isLoopback(hostname)) {
      const message =
        "Without authentication a gateway serves loopback only: add --host 127.0.0.1, or set LAKESYNC_JWT_SECRET or LAKESYNC_JWKS_URL";
      fail(new LakeSyncError("VALIDATION_ERROR", message), 2);
    }
    const name = hostname.includes(":") ? `[${hostname}]` : hostname;
    tellListening(`http://${name}:${port}`, options);
  },
};

export default program;
