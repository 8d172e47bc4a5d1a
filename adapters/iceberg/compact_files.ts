import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import type { Catalogue } from "./catalogue.ts";
import type { EngineFile } from "./compact_engine.ts";
import { lakeColumnName, type LakeField } from "./lake_schema.ts";
import { keyOf } from "./location.ts";
import type { ManifestEntry } from "./manifest.ts";
import { currentFields, type TableMetadata } from "./metadata.ts";
import { branchParts, type ManifestPart } from "./state_commit.ts";
import { STATE_FIELD } from "./state_schema.ts";

/** A branch of a state table as compaction finds it. */
export interface BranchFiles {
  readonly parts: readonly ManifestPart[];
  /** Its files with rows, by bucket. */
  readonly data: ReadonlyMap<number, readonly EngineFile[]>;
  /** Its files that tell which of those rows are gone, by bucket. */
  readonly deletes: ReadonlyMap<number, readonly EngineFile[]>;
}

/**
 * The files of a branch; `CONFLICT` where there are such that LakeSync does not make.
 *
 * @throws {RangeError} Where a manifest is damaged.
 */
export async function branchFiles(
  catalogue: Catalogue,
  { table, metadata, branch }: { table: string; metadata: TableMetadata; branch: string },
): Promise<Result<BranchFiles>> {
  const parts = await branchParts(catalogue, { table, metadata, branch });
  if (!parts.ok) return parts;
  const all = engineFiles(parts.value.flatMap((part) => part.entries), { table, metadata });
  if (!all.ok) return all;
  const data = new Map<number, EngineFile[]>();
  const deletes = new Map<number, EngineFile[]>();
  for (const one of all.value) {
    const { partition: bucket, content = 0, equalityIds } = one.file;
    const strange = content === 2 && equalityIds?.join() !== String(STATE_FIELD.id);
    if (bucket === null || strange) return foreign(table);
    const map = content === 0 ? data : deletes;
    const list = map.get(bucket);
    if (list === undefined) map.set(bucket, [one]);
    else list.push(one);
  }
  return ok({ parts: parts.value, data, deletes });
}

/** Files with their keys. */
export function engineFiles(
  entries: readonly ManifestEntry[],
  { table, metadata: { location } }: { table: string; metadata: TableMetadata },
): Result<EngineFile[]> {
  const files: EngineFile[] = [];
  for (const { file, sequenceNumber } of entries) {
    const key = keyOf(file.path, { table, location });
    if (!key.ok) return key;
    files.push({ key: key.value, file, sequenceNumber: sequenceNumber ?? 0n });
  }
  return ok(files);
}

/** The field ids in a changelog of the app's columns. */
export function changeFields(
  changelog: TableMetadata,
  columns: readonly LakeField[],
): ReadonlyMap<string, number> {
  const ids = new Map(currentFields(changelog).map(({ name, id }) => [name.toLowerCase(), id]));
  const fields = new Map<string, number>();
  for (const { column } of columns) {
    const id = ids.get(lakeColumnName(column.name).toLowerCase());
    if (id !== undefined) fields.set(column.name, id);
  }
  return fields;
}

/** What is told of a table that somebody else changed. */
export function foreign(table: string): Result<never> {
  return err(
    new LakeSyncError(
      "CONFLICT",
      `Cannot compact with "${table}": somebody deleted rows in it or changed its partitions, which nothing may do; roll it back`,
    ),
  );
}
