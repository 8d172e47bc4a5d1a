import { type Hlc, unpackHlc } from "@lakesync/core";
import type { ClientState } from "./_state.ts";

/** An offset is stored anew where it differs by so much from the stored one. */
const OFFSET_STEP_MS = 100;

/**
 * Takes the gateway's clock (PROTOCOL, section 4, *Clocks*): `offset = serverHlc − time of receipt`.
 *
 * @returns Whether the state changed.
 */
export function takeServerTime(
  state: ClientState,
  serverHlc: Hlc,
  options: { receivedAt: number },
): boolean {
  const offsetMs = unpackHlc(serverHlc).wallMs - Math.floor(options.receivedAt);
  if (Math.abs(offsetMs - state.offsetMs) < OFFSET_STEP_MS) return false;
  state.offsetMs = offsetMs;
  return true;
}
