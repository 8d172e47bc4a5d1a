import type { Delta } from "./delta.ts";
import type { ErrorCode, RejectionCode } from "./errors.ts";
import type { Hlc } from "./hlc.ts";
import type { JsonValue } from "./json.ts";
import type { LogSeq } from "./log_seq.ts";
import type { Register } from "./merge.ts";
import type { TableSchema } from "./schema.ts";

/** The body of a push. */
export interface PushRequest {
  /** The database that pushes. */
  readonly clientId: string;
  /** Its deltas; those of one transaction stand together. */
  readonly deltas: readonly Delta[];
  /** The greatest `version` among the client's tables. */
  readonly schemaVersion?: number;
}

/** A delta that a push rejected. */
export interface Rejection {
  /** Its place in the push, from 0. */
  readonly index: number;
  /** Its id as it was sent, or `""`. */
  readonly deltaId: string;
  /** Why. */
  readonly code: RejectionCode;
  /** Why, in words; never with row values. */
  readonly message: string;
}

/** The answer to a push. */
export interface PushAnswer {
  /** How many deltas were appended. */
  readonly accepted: number;
  /** How many were there already. */
  readonly duplicates: number;
  /** Those that were not appended. */
  readonly rejected: readonly Rejection[];
  /** The head of the log at that moment. */
  readonly seq: LogSeq;
  /** The gateway's clock. Never goes back. */
  readonly serverHlc: Hlc;
}

/** The parameters of a pull. */
export interface PullRequest {
  /** The database that asks. */
  readonly clientId: string;
  /** Where it stands; `""` is the very beginning. */
  readonly cursor: string;
  /** The most items. @default {1000} */
  readonly limit?: number;
  /** Only these tables. @default {undefined} all that the caller may see */
  readonly tables?: readonly string[];
  /** Hold the request so many seconds (at most 60) until there is an item. @default {0} */
  readonly wait?: number;
  /** `"ids"`: the caller's own deltas come as OWN items. @default {undefined} */
  readonly own?: "ids";
  /** The greatest `version` among the client's tables. */
  readonly schemaVersion?: number;
  /**
   * The tag of the tables that the client has learned, `""` for none: where the gateway's are others, its
   * answer tells them. No part of a cursor. @default {undefined} they are not told
   */
  readonly schema?: string;
  /**
   * `"head"`: the answer tells where the log ends. No part of a cursor. @default {undefined} it does not
   */
  readonly tell?: "head";
}

/** The tables of a gateway as they are, for a client whose app may not know all of their columns. */
export interface LearnedSchema {
  /** What a client that has learned them states. */
  readonly tag: string;
  /** Of the tables that it asks for and may see. */
  readonly tables: readonly TableSchema[];
}

/** A delta of the caller's own, with `own=ids`. */
export interface OwnItem {
  /** Tells it from the other items. */
  readonly op: "OWN";
  /** The delta's id. */
  readonly deltaId: string;
  /** Its transaction, where there is one. */
  readonly txId?: string;
}

/** A row that died (`DELETE`) or that the rules now hide (`REMOVE`). It has no stamp. */
export interface GoneItem {
  /** Why it is gone. */
  readonly op: "DELETE" | "REMOVE";
  /** The row's table. */
  readonly table: string;
  /** The row's key. */
  readonly rowId: string;
  /** The transaction that did it, where there is one. */
  readonly txId?: string;
}

/** A row's visible state as it travels in a checkpoint line and in an ENTER. */
export interface CheckpointRow {
  /** The row's table. */
  readonly table: string;
  /** The row's key. */
  readonly rowId: string;
  /** Since when it lives: `[hlc, clientId]`. */
  readonly life: readonly [hlc: Hlc, clientId: string];
  /** Its visible columns. */
  readonly columns: { readonly [column: string]: Register };
}

/** A row that became visible: its state just after that transaction. */
export interface EnterItem extends CheckpointRow {
  /** Tells it from the other items. */
  readonly op: "ENTER";
  /** The transaction that did it, where there is one. */
  readonly txId?: string;
}

/** What a page carries. A delta has a stamp; a DELETE without one is a {@linkcode GoneItem}. */
export type PageItem = Delta | OwnItem | GoneItem | EnterItem;

/** The answer to a pull. */
export interface PullAnswer {
  /** The items, in the order of the log. */
  readonly deltas: readonly PageItem[];
  /** Where to go on. */
  readonly cursor: string;
  /** The log position that this page brings the caller to. */
  readonly seq: LogSeq;
  /** Whether there is more already. */
  readonly hasMore: boolean;
  /** The gateway's clock. Never goes back. */
  readonly serverHlc: Hlc;
  /** The tables, where the caller stated another tag of theirs. */
  readonly schema?: LearnedSchema;
  /**
   * Where the log ends, with `tell=head`: what lies between `seq` and this is still to come, of which the
   * caller may see a part.
   */
  readonly head?: LogSeq;
}

/** The parameters of a checkpoint. */
export interface CheckpointRequest {
  /** The database that asks. */
  readonly clientId: string;
  /** Only these tables. @default {undefined} all that the caller may see */
  readonly tables?: readonly string[];
  /** The greatest `version` among the client's tables. */
  readonly schemaVersion?: number;
  /**
   * The least seq that will do: an older checkpoint, which the gateway has made for somebody else, is
   * cheap. @default {undefined} not older than the head
   */
  readonly atLeast?: number;
}

/** The first line of a checkpoint. */
export interface CheckpointHeader {
  /** What the checkpoint is. */
  readonly checkpoint: {
    /** The log position that it is of. */
    readonly seq: LogSeq;
    /** Where pulls go on. */
    readonly cursor: string;
    /** The tables that it covers. */
    readonly tables: readonly string[];
  };
}

/** The last line of a checkpoint. */
export interface CheckpointEnd {
  /** What tells a whole checkpoint from one that broke off. */
  readonly end: {
    /** How many rows came before. */
    readonly rows: number;
  };
}

/** The body of an error answer. */
export interface ErrorBody {
  /** The error. */
  readonly error: {
    /** What kind of failure it is. */
    readonly code: ErrorCode;
    /** What failed and the next step. */
    readonly message: string;
    /** The request it belongs to. */
    readonly requestId: string;
    /** Facts for programs. */
    readonly details?: { readonly [key: string]: JsonValue };
  };
}

/**
 * Tells a page's deltas from its other items.
 *
 * @param item An item of a page.
 * @returns Whether it is a stamped delta.
 *
 * @example A DELETE without a stamp is no delta
 * ```ts
 * import { isDelta } from "@lakesync/core";
 * import { assert } from "@std/assert";
 *
 * assert(!isDelta({ op: "DELETE", table: "todos", rowId: "1" }));
 * ```
 */
export function isDelta(item: PageItem): item is Delta {
  return "hlc" in item;
}
