/** How much a gateway takes and gives at once. */
export interface GatewayLimits {
  /** The most bytes of a body, as read and again after decompression. @default {8_388_608} */
  readonly bodyBytes: number;
  /** The most deltas of a push. @default {10_000} */
  readonly pushDeltas: number;
  /** The most bytes of a delta's JSON in UTF-8. @default {1_048_576} */
  readonly deltaBytes: number;
  /** Items of a page where a pull does not say. @default {1_000} */
  readonly pageItems: number;
  /** The most items of a page; a pull that asks for more gets so many. @default {10_000} */
  readonly maxPageItems: number;
  /** The most bytes of a page's items in UTF-8. @default {8_388_608} */
  readonly pageBytes: number;
  /** The longest that a pull is held, in seconds. @default {60} */
  readonly maxWaitSeconds: number;
  /** How far ahead of the gateway's clock a stamp may be, in ms. @default {5_000} */
  readonly maxDriftMs: number;
  /** How long the log is kept behind every destination, in ms. @default {604_800_000} 7 days */
  readonly retentionMs: number;
}

/** PROTOCOL's limits. */
export const DEFAULT_LIMITS: GatewayLimits = {
  bodyBytes: 8 * 2 ** 20,
  pushDeltas: 10_000,
  deltaBytes: 2 ** 20,
  pageItems: 1_000,
  maxPageItems: 10_000,
  pageBytes: 8 * 2 ** 20,
  maxWaitSeconds: 60,
  maxDriftMs: 5_000,
  retentionMs: 7 * 24 * 60 * 60 * 1000,
};
