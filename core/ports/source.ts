import type { JsonValue } from "../json.ts";
import type { Result } from "../result.ts";

/** A record from a source. */
export interface SourceChange {
  /** `upsert` makes or changes the row so that it has these columns; `delete` removes it. */
  readonly op: "upsert" | "delete";
  /** The table that it goes to. */
  readonly table: string;
  /** The row's key. */
  readonly rowId: string;
  /** Columns in wire form; for `delete` none. */
  readonly columns: ReadonlyMap<string, JsonValue>;
}

/** Some records and the place behind them. */
export interface SourceBatch {
  /** At most a few thousand records. */
  readonly changes: readonly SourceChange[];
  /** Where to go on. Stored in the same commit as the changes. */
  readonly cursor: string;
}

/** Something that data comes from. */
export interface Source {
  /** Names it: an identifier. */
  readonly name: string;
  /**
   * The records after a cursor (undefined: from the beginning), in an order that never changes. The
   * cursor may come from a caller of the gateway: do not trust it to be one of the source's own.
   */
  read(
    options: { cursor: string | undefined; signal?: AbortSignal },
  ): AsyncIterable<Result<SourceBatch>>;
}
