import type { LogSeq, PushAnswer, Result, Rules, TableSchema } from "@lakesync/core";
import type { Caller } from "./caller.ts";
import type { CheckpointStream } from "./checkpoints.ts";
import type { DestinationState, SharedDestinationState } from "./destination_stats.ts";
import type { FlushOptions } from "./flush.ts";
import type { MaintenanceStats } from "./gateway_options.ts";
import type { GatewayLimits } from "./limits.ts";
import type { NextPageOptions, PageAnswer } from "./page_source.ts";

/** Pages for one caller, one after the other. */
export interface Pages {
  /** Whether streams are to end: from now on `next` does not wait. */
  readonly closing: boolean;
  /**
   * The next page. Not to be called again before it has come.
   *
   * @param options How long to wait for one with something in it.
   * @returns The page, which may be empty; `CHECKPOINT_REQUIRED` where the caller cannot go on.
   */
  next(options?: NextPageOptions): Promise<Result<PageAnswer>>;
}

/** What a flush did. */
export interface ServiceFlush {
  /** Every destination has everything up to here. */
  readonly flushedSeq: LogSeq;
  /** How many deltas went to the destinations. */
  readonly deltas: number;
  /** How many objects were written. */
  readonly objects: number;
}

/** What an operator sees of a gateway or of a router. */
export interface ServiceStats {
  /** The end of the log. */
  readonly head: LogSeq;
  /** Every destination has everything up to here. */
  readonly flushedSeq: LogSeq;
  /** The log begins behind this. */
  readonly trimmedSeq: LogSeq;
  /** How many entries are not flushed. */
  readonly lag: number;
  /** How each destination is, by name. */
  readonly destinations?: { readonly [name: string]: DestinationState | SharedDestinationState };
  /** The tables and their visible rows. */
  readonly tables: { readonly [table: string]: { readonly rows: number } };
  /** How many clients have pushed. */
  readonly clients: number;
  /** How the lake is kept, where this server does that. */
  readonly maintenance?: MaintenanceStats;
}

/** What stands behind the routes of one gateway id: a gateway, or a router over several. */
export interface GatewayService {
  /** The `{gw}` of its routes. */
  readonly id: string;
  /** How much it takes and gives at once. */
  readonly limits: GatewayLimits;
  /** Takes a push: the parsed JSON of its body. */
  push(body: unknown, caller: Caller): Promise<Result<PushAnswer>>;
  /** Answers a pull; holds it where its query asks for that and there is nothing. */
  pull(
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<PageAnswer>>;
  /** Opens a stream of pages, for SSE and WebSockets. */
  follow(query: URLSearchParams, context: { caller: Caller }): Promise<Result<Pages>>;
  /** Tells whether a caller that has the checkpoint of this tag needs no other one. */
  hasCheckpoint(
    query: URLSearchParams,
    context: { caller: Caller; tag: string },
  ): Promise<Result<boolean>>;
  /** Starts a checkpoint. */
  checkpoint(
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<CheckpointStream>>;
  /** Takes the log to the destinations. */
  flush(options?: FlushOptions): Promise<Result<ServiceFlush>>;
  /** The tables. */
  schema(): Promise<Result<readonly TableSchema[]>>;
  /** Replaces the tables. */
  putSchema(value: unknown): Promise<Result<readonly TableSchema[]>>;
  /** The rules; undefined where there are none. */
  rules(): Promise<Result<Rules | undefined>>;
  /** Replaces the rules. */
  putRules(value: unknown): Promise<Result<Rules>>;
  /** What an operator sees. */
  stats(): Promise<Result<ServiceStats>>;
  /** Whether it can serve. */
  ready(): Promise<Result<void>>;
  /** Ends held pulls, streams and open checkpoints at once. */
  endStreams(): void;
  /** Closes it. What was acknowledged is safe without it. */
  close(): Promise<void>;
}
