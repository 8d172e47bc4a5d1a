import type { ManifestInfo } from "./manifest.ts";
import type { Snapshot, TableMetadata } from "./metadata.ts";

/** What a snapshot of format version 3 says of the ids of rows. */
export interface NumberedRows {
  readonly manifests: readonly ManifestInfo[];
  /** What the snapshot says of them. */
  readonly snapshot: Pick<Snapshot, "first-row-id" | "added-rows">;
  /** What the table says of them afterwards. */
  readonly table: Pick<TableMetadata, "next-row-id">;
}

/**
 * Gives the rows of manifests ids, as far as they have none. A row that was changed, or came to
 * another file, counts as a new one.
 *
 * @param next The table's next id; undefined where its format version knows no ids.
 *
 * @see {@link https://iceberg.apache.org/spec/#row-lineage | Iceberg, Row Lineage}
 */
export function numberRows(
  manifests: readonly ManifestInfo[],
  next: bigint | undefined,
): NumberedRows {
  if (next === undefined) return { manifests, snapshot: {}, table: {} };
  let rowId = next;
  const numbered = manifests.map((info): ManifestInfo => {
    if (info.content !== 0 || info.firstRowId !== undefined) return info;
    const firstRowId = rowId;
    rowId += info.addedRows + info.existingRows;
    return { ...info, firstRowId };
  });
  return {
    manifests: numbered,
    snapshot: { "first-row-id": next, "added-rows": rowId - next },
    table: { "next-row-id": rowId },
  };
}
