import type { LogEntry, ReadLogOptions } from "@lakesync/core";
import { type LogRow, toEntry } from "./sqlite_entry.ts";
import type { SqliteKeys } from "./sqlite_keys.ts";
import type { Statements } from "./sqlite_statements.ts";

/** What entries are read from. */
export interface SqliteReadContext {
  /** The statements. */
  readonly statements: Statements;
  /** The index. */
  readonly keys: SqliteKeys;
  /** The numbers of the tables by name. */
  readonly tables: ReadonlyMap<string, number>;
}

/** Reads entries after a seq that is not trimmed; see `LogStore.read`. */
export function readEntries(
  context: SqliteReadContext,
  after: number,
  options: ReadLogOptions,
): readonly LogEntry[] {
  const { limit, maxChars = 8_388_608, through = Number.MAX_SAFE_INTEGER, keys } = options;
  const { statements } = context;
  if (keys === undefined) {
    return readRange(statements, [after, through, limit], maxChars);
  }
  const seqs = context.keys.find(keys, { after, through, limit }, context.tables);
  const first = seqs[0];
  if (first === undefined) return [];
  const last = seqs.at(-1)!;
  if (last - first === seqs.length - 1) {
    return readRange(statements, [first - 1, last, seqs.length], maxChars);
  }
  const entries: LogEntry[] = [];
  let chars = 0;
  for (const item of statements.readSome.iterate(JSON.stringify(seqs))) {
    const row = item as unknown as LogRow;
    entries.push(toEntry(row));
    chars += row.json.length;
    if (chars >= maxChars) break;
  }
  return entries;
}

function readRange(
  { readSize, read }: Statements,
  range: [after: number, through: number, limit: number],
  maxChars: number,
): readonly LogEntry[] {
  const { bytes } = readSize.get(...range) as { bytes: number };
  // Rows one by one cost more than twice as much as all at once: only where they are too large.
  if (bytes <= maxChars) return (read.all(...range) as unknown as LogRow[]).map(toEntry);
  const entries: LogEntry[] = [];
  let chars = 0;
  for (const item of read.iterate(...range)) {
    const row = item as unknown as LogRow;
    entries.push(toEntry(row));
    chars += row.json.length;
    if (chars >= maxChars) break;
  }
  return entries;
}
