/** The most deltas that a push may carry, and so a transaction (PROTOCOL, section 4, *Limits*). */
export const MAX_PUSH_DELTAS = 10_000;

/** The bytes that a push may have, less what surrounds its deltas. */
export const MAX_PUSH_BYTES: number = 8 * 1024 * 1024 - 4096;

/** The deltas of a push, where nothing is wrong. */
export const PUSH_DELTAS = 2_000;

/** The deltas that may be flying, sent or not: after a crash they are repeated as one push. */
export const MAX_FLYING_DELTAS = 8_000;

/** How large a push is. */
export interface PushSize {
  /** How many deltas it has. */
  readonly deltas: number;
  /** The bytes of their JSON, with the commas between them. */
  readonly bytes: number;
}
