/**
 * `<lakesync-devtools>`: what is in a client, what it does, and why a value won. For development: an
 * app that does not import this does not load it.
 *
 * @module
 */
export { ElementBase, LakeSyncDevtools } from "./element.ts";
export {
  type Claim,
  explainCell,
  type Explanation,
  type Judged,
  type MergeRule,
  type PastClaim,
} from "./explain.ts";
export {
  type ChangedRows,
  inspect,
  type InspectedClient,
  type Inspection,
  type InspectOwnOptions,
  type InspectRowsOptions,
  type OwnDelta,
  type OwnDeltaState,
  type RowFacts,
  type SyncFacts,
} from "../inspect.ts";
