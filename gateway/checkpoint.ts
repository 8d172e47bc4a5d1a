import {
  type CheckpointEnd,
  type CheckpointHeader,
  encodeRow,
  isVisible,
  type LogSnapshot,
  type RowWrite,
} from "@lakesync/core";

/** What a checkpoint is made of. */
export interface CheckpointOptions {
  /** Where pulls go on. */
  readonly cursor: string;
  /** The tables that it covers: those that the caller asked for, or all. */
  readonly tables: readonly string[];
  /**
   * Whether the rules let a row through that is alive.
   *
   * @default {undefined} all of them
   */
  readonly sees?: ((row: RowWrite) => boolean) | undefined;
  /** Told at its end how many rows it has. */
  readonly counted: (rows: number) => void;
  /** Ends the stream early; then it has no `end` line. */
  readonly signal: AbortSignal;
}

/**
 * The lines of a checkpoint (PROTOCOL, section 6), some hundred at a time: so much is in memory, not
 * more. Closes the snapshot in the end, also where the stream is not read to its end.
 *
 * @param snapshot The rows.
 * @param options What it covers.
 * @returns Texts of whole lines.
 */
export function checkpointLines(
  snapshot: LogSnapshot,
  options: CheckpointOptions,
): AsyncGenerator<string> {
  const lines = generateLines(snapshot, options);
  const end = lines.return.bind(lines);
  lines.return = async (value) => {
    const ended = await end(value);
    // A generator that never began does not run its `finally`.
    await snapshot.close();
    return ended;
  };
  return lines;
}

async function* generateLines(
  snapshot: LogSnapshot,
  options: CheckpointOptions,
): AsyncGenerator<string> {
  const { cursor, tables, sees, counted, signal } = options;
  try {
    const header: CheckpointHeader = {
      checkpoint: { seq: snapshot.position.seq, cursor, tables },
    };
    yield `${JSON.stringify(header)}\n`;
    let count = 0;
    for await (const chunk of snapshot.rows(tables)) {
      if (signal.aborted) throw signal.reason;
      let lines = "";
      for (const row of chunk) {
        if (!isVisible(row.state) || sees?.(row) === false) continue;
        lines += `${JSON.stringify(encodeRow(row))}\n`;
        count++;
      }
      if (lines !== "") yield lines;
    }
    counted(count);
    const end: CheckpointEnd = { end: { rows: count } };
    yield `${JSON.stringify(end)}\n`;
  } finally {
    await snapshot.close();
  }
}
