import {
  type Delta,
  type Hlc,
  type LogSeq,
  ok,
  type Result,
  type RowState,
  type TableSchema,
} from "@lakesync/core";
import type { Client } from "./client.ts";
import {
  factsOf,
  ownDelta,
  SELECT_SYNC,
  selectFacts,
  selectOwn,
  syncFacts,
} from "./_inspect_sql.ts";
import { inspectedOf } from "./_inspected.ts";
import type { DeadLetter } from "./status.ts";

/** A client as devtools need it, whichever tables it has. */
export type InspectedClient = Omit<Client, "tables" | "transaction" | "import">;

/**
 * How far an own delta is: `unsent`; `flying` in the push under way or in one whose answer was lost;
 * `sent` with an outcome that is not known; `accepted`, and not yet come back; `settled` in what the
 * gateway told, and kept for the retention time.
 */
export type OwnDeltaState = "unsent" | "flying" | "sent" | "accepted" | "settled";

/** A delta that this device has made. */
export interface OwnDelta {
  /** Its place in the order of making. */
  readonly ord: number;
  /** The delta. */
  readonly delta: Delta;
  /** How far it is. Before `settled` it is on top of what the gateway told. */
  readonly state: OwnDeltaState;
  /** How often it was sent. */
  readonly tries: number;
  /** The bytes of its JSON. */
  readonly bytes: number;
  /** The log position that its push was answered with. */
  readonly seq: LogSeq | undefined;
  /** When it came into its state, in ms since the Unix epoch; undefined before it was accepted. */
  readonly at: number | undefined;
}

/** All that the device knows about a row. */
export interface RowFacts {
  /** The row's key. */
  readonly id: string;
  /** What the gateway told; undefined where it told of no such row, or took it back. */
  readonly base: RowState | undefined;
  /** The device's own deltas on it, oldest first. */
  readonly own: readonly OwnDelta[];
  /** The own deltas on it that were rejected and are still kept, oldest first. */
  readonly rejected: readonly DeadLetter[];
}

/** How a device's sync stands. */
export interface SyncFacts {
  /** The cursor of the next pull; `""` before the first sync. */
  readonly cursor: string;
  /** The log position that the device is at. */
  readonly seq: LogSeq;
  /** The greatest stamp that was made, accepted or received. */
  readonly greatest: Hlc | undefined;
  /** The gateway's clock minus the device's, in ms. */
  readonly offsetMs: number;
  /** Whether a checkpoint comes before anything else. */
  readonly checkpointDue: boolean;
  /** The place of the newest own delta; 0 where there is none. */
  readonly lastOrd: number;
  /** How many settled deltas are kept in case that the gateway is reset. */
  readonly settled: number;
  /** The size of the device's database, in bytes. */
  readonly databaseBytes: number;
}

/** What {@linkcode Inspection.watch} tells: ids by table, or undefined where any row may be meant. */
export type ChangedRows = ReadonlyMap<string, ReadonlySet<string> | undefined>;

/** Options of {@linkcode Inspection.own}. */
export interface InspectOwnOptions {
  /**
   * Only those that the gateway has not acknowledged, oldest first; else the newest come first.
   *
   * @default {false}
   */
  pending?: boolean;
  /**
   * How many at most.
   *
   * @default {500}
   */
  limit?: number;
}

/** Options of {@linkcode Inspection.rows}. */
export interface InspectRowsOptions {
  /** The rows' keys. */
  ids: readonly string[];
  /**
   * Settled and rejected deltas, too. It looks through all that are kept.
   *
   * @default {false}
   */
  history?: boolean;
}

/** What stands behind a client's tables. It only reads. */
export interface Inspection {
  /** The tables that the app declares. */
  readonly schemas: readonly TableSchema[];
  /** What is known of these rows of a table, in the order of their ids, all of one moment. */
  rows(table: string, options: InspectRowsOptions): Promise<Result<RowFacts[]>>;
  /** The deltas that this device has made. */
  own(options?: InspectOwnOptions): Promise<Result<OwnDelta[]>>;
  /** How sync stands. */
  sync(): Promise<Result<SyncFacts>>;
  /**
   * Calls a function after each transaction, of either side, that may have changed rows.
   *
   * @returns Ends the calls.
   */
  watch(changed: (rows: ChangedRows) => void, closed?: () => void): () => void;
}

/**
 * Shows what stands behind a client's tables: what the gateway told, what the device has made, and how
 * sync stands. It is what devtools read; an app has no need of it.
 *
 * @param client A client of `createClient`.
 * @returns Readers, which answer as `client.query` does.
 * @throws {TypeError} Where it is no such client.
 *
 * @example What waits to be sent
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { inspect } from "@lakesync/client/devtools";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const notes = defineTable("notes", { text: string() });
 * const client = unwrapOrThrow(await createClient({ tables: [notes], database: ":memory:" }));
 * await client.tables.notes.insert({ id: "a", text: "Hello" });
 * const [waiting] = unwrapOrThrow(await inspect(client).own({ pending: true }));
 * assertEquals([waiting?.delta.rowId, waiting?.state], ["a", "unsent"]);
 * await client.close();
 * ```
 */
export function inspect(client: InspectedClient): Inspection {
  const inspected = inspectedOf(client);
  if (inspected === undefined) {
    throw new TypeError("Cannot inspect: this is no client that createClient has made");
  }
  const { schemas, watch } = inspected;
  return {
    schemas,
    async rows(table, { ids, history = false }) {
      if (!schemas.some((schema) => schema.table === table)) {
        throw new TypeError(`Cannot inspect rows: there is no table "${table}"`);
      }
      const rows = await client.query(...selectFacts(table, ids, { history }));
      return rows.ok ? ok(factsOf(ids, rows.value)) : rows;
    },
    async own({ pending = false, limit = 500 } = {}) {
      const rows = await client.query(...selectOwn({ pending, limit }));
      return rows.ok ? ok(rows.value.map(ownDelta)) : rows;
    },
    async sync() {
      const rows = await client.query(SELECT_SYNC);
      return rows.ok ? ok(syncFacts(rows.value[0]!)) : rows;
    },
    watch: (changed, closed = () => {}) => watch(changed, closed),
  };
}
