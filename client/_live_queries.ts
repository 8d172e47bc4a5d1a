import type { LakeSyncError, SqlDatabase, SqlRow, SqlValue } from "@lakesync/core";
import type { LiveHub } from "./_live_hub.ts";
import type { LiveSubscriber } from "./live_query.ts";
import type { LocalTable } from "./_local_table.ts";
import { valuesText } from "./_row_changes.ts";
import { SharedQuery } from "./_shared_query.ts";

/** What a live query runs. */
export interface LiveTarget {
  readonly sql: string;
  readonly params: readonly SqlValue[];
}

/** What live queries work with. */
export interface LiveContext {
  readonly database: SqlDatabase;
  readonly tables: ReadonlyMap<string, LocalTable>;
  readonly hub: LiveHub;
  /** Told about failures that nobody else is told about, and about listeners that throw. */
  readonly failed: (error: LakeSyncError) => void;
  readonly threw: (thrown: unknown) => void;
}

/** A client's live queries that somebody subscribes to, each once. */
export class LiveQueries {
  readonly #context: LiveContext;
  readonly #running: Map<string, SharedQuery> = new Map();

  constructor(context: LiveContext) {
    this.#context = context;
  }

  /** Where failures go that no subscriber asked for. */
  get failed(): (error: LakeSyncError) => void {
    return this.#context.failed;
  }

  /** The newest result, where somebody subscribes and it came. */
  current(target: LiveTarget): readonly SqlRow[] | undefined {
    return this.#running.get(keyOf(target))?.current;
  }

  /** Subscribes to a query, which runs from now on if it did not yet; returns how to end that. */
  subscribe(target: LiveTarget, subscriber: LiveSubscriber): () => void {
    const key = keyOf(target);
    let query = this.#running.get(key);
    if (query === undefined) {
      query = new SharedQuery(this.#context, target, () => this.#running.delete(key));
      this.#running.set(key, query);
    }
    return query.add(subscriber);
  }
}

function keyOf({ sql, params }: LiveTarget): string {
  return `${valuesText(params)} ${sql}`;
}
