import { ancestry, type Snapshot, type TableMetadata } from "./metadata.ts";

/** Which changelog a state table's snapshot is made from. */
export const CHANGES_UUID_PROPERTY = "lakesync.changes-uuid";
/** Which of the changelog's snapshots is folded in. */
export const CHANGES_SNAPSHOT_PROPERTY = "lakesync.changes-snapshot";
/** That snapshot's sequence number. */
export const CHANGES_SEQUENCE_PROPERTY = "lakesync.changes-sequence";

/** The sequence number up to which a changelog is folded into a state table. */
export function foldedUpTo(state: TableMetadata | undefined, changelog: string): bigint {
  const summary = state && foldedMarks(state);
  if (summary?.[CHANGES_UUID_PROPERTY] !== changelog) return 0n;
  return BigInt(summary[CHANGES_SEQUENCE_PROPERTY]!);
}

/** The uuid of the changelog that a state table is made of; undefined where it is empty. */
export function foldedFrom(state: TableMetadata): string | undefined {
  return foldedMarks(state)?.[CHANGES_UUID_PROPERTY];
}

function foldedMarks(state: TableMetadata): Snapshot["summary"] | undefined {
  for (const { summary } of ancestry(state)) {
    if (/^\d+$/.test(summary[CHANGES_SEQUENCE_PROPERTY] ?? "")) return summary;
  }
  return undefined;
}
