import { ok, type Result } from "@lakesync/core";
import { cursorFault } from "./cursor.ts";
import type { Shards } from "./router_shards.ts";

/** Where a caller stands in all shards. */
export interface RouterCursor {
  /** The cursor of each shard; `""` is its very beginning. */
  readonly shards: readonly string[];
  /** The shard whose turn it is to be read first, so that a busy one does not hold up the others. */
  readonly turn: number;
}

/** The text of a cursor: URL-safe, as those of the shards are. */
export function formatRouterCursor({ shards, turn }: RouterCursor, { digest }: Shards): string {
  return `r1.${digest}.${turn}.${shards.join("~")}`;
}

/**
 * Reads a cursor as it was sent.
 *
 * @param text Its text; `""` is the very beginning.
 * @param shards The shards of now.
 * @returns The cursor; `CHECKPOINT_REQUIRED` where it is not of these shards.
 */
export function parseRouterCursor(text: string, shards: Shards): Result<RouterCursor> {
  const count = shards.gateways.length;
  if (text === "") return ok({ shards: Array<string>(count).fill(""), turn: 0 });
  const parts = /^r1\.([0-9a-f]{8})\.(\d{1,4})\.([0-9a-z.~-]*)$/.exec(text);
  const cursors = parts?.[3]?.split("~");
  if (parts === null || parts[1] !== shards.digest || cursors?.length !== count) {
    return cursorFault("foreign");
  }
  return ok({ shards: cursors, turn: Number(parts[2]) % count });
}
