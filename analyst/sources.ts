import type { LakeReader } from "@lakesync/core";
import type { OwnDeltas } from "./own.ts";
import type { PendingDeltas } from "./pending.ts";
import type { PulledDeltas } from "./pulled.ts";

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
   * The same of a gateway that is asked over HTTP, as from a page: `pullFromGateway()`. Rows are then
   * merged from all changes.
   *
   * @default {undefined} the lake alone
   */
  readonly pulled?: PulledDeltas;
  /**
   * What a device has made itself: a query sees it beside the rest, each delta once; `_seq` and
   * `_commit_ts` are NULL where no gateway and no lake at hand has it.
   *
   * @default {undefined} nothing
   */
  readonly own?: OwnDeltas;
}
