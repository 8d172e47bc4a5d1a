import type { LogLevel } from "@lakesync/core";
import type { LakeChoice } from "./lake_choice.ts";

/** What upkeep's thread and the server's say to each other. */

/** To the thread: which lakes there are. Comes first. */
export interface UpkeepLakes {
  readonly type: "lakes";
  /** The data directory. */
  readonly data: string;
  /** Where the lakes are. */
  readonly choice: LakeChoice;
}

/** To the thread: see to a gateway's lake. Answered by one {@linkcode UpkeepDone}. */
export interface UpkeepBegin {
  readonly type: "begin";
  readonly gateway: string;
}

/** To the thread: leave off, at the next place where that does no harm. */
export interface UpkeepStop {
  readonly type: "stop";
}

/** What the thread is told. */
export type UpkeepOrder = UpkeepLakes | UpkeepBegin | UpkeepStop;

/** From the thread: a lake was seen to. */
export interface UpkeepDone {
  readonly type: "done";
  /** Whether all went well; undefined where it left off. */
  readonly well: boolean | undefined;
}

/** From the thread: a line for the log. */
export interface UpkeepLine {
  readonly type: "log";
  readonly level: LogLevel;
  readonly event: string;
  readonly facts: { readonly [key: string]: unknown };
}

/** What the thread tells. */
export type UpkeepNews = UpkeepDone | UpkeepLine;
