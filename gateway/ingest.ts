import { createHash } from "node:crypto";
import {
  type AppendPlan,
  deltaIdText,
  err,
  extractChange,
  HybridClock,
  isHlc,
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
} from "@lakesync/core";
import { joinedValues, RULES_KEY, type RulesRegistry } from "./rules_registry.ts";
import { batchFault } from "./source_batch.ts";
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
  readonly tables: () => Promise<Result<ReadonlyMap<string, TableIndex>>>;
  /** The rules, which what comes in is judged by later. */
  readonly rules: RulesRegistry;
  /** Called after each batch that was appended. */
  readonly onBatch: (report: IngestReport) => void;
  /** Stops between batches. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads a source to its end into the log. Its cursor is stored in the same commit as its records, and
 * only if it is still the one that they were read from: so neither a restart nor another instance
 * that reads the same source loses or doubles one.
 *
 * @param source The source.
 * @param context Where it goes.
 * @returns What was taken in; the source's failure, `SCHEMA_ERROR` for a record that does not fit its
 * table, or `CONFLICT` where another instance reads the source: batches before it stay.
 */
export async function ingest(
  source: Source,
  context: IngestContext,
): Promise<Result<IngestReport>> {
  const { store, signal } = context;
  const stored = await store.getValue(cursorKey(source));
  if (!stored.ok) return stored;
  let cursor = stored.value;
  let report: IngestReport = { records: 0, deltas: 0 };
  try {
    const reading = source.read({ cursor, ...(signal !== undefined && { signal }) });
    for await (const batch of reading) {
      if (!batch.ok) return batch;
      if (signal?.aborted === true) {
        return err(new LakeSyncError("ABORTED", "The ingest was stopped: start it again to go on"));
      }
      const appended = await appendBatch(source, batch.value, { ...context, cursor });
      if (!appended.ok) return appended;
      cursor = batch.value.cursor;
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
  context: IngestContext & { cursor: string | undefined },
): Promise<Result<number>> {
  const tables = await context.tables();
  if (!tables.ok) return tables;
  const fault = batchFault(batch, tables.value);
  if (fault !== undefined) {
    return err(new LakeSyncError("SCHEMA_ERROR", `Source "${source.name}": ${fault}`));
  }
  // No subject percent-encodes to a text with "@", so no client can pass for a source.
  const clientId = `@source:${source.name}`;
  const cursorAt = cursorKey(source);
  const stampAt = `source-stamp:${source.name}`;
  let deltas: number | undefined;
  const appended = await context.store.append({
    clientId,
    deltas: [],
    rows: batch.changes,
    values: [cursorAt, stampAt, RULES_KEY],
    plan(view) {
      deltas = undefined;
      if (view.value(cursorAt) !== context.cursor) return { entries: [], rows: [] };
      const last = view.value(stampAt);
      // A source's stamps always rise, whichever instance gives them.
      const stamps = new HybridClock({
        clock: { now: () => view.now },
        ...(isHlc(last) && { last }),
      });
      // Rules do not bind a source, but what it brings is judged by them on its way out.
      const rows = new WorkingRows(view, context.rules.parse(view.value(RULES_KEY)));
      const plan = planBatch(batch, rows, { tables: tables.value, stamps, clientId });
      deltas = plan.entries.length;
      const values = new Map([
        [cursorAt, batch.cursor],
        ...joinedValues(plan.entries, rows.rules, view.head.seq),
      ]);
      if (stamps.last !== undefined) values.set(stampAt, stamps.last);
      return { ...plan, values };
    },
  });
  if (!appended.ok) return appended;
  return deltas === undefined ? err(movedError(source)) : ok(deltas);
}

function cursorKey(source: Source): string {
  return `source:${source.name}`;
}

function movedError(source: Source): LakeSyncError {
  return new LakeSyncError(
    "CONFLICT",
    `Source "${source.name}" was read on by another instance: leave it to that one, or start again to go on from there`,
  );
}

function planBatch(
  batch: SourceBatch,
  rows: WorkingRows,
  context: { tables: ReadonlyMap<string, TableIndex>; stamps: HybridClock; clientId: string },
): AppendPlan {
  const entries: NewEntry[] = [];
  for (const change of batch.changes) {
    const { table, rowId } = change;
    const held = rows.get(table, rowId);
    const made = extractChange(context.tables.get(table)!.schema, {
      before: shownRow(held),
      after: afterOf(change, held),
    });
    if (made === undefined) continue;
    const { clientId } = context;
    const content = { ...made, table, rowId, clientId, hlc: context.stamps.now() };
    const deltaId = createHash("sha256").update(deltaIdText(content)).digest("hex");
    appendTransaction([{ ...content, deltaId }], rows, entries);
  }
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
