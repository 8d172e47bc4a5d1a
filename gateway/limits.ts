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
  /** The most streams (SSE) and WebSockets at once. @default {10_000} */
  readonly connections: number;
  /** The most bytes of a stream's page; so much may wait to be read before the next. @default {262_144} */
  readonly sendBytes: number;
  /** The most messages of a WebSocket that wait for their turn. @default {1_000} */
  readonly socketMessages: number;
  /** How long a WebSocket may take nothing of what waits for it, in ms. @default {30_000} */
  readonly stallMs: number;
  /** How far ahead of the gateway's clock a stamp may be, in ms. @default {5_000} */
  readonly maxDriftMs: number;
  /** How long the log is kept behind every destination, in ms. @default {604_800_000} 7 days */
  readonly retentionMs: number;
  /**
   * How many entries a checkpoint that is kept may lie behind the head, where its caller allows any.
   * @default {10_000}
   */
  readonly checkpointLag: number;
  /**
   * How old the oldest entry that a destination lacks may become, in ms, before the log waits for it no
   * longer. @default {2_592_000_000} 30 days
   */
  readonly maxLagMs: number;
  /** How many entries a destination may lack before the log waits for it no longer. @default {Infinity} */
  readonly maxLagEntries: number;
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
  connections: 10_000,
  sendBytes: 2 ** 18,
  socketMessages: 1_000,
  stallMs: 30_000,
  maxDriftMs: 5_000,
  retentionMs: 7 * 24 * 60 * 60 * 1000,
  checkpointLag: 10_000,
  maxLagMs: 30 * 24 * 60 * 60 * 1000,
  maxLagEntries: Infinity,
};

/** How much a handler has in hand at once, over all its gateways, and how long it waits for its callers. */
export interface HandlerLimits {
  /**
   * The most bytes of bodies and messages, unpacked, that are being read or wait for the store; what comes
   * beyond it is answered `BACKPRESSURE`. @default {33_554_432} 32 MiB
   */
  readonly bodiesBytes: number;
  /** The most bytes of large answers that have not gone out; beyond it as above. @default {33_554_432} 32 MiB */
  readonly answersBytes: number;
  /** How long a body may take to come, in ms. @default {60_000} */
  readonly bodyMs: number;
  /** How long a request may take to be answered, beside the time that a pull waits, in ms. @default {120_000} */
  readonly requestMs: number;
  /** How long a caller may read nothing of its answer, in ms. @default {60_000} */
  readonly idleReaderMs: number;
}

/** What a handler takes where it is not told otherwise. */
export const DEFAULT_HANDLER_LIMITS: HandlerLimits = {
  bodiesBytes: 32 * 2 ** 20,
  answersBytes: 32 * 2 ** 20,
  bodyMs: 60_000,
  requestMs: 120_000,
  idleReaderMs: 60_000,
};
