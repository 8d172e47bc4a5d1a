import {
  type CheckpointEnd,
  type CheckpointHeader,
  LakeSyncError,
  toLakeSyncError,
} from "@lakesync/core";
import { formatRouterCursor } from "./router_cursor.ts";
import type { Shards } from "./router_shards.ts";

/** The checkpoint of one shard, in parts: its header, its rows, and at last how many they were. */
interface ShardLines {
  readonly header: CheckpointHeader["checkpoint"];
  readonly rows: AsyncGenerator<string, number>;
}

/**
 * Joins the checkpoints of all shards to one: each is of one exact position, and its header names them
 * all.
 *
 * @param lines Those of the shards, in their order; undefined where nothing of one is asked for.
 * @param shards The shards, and where those stand of which nothing is asked for.
 * @returns The lines of the whole.
 */
export async function* joinCheckpoints(
  lines: readonly (AsyncGenerator<string> | undefined)[],
  { shards, heads }: { shards: Shards; heads: readonly (number | undefined)[] },
): AsyncGenerator<string> {
  try {
    const parts = await Promise.all(
      lines.map((shard) => shard === undefined ? undefined : openLines(shard)),
    );
    const cursor = formatRouterCursor(
      { shards: parts.map((part) => part?.header.cursor ?? ""), turn: 0 },
      shards,
    );
    const seq = shards.seq(parts.map((part, i) => part?.header.seq ?? heads[i]!));
    const tables = parts.flatMap((part) => part?.header.tables ?? []);
    const header: CheckpointHeader = { checkpoint: { seq, cursor, tables } };
    yield `${JSON.stringify(header)}\n`;
    let rows = 0;
    for (const part of parts) if (part !== undefined) rows += yield* part.rows;
    const end: CheckpointEnd = { end: { rows } };
    yield `${JSON.stringify(end)}\n`;
  } finally {
    await Promise.all(lines.map((shard) => shard?.return(undefined)));
  }
}

async function openLines(lines: AsyncGenerator<string>): Promise<ShardLines> {
  const first = await lines.next();
  if (first.done === true) throw brokeOff();
  const cut = first.value.indexOf("\n") + 1;
  const { checkpoint } = JSON.parse(first.value.slice(0, cut)) as CheckpointHeader;
  return { header: checkpoint, rows: rowLines(lines, first.value.slice(cut)) };
}

/** The lines between the header and the end; how many rows the end says they are. */
async function* rowLines(
  lines: AsyncGenerator<string>,
  held: string,
): AsyncGenerator<string, number> {
  // The last line is the end: it is held back until it is known to be it.
  for await (const text of lines) {
    const cut = held.lastIndexOf("\n", held.length - 2) + 1;
    if (cut > 0) yield held.slice(0, cut);
    held = held.slice(cut) + text;
  }
  const cut = held.lastIndexOf("\n", held.length - 2) + 1;
  if (cut > 0) yield held.slice(0, cut);
  try {
    return (JSON.parse(held.slice(cut)) as CheckpointEnd).end.rows;
  } catch (cause) {
    throw brokeOff(cause);
  }
}

function brokeOff(cause?: unknown): LakeSyncError {
  const message = "A shard's checkpoint broke off";
  return cause === undefined
    ? new LakeSyncError("STORAGE_ERROR", message)
    : new LakeSyncError("STORAGE_ERROR", message, { cause: toLakeSyncError(cause, "INTERNAL") });
}
