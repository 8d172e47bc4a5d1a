import { type Clock, type Hlc, type Result, unpackHlc } from "@lakesync/core";
import type { ClientState } from "./_state.ts";

/** An answer that is on its way. Who asked may be busy when it comes, and look at it later. */
export class Coming<T> {
  /** The answer. */
  readonly answer: Promise<Result<T>>;
  /** When it came, by the device's clock; not a number until then. */
  receivedAt: number = NaN;

  constructor(answer: Promise<Result<T>>, clock: Clock) {
    this.answer = answer;
    const came = (): void => {
      this.receivedAt = clock.now();
    };
    answer.then(came, came);
  }
}

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
