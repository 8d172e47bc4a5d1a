import type { LogLevel, SqlValue, TableSchema } from "@lakesync/core";
import type { Wrote } from "./_engine.ts";
import type { Changed } from "./_live_hub.ts";
import type { Refusal } from "./_outbox.ts";
import type { PackedRows } from "./_tab_pack.ts";
import type { WriteOp } from "./_write_op.ts";
import type { AppRow } from "./_write_session.ts";
import type { ClientEvents, ClientStatus, SyncSummary } from "./status.ts";

/*
 * Who speaks to whom:
 *
 *   page ── "start", "leave" ─────────────▶ its worker
 *   page ── who, hello, wipe ─────────────▶ the worker that leads     (channel `lakesync:NAME`)
 *   worker that leads ── leads, wiped ────▶ all pages                 (channel `lakesync:NAME`)
 *   page ◀── welcome, calls and news ─────▶ the worker that leads     (channel `lakesync:NAME:TAB`,
 *                                           or its own worker's messages where that leads)
 */

/** The lock that the leading worker holds, and the channel that all tabs hear. */
export function leaderName(database: string): string {
  return `lakesync:${database}`;
}

/** The lock that a tab holds while it lives, and the channel that it hears the leader on. */
export function tabName(database: string, tab: string): string {
  return `lakesync:${database}:${tab}`;
}

/** A table as a tab declares it. */
export interface DeclaredTable {
  readonly schema: TableSchema;
  readonly indexes: readonly (readonly string[])[];
  /** The columns that are read as `bigint` always. */
  readonly bigints: readonly string[];
  /** Whether the tab has a validator for it, which it is asked to use. */
  readonly judged: boolean;
}

/** What a validator found fault with. */
export interface PackedIssue {
  readonly message: string;
  readonly path: readonly string[];
}

/** How the leader of a tab's worker syncs. */
export interface WorkerConfig {
  readonly wasmUrl: string | undefined;
  readonly url: string | undefined;
  readonly gateway: string | undefined;
  readonly auto: boolean;
  readonly intervalMs: number;
  readonly retentionMs: number;
}

/** What a tab says about itself. */
export interface HelloBody {
  /** Names the tab while it is shown; a tab that comes back from the freezer has another name. */
  readonly tab: string;
  readonly tables: readonly DeclaredTable[];
  /** The client that the app says its database is to be of. */
  readonly clientId: string | undefined;
  /** The client that it was until now: data that was removed meanwhile is not made anew. */
  readonly was: string | undefined;
  /** Whether automatic syncs are paused, as far as it knows. */
  readonly paused: boolean;
  /** Whether it can be asked for tokens. */
  readonly hasToken: boolean;
}

/** Where a database is kept. */
export type Storage = "opfs" | "indexeddb" | "memory";

/** A page's first word to its worker. */
export interface StartMessage {
  readonly start: {
    readonly name: string;
    readonly storage: Storage | undefined;
    readonly config: WorkerConfig;
    readonly hello: HelloBody;
  };
}

/** On the channel of all tabs. */
export type ControlMessage =
  /** Who leads? */
  | { readonly who: string }
  /** This worker, the one of that tab. */
  | { readonly leads: string; readonly tab: string }
  /** A tab to the worker that leads. */
  | { readonly hello: HelloBody; readonly term: string }
  /** A tab to the worker that leads: remove the data. */
  | { readonly wipe: true }
  /** A tab to one that asks who leads: its worker will, when it has the database open. */
  | { readonly opening: string }
  /** The data was removed, so that every client of it ends; or it was not, and why. */
  | { readonly wiped: true | unknown };

/** What the leader lets a tab know when it takes it in. */
export interface Welcome {
  readonly clientId: string;
  readonly storage: Storage;
  readonly status: ClientStatus;
}

/** The leader's answer to a hello, on the tab's own port. */
export type WelcomeMessage =
  | { readonly term: string; readonly welcome: unknown }
  | { readonly term: string; readonly refused: unknown };

/** What a worker tells its page alone. */
export type WorkerMessage =
  /** It opens the database, which may take long: it cannot be heard meanwhile. */
  | { readonly opening: true }
  /** It could not open the database; it tries again. */
  | { readonly failed: unknown }
  /** A line of its log. */
  | { readonly log: readonly [LogLevel, event: string, facts: unknown] }
  /** It has let go of everything. */
  | { readonly left: true };

/** Statements name their transaction; its first one begins it. */
interface Statement {
  readonly tx: string;
  readonly sql: string;
}

/** How much of what a browser gives is used. */
export interface StorageEstimate {
  readonly usage?: number;
  readonly quota?: number;
  readonly persisted?: boolean;
}

/** What a tab asks of the leader. */
export type LeaderCalls = {
  readonly query: readonly [{ sql: string; params: readonly SqlValue[] }, PackedRows];
  readonly tablesOf: readonly [string, readonly string[]];
  readonly all: readonly [Statement & { params: readonly SqlValue[] }, PackedRows];
  readonly run: readonly [Statement & { params: readonly SqlValue[] }, number];
  readonly runMany: readonly [Statement & { params: readonly (readonly SqlValue[])[] }, number];
  /** Makes a change in a transaction. */
  readonly txWrite: readonly [{ tx: string; op: WriteOp }, unknown];
  /** Reads a row as a transaction sees it. */
  readonly txGet: readonly [{ tx: string; table: string; id: string }, AppRow | undefined];
  /** Lets statements of a transaction see its changes. */
  readonly txShow: readonly [{ tx: string }, void];
  /** Commits, and notes with the same commit that this transaction was; which rows changed. */
  readonly commit: readonly [{ tx: string; done: readonly string[] }, Changed];
  readonly rollback: readonly [{ tx: string }, void];
  /** Makes a change in a transaction of its own. */
  readonly write: readonly [
    { tx: string; op: WriteOp; done: readonly string[] },
    { value: unknown; changed: Changed },
  ];
  /** Whether a transaction was committed, whose answer was lost with a leader. */
  readonly committed: readonly [{ tx: string }, boolean];
  /** Rows as the app reads them, those that are there. */
  readonly rows: readonly [{ table: string; ids: readonly string[] }, readonly AppRow[]];
  readonly syncOnce: readonly [null, SyncSummary];
  readonly estimate: readonly [null, StorageEstimate];
};

/** What a tab tells the leader. */
export type LeaderNews = {
  /** It has written and wants it pushed. */
  readonly wrote: Wrote;
  readonly pause: null;
  readonly resume: null;
};

/** What the leader asks of a tab. */
export type TabCalls = {
  readonly token: readonly [null, string];
  readonly judge: readonly [{ table: string; row: unknown }, readonly PackedIssue[]];
};

/** What the leader tells a tab. */
export type TabNews = {
  readonly changed: Changed;
  readonly refused: readonly Refusal[];
  readonly status: ClientStatus;
  readonly event: {
    [Name in keyof ClientEvents]: { readonly name: Name; readonly value: ClientEvents[Name] };
  }[keyof ClientEvents];
};
