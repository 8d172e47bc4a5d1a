import { LakeSyncError } from "@lakesync/core";

/** So many bytes of a piece of work come out of what is kept back for small ones. */
const SMALL = 64 * 1024;

/** The share of the budget that is kept back. */
const KEPT_BACK = 1 / 4;

/** Options of {@linkcode Admission}. */
export interface AdmissionOptions {
  /** The most bytes in hand at once. */
  readonly bytes: number;
  /**
   * The share of them that one gateway may take.
   *
   * @default {1}
   */
  readonly share?: number;
}

/** Bytes that a piece of work has in hand. */
export interface Admitted {
  /**
   * Takes so many more.
   *
   * @param bytes How many.
   * @returns `BACKPRESSURE` where there is no room for them: then none are taken.
   */
  take(bytes: number): LakeSyncError | undefined;
  /** Gives all of them back. May be called twice. */
  end(): void;
}

/**
 * A budget of bytes in hand: of bodies from before they are read until they are answered, so that
 * deltas which wait for the store count too, and of answers until they have gone out. Where it is
 * spent, new work is refused before it costs memory; nothing waits in line.
 *
 * A quarter is kept back for small work, so that ordinary pushes go on beside a few huge ones. And
 * whatever a gateway's only work is, however large, has room: it could never be done otherwise.
 */
export class Admission {
  readonly #bytes: number;
  readonly #ofGateway: number;
  readonly #taken: Map<string, number> = new Map();
  #total = 0;

  constructor({ bytes, share = 1 }: AdmissionOptions) {
    if (!(bytes > 0 && share > 0 && share <= 1)) {
      throw new TypeError(`Cannot admit ${bytes} bytes, a share of ${share} for each gateway`);
    }
    this.#bytes = bytes;
    this.#ofGateway = bytes * share;
  }

  /** How many bytes are in hand. */
  get taken(): number {
    return this.#total;
  }

  /**
   * Begins a piece of work. It must be ended.
   *
   * @param gateway The id of the gateway that does it.
   * @returns Its bytes; none yet.
   */
  begin(gateway: string): Admitted {
    let mine = 0;
    let ended = false;
    const add = (bytes: number) => {
      mine += bytes;
      this.#total += bytes;
      const taken = (this.#taken.get(gateway) ?? 0) + bytes;
      if (taken > 0) this.#taken.set(gateway, taken);
      else this.#taken.delete(gateway);
    };
    return {
      take: (bytes) => {
        // What a request that has timed out still reads is thrown away.
        if (ended || !this.#hasRoom(gateway, mine, bytes)) return full();
        add(bytes);
        return undefined;
      },
      end: () => {
        ended = true;
        add(-mine);
      },
    };
  }

  #hasRoom(gateway: string, mine: number, bytes: number): boolean {
    const ours = this.#taken.get(gateway) ?? 0;
    if (ours === mine) return true;
    const kept = mine + bytes > SMALL ? KEPT_BACK : 0;
    return this.#total + bytes <= this.#bytes * (1 - kept) &&
      ours + bytes <= this.#ofGateway * (1 - kept);
  }
}

function full(): LakeSyncError {
  return new LakeSyncError(
    "BACKPRESSURE",
    "The gateway has its hands full: send the same again in a moment",
    { details: { retryAfterMs: 1000 } },
  );
}
