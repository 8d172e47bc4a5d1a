import { createHash } from "node:crypto";
import {
  type AppendPlan,
  type AppendView,
  deltaIdText,
  err,
  extractChange,
  type Hlc,
  isRowId,
  isVisible,
  type JsonValue,
  LakeSyncError,
  type LogStore,
  type NewEntry,
  ok,
  type Result,
  type RowState,
  type Source,
  type SourceBatch,
  type SourceChange,
  type TableIndex,
  toLakeSyncError,
  valueFault,
} from "@lakesync/core";
import { appendTransaction, WorkingRows } from "./working_rows.ts";

/** What was taken in from a source. */
export interface IngestReport {
  /** How many records were read. */
  readonly records: number;
  /** How many deltas they made: a record that changes nothing makes none. */
  readonly deltas: number;
}

/** What {@linkcode ingest} works on. */
export interface IngestContext {
  /** The log. */
  readonly store: LogStore;
  /** The tables of today. */
  readonly tables: () => ReadonlyMap<string, TableIndex>;
  /** The gateway's stamps. */
  readonly stamp: () => Promise<Result<Hlc>>;
  /** Called after each batch that was appended. */
  readonly onBatch: (report: IngestReport) => void;
  /** Stops between batches. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads a source to its end into the log. Its cursor is stored in the same commit as its records, so
 * that a restart neither loses nor doubles one.
 *
 * @param source The source.
 * @param context Where it goes.
 * @returns What was taken in; the source's failure, or `SCHEMA_ERROR` for a record that does not fit
 * its table: batches before it stay.
 */
export async function ingest(
  source: Source,
  context: IngestContext,
): Promise<Result<IngestReport>> {
  const { store, signal } = context;
  const key = `source:${source.name}`;
  const cursor = await store.getValue(key);
  if (!cursor.ok) return cursor;
  let report: IngestReport = { records: 0, deltas: 0 };
  try {
    const reading = source.read({ cursor: cursor.value, ...(signal !== undefined && { signal }) });
    for await (const batch of reading) {
      if (!batch.ok) return batch;
      if (signal?.aborted === true) {
        return err(new LakeSyncError("ABORTED", "The ingest was stopped: start it again to go on"));
      }
      const appended = await appendBatch(source, batch.value, { ...context, key });
      if (!appended.ok) return appended;
      report = {
        records: report.records + batch.value.changes.length,
        deltas: report.deltas + appended.value,
      };
      context.onBatch(report);
    }
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "INTERNAL"));
  }
  return ok(report);
}

async function appendBatch(
  source: Source,
  batch: SourceBatch,
  context: IngestContext & { key: string },
): Promise<Result<number>> {
  const tables = context.tables();
  const fault = batchFault(batch, tables);
  if (fault !== undefined) {
    return err(new LakeSyncError("SCHEMA_ERROR", `Source "${source.name}": ${fault}`));
  }
  const stamps: Hlc[] = [];
  for (let i = 0; i < batch.changes.length; i++) {
    const stamp = await context.stamp();
    if (!stamp.ok) return stamp;
    stamps.push(stamp.value);
  }
  // No subject percent-encodes to a text with "@", so no client can pass for a source.
  const clientId = `@source:${source.name}`;
  let deltas = 0;
  const appended = await context.store.append({
    clientId,
    deltas: [],
    rows: batch.changes,
    plan(view) {
      const plan = planBatch(batch, view, { tables, stamps, clientId });
      deltas = plan.entries.length;
      return { ...plan, values: new Map([[context.key, batch.cursor]]) };
    },
  });
  return appended.ok ? ok(deltas) : appended;
}

function batchFault(
  batch: SourceBatch,
  tables: ReadonlyMap<string, TableIndex>,
): string | undefined {
  for (const { op, table, rowId, columns } of batch.changes) {
    const index = tables.get(table);
    if (index === undefined) return `table "${table}" has no schema, put it to the gateway first`;
    if (!isRowId(rowId)) return "a record's rowId must be a well-formed string of 1 to 256 bytes";
    if (op === "delete") continue;
    for (const [name, value] of columns) {
      const column = index.columns.get(name);
      if (column === undefined) return `column "${name}" is not in table "${table}"`;
      const reason = valueFault(column, value);
      if (reason !== undefined) return `column "${name}" of record "${rowId}" ${reason}`;
    }
    const missing = index.required.find((name) => !columns.has(name));
    if (missing !== undefined) return `record "${rowId}" has no column "${missing}"`;
  }
  return undefined;
}

function planBatch(
  batch: SourceBatch,
  view: AppendView,
  context: { tables: ReadonlyMap<string, TableIndex>; stamps: readonly Hlc[]; clientId: string },
): AppendPlan {
  const rows = new WorkingRows(view);
  const entries: NewEntry[] = [];
  batch.changes.forEach((change, i) => {
    const { table, rowId } = change;
    const held = rows.get(table, rowId);
    const made = extractChange(context.tables.get(table)!.schema, {
      before: shownRow(held),
      after: afterOf(change, held),
    });
    if (made === undefined) return;
    const content = { ...made, table, rowId, clientId: context.clientId, hlc: context.stamps[i]! };
    const deltaId = createHash("sha256").update(deltaIdText(content)).digest("hex");
    appendTransaction([{ ...content, deltaId }], rows, entries);
  });
  return { entries, rows: rows.changed() };
}

function shownRow(state: RowState | undefined): Map<string, JsonValue> | undefined {
  if (state === undefined || !isVisible(state)) return undefined;
  return new Map([...state.columns].map(([name, [value]]) => [name, value]));
}

function afterOf(
  change: SourceChange,
  held: RowState | undefined,
): ReadonlyMap<string, JsonValue> | undefined {
  if (change.op === "delete") return undefined;
  // Columns that the source does not name stay as they are.
  return new Map([...shownRow(held) ?? [], ...change.columns]);
}
