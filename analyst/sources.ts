import type { LakeReader } from "@lakesync/core";
import type { OwnDeltas } from "./own.ts";
import type { PendingDeltas } from "./pending.ts";

/** What an analyst reads. */
export interface AnalystSources {
  /** The lake. */
  readonly lake: LakeReader;
  /**
   * The deltas that are not in the lake yet; a query sees them beside it, each delta once.
   *
   * @default {undefined} the lake alone
   */
  readonly pending?: PendingDeltas;
  /**
   * What a device has made itself: a query sees it beside the rest, each delta once; `_seq` and
   * `_commit_ts` are NULL where no gateway and no lake at hand has it.
   *
   * @default {undefined} nothing
   */
  readonly own?: OwnDeltas;
}
