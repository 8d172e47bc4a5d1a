import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import {
  type CheckpointRow,
  decodeRow,
  encodeRow,
  isVisible,
  LakeSyncError,
  type ObjectStore,
  type Result,
  type RowWrite,
} from "@lakesync/core";

/** Rows of a checkpoint as objects of a store: lines as in a checkpoint's stream, packed with gzip. */

const pack = promisify(gzip);
const unpack = promisify(gunzip);

/** A part is complete when its text has so many characters; that much is in memory. */
const PART_CHARS = 4 * 2 ** 20;

/** Rows that are given out together. */
const CHUNK_ROWS = 500;

/** A part, as a manifest names it. */
export interface CheckpointPart {
  /** Its key in the store. */
  readonly key: string;
  /** The tables that its rows are of. */
  readonly tables: readonly string[];
  /** How many they are. */
  readonly rows: number;
}

/**
 * Writes the visible rows among some.
 *
 * @param rows The rows, each once.
 * @param options Where to, and what the parts' keys begin with.
 * @returns The parts; throws where the store fails or the rows break off.
 */
export async function writeParts(
  rows: AsyncIterable<readonly RowWrite[]>,
  { store, prefix, signal }: { store: ObjectStore; prefix: string; signal: AbortSignal },
): Promise<CheckpointPart[]> {
  const parts: CheckpointPart[] = [];
  let text = "";
  let tables = new Set<string>();
  let count = 0;
  const flush = async (): Promise<void> => {
    const key = `${prefix}/${String(parts.length).padStart(6, "0")}.ndjson.gz`;
    orThrow(await store.put(key, await pack(text, { level: 3 })));
    parts.push({ key, tables: [...tables], rows: count });
    text = "";
    tables = new Set();
    count = 0;
  };
  for await (const chunk of rows) {
    if (signal.aborted) throw signal.reason;
    for (const row of chunk) {
      if (!isVisible(row.state)) continue;
      text += `${JSON.stringify(encodeRow(row))}\n`;
      tables.add(row.table);
      count++;
    }
    if (text.length >= PART_CHARS) await flush();
  }
  if (count > 0) await flush();
  return parts;
}

/**
 * Reads rows again.
 *
 * @param parts The parts.
 * @param options Where from, and of which tables; undefined for all.
 * @returns The rows in chunks; throws where a part is not what it was.
 */
export async function* readParts(
  parts: readonly CheckpointPart[],
  { store, tables }: { store: ObjectStore; tables: readonly string[] | undefined },
): AsyncGenerator<readonly RowWrite[]> {
  const wanted = tables && new Set(tables);
  for (const part of parts) {
    if (wanted !== undefined && !part.tables.some((table) => wanted.has(table))) continue;
    const text = (await unpack(orThrow(await store.get(part.key)))).toString();
    const lines = text.split("\n");
    if (lines.pop() !== "" || lines.length !== part.rows) {
      throw new LakeSyncError("CORRUPT", `A part of a checkpoint is damaged: remove "${part.key}"`);
    }
    for (let at = 0; at < lines.length; at += CHUNK_ROWS) {
      const chunk = lines.slice(at, at + CHUNK_ROWS)
        .map((line) => JSON.parse(line) as CheckpointRow)
        .filter(({ table }) => wanted?.has(table) !== false);
      yield chunk.map((row) => ({ table: row.table, rowId: row.rowId, state: decodeRow(row) }));
    }
  }
}

function orThrow<T>(result: Result<T>): T {
  if (!result.ok) throw result.error;
  return result.value;
}
