/**
 * `deno task serve`: a gateway on this machine. See SERVE_USAGE.
 *
 * @module
 */
import { fail, readProgram, runUntilStopped, tellListening } from "./program.ts";
import { startServer } from "./server.ts";

const options = await readProgram();
const server = await startServer(options);
if (!server.ok) fail(server.error, 1);
else {
  runUntilStopped(server.value.stop);
  tellListening(server.value.url, options);
}
