import type {
  Destination,
  Logger,
  LogStore,
  ObjectStore,
  Random,
  Result,
  Rules,
  Scheduler,
  Source,
  TableSchema,
} from "@lakesync/core";
import type { CheckpointCacheOptions } from "./checkpoint_cache.ts";
import type { DestinationState } from "./destination_stats.ts";
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
   * Where checkpoints are kept for all instances of the gateway: first syncs are served from them, each
   * filtered for its caller.
   *
   * @default {undefined} first syncs are served from the log
   */
  checkpointObjects?: ObjectStore;
  /**
   * Tells how its lake is kept, for its statistics.
   *
   * @default {undefined} nobody here does that
   */
  maintenance?: () => MaintenanceStats | undefined;
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

/** How a lake was kept in shape since the server began. */
export interface MaintenanceStats {
  /** How often all of it was seen to. */
  readonly runs: number;
  /** How many of these had a step that failed. */
  readonly failures: number;
  /** Whether it is being seen to now. */
  readonly running: boolean;
  /** When the last run ended, as `YYYY-MM-DDThh:mm:ss.fffZ`; null where there was none. */
  readonly lastEndedAt: string | null;
  /** How long it took, in ms. */
  readonly lastMs: number | null;
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
  /** How far each destination is, and what it fails with. */
  readonly destinations: { readonly [name: string]: DestinationState };
  /** The tables and their visible rows. */
  readonly tables: { readonly [table: string]: { readonly rows: number } };
  /** How many clients have pushed. */
  readonly clients: number;
  /** The id of the store. */
  readonly epoch: string;
  /** How its lake is kept, where this server does that. */
  readonly maintenance?: MaintenanceStats;
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
