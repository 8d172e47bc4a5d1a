import type {
  Destination,
  Logger,
  LogStore,
  Random,
  Result,
  Rules,
  Scheduler,
  Source,
  TableSchema,
} from "@lakesync/core";
import type { CheckpointCacheOptions } from "./checkpoint_cache.ts";
import type { IngestReport } from "./ingest.ts";
import type { GatewayLimits } from "./limits.ts";
import type { PushOutcome } from "./push.ts";

/** Options of {@linkcode createGateway}. */
export interface GatewayOptions {
  /** The gateway's id: the `{gw}` of its routes. */
  id: string;
  /** Its state. The gateway closes it. */
  store: LogStore;
  /**
   * Its tables. They replace the stored ones by the same rules as `PUT /schema`.
   *
   * @default {undefined} the stored ones
   */
  tables?: readonly TableSchema[];
  /**
   * Who may see and change what. They replace the stored ones, as `PUT /rules` does.
   *
   * @default {undefined} the stored ones; where there are none, everybody sees and changes everything
   */
  rules?: Rules;
  /**
   * Where its log is flushed to.
   *
   * @default {[]}
   */
  destinations?: readonly Destination[];
  /**
   * What callers may pull from by `source=NAME`, past the log.
   *
   * @default {[]}
   */
  sources?: readonly Source[];
  /**
   * Where checkpoints are kept to be sent again.
   *
   * @default {undefined} each is made anew
   */
  checkpointCache?: CheckpointCacheOptions;
  /**
   * How much it takes and gives at once.
   *
   * @default {{}} PROTOCOL's limits
   */
  limits?: Partial<GatewayLimits>;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
  /**
   * Chance.
   *
   * @default {systemRandom}
   */
  random?: Random;
  /**
   * Where its log lines go.
   *
   * @default {silentLogger}
   */
  logger?: Logger;
}

/** What an operator sees of a gateway. */
export interface GatewayStats {
  /** The last seq of the log. */
  readonly head: number;
  /** Every destination has everything up to this seq. */
  readonly flushedSeq: number;
  /** The log begins behind this seq. */
  readonly trimmedSeq: number;
  /** How many entries are not flushed. */
  readonly lag: number;
  /** How far each destination is. One that is cut off needs entries that the log no longer has. */
  readonly destinations: {
    readonly [name: string]: {
      readonly flushedSeq: number;
      readonly lag: number;
      readonly cutOff: boolean;
    };
  };
  /** The tables and their visible rows. */
  readonly tables: { readonly [table: string]: { readonly rows: number } };
  /** How many clients have pushed. */
  readonly clients: number;
  /** The id of the store. */
  readonly epoch: string;
}

/** Options of {@linkcode Gateway.ingest}. */
export interface IngestOptions {
  /**
   * Called after each batch.
   *
   * @default {() => {}}
   */
  onBatch?: (report: IngestReport) => void;
  /** Stops between batches. */
  signal?: AbortSignal;
}

/** A push that is decoded and not appended yet. */
export interface PreparedPush {
  /**
   * Appends what of it may be appended. To be called once.
   *
   * @param options Whether it follows a delta that was too far ahead in another shard.
   */
  append(options?: { late?: boolean }): Promise<Result<PushOutcome>>;
}
