import type { LogSeq } from "../log_seq.ts";
import type { Result } from "../result.ts";
import type {
  CheckpointRequest,
  CheckpointRow,
  PullAnswer,
  PullRequest,
  PushAnswer,
  PushRequest,
} from "../wire.ts";

/** A checkpoint as it arrives. */
export interface Checkpoint {
  /** The log position that it is of. */
  readonly seq: LogSeq;
  /** Where pulls go on. */
  readonly cursor: string;
  /**
   * The visible rows in chunks. It ends only when the whole checkpoint has come, and throws a
   * `LakeSyncError` where it broke off or its count differs: then the checkpoint is thrown away.
   */
  readonly rows: AsyncIterable<readonly CheckpointRow[]>;
}

/** Options of a request. */
export interface RequestOptions {
  /** Stops the request. */
  readonly signal?: AbortSignal;
}

/** Talks to a gateway. Errors carry the gateway's code, or `OFFLINE` where it was not reached. */
export interface SyncTransport {
  /**
   * Whether a pull with `wait` is held until there is something to deliver, or its time is over. A
   * client then keeps one under way beside its pushes, and so hears of news at once; without it the
   * client asks at an interval.
   *
   * @default {undefined} it is not held
   */
  readonly live?: boolean;
  /** Sends deltas up. */
  push(request: PushRequest, options?: RequestOptions): Promise<Result<PushAnswer>>;
  /**
   * Asks for a page. What comes follows on the cursor without a gap, whichever way it came: a
   * transport may have had it pushed ahead of the request.
   */
  pull(request: PullRequest, options?: RequestOptions): Promise<Result<PullAnswer>>;
  /** Asks for the whole state. */
  checkpoint(
    request: CheckpointRequest,
    options?: RequestOptions,
  ): Promise<Result<Checkpoint>>;
  /**
   * Ends connections that are kept open between requests, where there are any; the next request
   * opens them again. A client calls it when it is paused or closed.
   */
  disconnect?(): void;
}
