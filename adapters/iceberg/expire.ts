import { EPOCH_PROPERTY, type Snapshot, snapshotById, type TableMetadata } from "./metadata.ts";
import { CHANGES_SEQUENCE_PROPERTY } from "./compact_marks.ts";
import { MAIN_BRANCH } from "./state_commit.ts";

/** Which snapshots stay. */
export interface ExpireOptions {
  /**
   * Of each branch at least the newest so many stay.
   *
   * @default {5}
   */
  readonly minSnapshots?: number;
  /**
   * Of each branch at most the newest so many stay.
   *
   * @default {20}
   */
  readonly maxSnapshots?: number;
  /**
   * What is older than so many milliseconds goes.
   *
   * @default {432_000_000} 5 days
   */
  readonly maxSnapshotAgeMs?: number;
}

/**
 * The metadata without the snapshots that are too old or too many. Those that a branch or tag names
 * stay, and the main branch's newest ones down to the one that says how far the table is.
 *
 * @param now The time, in ms.
 * @returns Undefined where all stay.
 */
export function withoutExpired(
  metadata: TableMetadata,
  options: ExpireOptions & { readonly now: number },
): TableMetadata | undefined {
  const { minSnapshots = 5, maxSnapshots = 20, maxSnapshotAgeMs = 432_000_000, now } = options;
  const kept = new Set<bigint>();
  const heads = new Map<string, bigint>(
    Object.entries(metadata.refs ?? {}).map(([name, ref]) => [name, ref["snapshot-id"]]),
  );
  const current = metadata["current-snapshot-id"];
  if (current !== undefined) heads.set(MAIN_BRANCH, current);
  for (const [branch, head] of heads) {
    kept.add(head);
    // A tag is one snapshot, a branch is a line of them.
    if (metadata.refs?.[branch]?.type === "tag") continue;
    const line = [...lineOf(metadata, head)];
    const needed = branch === MAIN_BRANCH ? needsUpTo(line) : 0;
    for (const [i, snapshot] of line.entries()) {
      const young = snapshot["timestamp-ms"] > now - maxSnapshotAgeMs;
      const stays = i <= needed || i < minSnapshots || (young && i < maxSnapshots);
      if (!stays) break;
      kept.add(snapshot["snapshot-id"]);
    }
  }
  const snapshots = metadata.snapshots.filter((one) => kept.has(one["snapshot-id"]));
  if (snapshots.length === metadata.snapshots.length) return undefined;
  return {
    ...metadata,
    "last-updated-ms": Math.max(now, metadata["last-updated-ms"]),
    snapshots,
    "snapshot-log": metadata["snapshot-log"].filter((entry) => kept.has(entry["snapshot-id"])),
  };
}

/** A snapshot and those before it, newest first. */
function* lineOf(metadata: TableMetadata, head: bigint): Generator<Snapshot> {
  const seen = new Set<bigint>();
  let snapshot = snapshotById(metadata, head);
  while (snapshot !== undefined && !seen.has(snapshot["snapshot-id"])) {
    seen.add(snapshot["snapshot-id"]);
    yield snapshot;
    snapshot = snapshotById(metadata, snapshot["parent-snapshot-id"]);
  }
}

/** How far down a line the newest marks of LakeSync are that what comes next is planned by. */
function needsUpTo(line: readonly Snapshot[]): number {
  const marks = [EPOCH_PROPERTY, CHANGES_SEQUENCE_PROPERTY];
  return Math.max(
    0,
    ...marks.map((mark) => line.findIndex(({ summary }) => Object.hasOwn(summary, mark))),
  );
}
