// deno-lint-ignore lakesync/ports -- a turn of the event loop is not time: no clock rules over it
import { setImmediate } from "node:timers";

/**
 * Runs something one turn of the event loop later: after the I/O that is ready now.
 *
 * @param run What to run.
 */
export function nextTurn(run: () => void): void {
  // deno-lint-ignore lakesync/ports -- see above
  setImmediate(run);
}
