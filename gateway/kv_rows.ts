import { LakeSyncError, type RowKey, type RowState, type RowWrite } from "@lakesync/core";
import { cutBytes, joinBytes, readPieces } from "./kv_blob.ts";
import { getAll, type KvWrite, VALUE_BYTES } from "./kv_database.ts";
import type { KvContext } from "./kv_head.ts";
import { rowFromJson, rowToJson } from "./row_json.ts";
import { rowKey } from "./working_rows.ts";

/** A row's record: the seq of its last entry and, behind a space, its state; or how many pieces have that. */
export type RowRecord = Uint8Array | { readonly seq: number; readonly pieces: number };

/** A row as it is stored. */
export interface KvRow extends RowWrite {
  /** The seq of its last entry. */
  readonly seq: number;
  /** Its record. */
  readonly record: RowRecord;
}

/** Rows of so many bytes in all are held at once. */
const MAX_BYTES = 64 * 2 ** 20;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads rows.
 *
 * @param context The store.
 * @param rows Which.
 * @param options The most bytes.
 * @returns Those that are there by {@linkcode rowKey}. It throws `PAYLOAD_TOO_LARGE` where they are
 * more than memory should hold.
 */
export async function readRows(
  context: KvContext,
  rows: readonly RowKey[],
  options: { readonly maxBytes: number } = { maxBytes: MAX_BYTES },
): Promise<Map<string, KvRow>> {
  const wanted = [...new Map(rows.map((row) => [rowKey(row.table, row.rowId), row])).values()];
  const found = new Map<string, KvRow>();
  let bytes = 0;
  const entries = await getAll(
    context.kv,
    wanted.map(({ table, rowId }) => context.keys.row(table, rowId)),
    (batch) => {
      for (const { value } of batch) bytes += value === null ? 0 : bytesOf(value as RowRecord);
      if (bytes > options.maxBytes) throw tooLarge();
    },
  );
  for (const [i, { value }] of entries.entries()) {
    if (value === null) continue;
    const { table, rowId } = wanted[i]!;
    found.set(rowKey(table, rowId), await readRecord(context, wanted[i]!, value as RowRecord));
  }
  return found;
}

/** Reads a row from its record. It throws where the record is no longer the row's. */
export async function readRecord(
  context: KvContext,
  { table, rowId }: RowKey,
  record: RowRecord,
): Promise<KvRow> {
  let bytes: Uint8Array;
  if (record instanceof Uint8Array) bytes = record;
  else {
    const names = pieceKeys(context, { table, rowId }, record);
    const pieces = await readPieces(context, names);
    if (pieces === undefined) {
      throw new LakeSyncError(
        "CORRUPT",
        `A row of "${table}" is not whole in Deno KV: restore a backup of the database`,
      );
    }
    bytes = joinBytes(pieces);
  }
  const text = decoder.decode(bytes);
  const space = text.indexOf(" ");
  const state = rowFromJson(text.slice(space + 1));
  return { table, rowId, seq: Number(text.slice(0, space)), state, record };
}

/** What a row that is written takes the place of. */
export interface FormerRow {
  /** Its record; undefined where there was none. */
  readonly record: RowRecord | undefined;
  /** The head's version with which it goes. */
  readonly version: number;
  /** Whether a snapshot still needs it. */
  readonly pinned: boolean;
}

/**
 * The writes that store a row.
 *
 * @param context The store.
 * @param row The row, and the seq of its last entry.
 * @param former What it takes the place of.
 * @returns The writes; the one that shows the new state comes last.
 */
export function rowWrites(
  context: KvContext,
  row: RowWrite & { readonly seq: number },
  former: FormerRow,
): KvWrite[] {
  const { table, rowId, seq } = row;
  const key = context.keys.row(table, rowId);
  const bytes = encoder.encode(`${seq} ${rowToJson(row.state)}`);
  const left = leave(context, row, former);
  const together = left.length > 0;
  if (bytes.length <= VALUE_BYTES) return [...left, { key, value: bytes, together }];
  // In one order, so that all who derive this row write the same pieces.
  const columns = new Map([...row.state.columns].sort(([a], [b]) => a < b ? -1 : 1));
  const sorted: RowState = { life: row.state.life, columns };
  const pieces = cutBytes(encoder.encode(`${seq} ${rowToJson(sorted)}`));
  const record: RowRecord = { seq, pieces: pieces.length };
  return [
    ...pieces.map((value, i) => ({ key: context.keys.piece({ table, rowId, seq }, i), value })),
    ...left,
    { key, value: record, together },
  ];
}

/** The writes that remove a row. */
export function rowRemoval(context: KvContext, row: RowKey, former: FormerRow): KvWrite[] {
  const key = context.keys.row(row.table, row.rowId);
  const left = leave(context, row, former);
  return [...left, { key, value: undefined, together: left.length > 0 }];
}

/** The keys of a record's pieces. */
export function pieceKeys(
  { keys }: KvContext,
  row: RowKey,
  record: RowRecord,
): ReturnType<typeof keys.piece>[] {
  if (record instanceof Uint8Array) return [];
  const { table, rowId } = row;
  const { seq, pieces } = record;
  return Array.from({ length: pieces }, (_, i) => keys.piece({ table, rowId, seq }, i));
}

/**
 * What becomes of a former record: it is kept where a snapshot needs it, and where it has pieces,
 * which a later sweep removes. It goes there in the atomic in which the row gets its new record, so
 * that it is in one of the two places.
 */
function leave(context: KvContext, row: RowKey, former: FormerRow): KvWrite[] {
  const { record, version, pinned } = former;
  if (!pinned && (record === undefined || record instanceof Uint8Array)) return [];
  const key = context.keys.old(row.table, row.rowId, version);
  return [{ key, value: { record } satisfies OldRecord }];
}

/** A former record; undefined where the row was not there. */
export interface OldRecord {
  /** The record. */
  readonly record: RowRecord | undefined;
}

function bytesOf(record: RowRecord): number {
  return record instanceof Uint8Array ? record.length : record.pieces * VALUE_BYTES;
}

function tooLarge(): LakeSyncError {
  return new LakeSyncError(
    "PAYLOAD_TOO_LARGE",
    "The rows that this push changes are too large to be changed at once: split it",
  );
}
