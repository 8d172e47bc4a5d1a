import { createHash } from "node:crypto";
import {
  type Clock,
  type ColumnChange,
  type Delta,
  deltaIdText,
  type FlushEntry,
  type Hlc,
  type HybridClock,
  isRowId,
  LakeSyncError,
  type SourceChange,
  type TableIndex,
  valueFault,
} from "@lakesync/core";

/** Options of {@linkcode CopiedRecords}. */
export interface CopiedRecordsOptions {
  /** The source's name. */
  readonly source: string;
  readonly table: TableIndex;
  readonly stamps: HybridClock;
  readonly clock: Clock;
  /** The place before the first one. */
  readonly seq: number;
}

/** A source's records as entries for a destination. */
export class CopiedRecords {
  /** How many there were. */
  count = 0;
  readonly #options: CopiedRecordsOptions;
  readonly #clientId: string;

  constructor(options: CopiedRecordsOptions) {
    this.#options = options;
    // As an ingest by a gateway says it: no subject percent-encodes to a text with "@".
    this.#clientId = `@source:${options.source}`;
  }

  /** Throws `SCHEMA_ERROR` for a record that does not fit the table. */
  entries(changes: readonly SourceChange[]): FlushEntry[] {
    const { clock, seq, stamps } = this.#options;
    const at = clock.now();
    const clientId = this.#clientId;
    return changes.map((change): FlushEntry => {
      this.#check(change);
      const delta = new CopiedDelta(change, { clientId, hlc: stamps.now() });
      return { seq: seq + ++this.count, at, delta };
    });
  }

  #check({ op, table, rowId, columns }: SourceChange): void {
    const index = this.#options.table;
    if (table !== index.schema.table) throw this.#fault(`table "${table}" is not copied`);
    if (!isRowId(rowId)) {
      throw this.#fault("a record's rowId must be a well-formed string of 1 to 256 bytes");
    }
    if (op === "delete") return;
    for (const [name, value] of columns) {
      const column = index.columns.get(name);
      const reason = column === undefined ? "is not in the table" : valueFault(column, value);
      if (reason !== undefined) {
        throw this.#fault(`column "${name}" of record "${rowId}" ${reason}`, name);
      }
    }
    for (const name of index.required) {
      if (!columns.has(name)) throw this.#fault(`record "${rowId}" has no column "${name}"`, name);
    }
  }

  #fault(reason: string, column?: string): LakeSyncError {
    const { source, table } = this.#options;
    return new LakeSyncError("SCHEMA_ERROR", `Cannot copy source "${source}": ${reason}`, {
      details: { table: table.schema.table, ...(column !== undefined && { column }) },
    });
  }
}

/** A lake has no ids of deltas, a database has: one is computed where it is looked at. */
class CopiedDelta implements Delta {
  readonly op: Delta["op"];
  readonly table: string;
  readonly rowId: string;
  readonly clientId: string;
  readonly columns: Delta["columns"];
  readonly hlc: Hlc;

  constructor(
    { op, table, rowId, columns }: SourceChange,
    { clientId, hlc }: { clientId: string; hlc: Hlc },
  ) {
    this.op = op === "upsert" ? "INSERT" : "DELETE";
    this.table = table;
    this.rowId = rowId;
    this.clientId = clientId;
    const listed: ColumnChange[] = [];
    columns.forEach((value, column) => listed.push({ column, value }));
    this.columns = listed;
    this.hlc = hlc;
  }

  get deltaId(): string {
    return createHash("sha256").update(deltaIdText(this)).digest("hex");
  }

  toJSON(): Delta {
    return { ...this, deltaId: this.deltaId };
  }
}
