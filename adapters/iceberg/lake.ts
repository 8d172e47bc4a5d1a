import {
  type ColumnType,
  err,
  type LakeFile,
  type LakeReader,
  LakeSyncError,
  type ObjectStore,
  ok,
  type Result,
} from "@lakesync/core";
import { readLongBound } from "./bounds.ts";
import { catalogueOf, type LakePlace } from "./catalogue_files.ts";
import { damaged, presentManifests, readEntries, type TableRef } from "./commit.ts";
import { FIELD } from "./lake_schema.ts";
import { keyOf } from "./location.ts";
import type { DataFile } from "./manifest.ts";
import {
  currentSnapshot,
  type Snapshot,
  snapshotById,
  type TableMetadata,
  watermarkOf,
} from "./metadata.ts";
import { presentSchema } from "./table.ts";

/** Options of {@linkcode icebergLake}. */
export type IcebergLakeOptions = LakePlace;

/**
 * Reads the tables of a lake that {@linkcode icebergDestination} writes.
 *
 * A scan answers `NOT_FOUND` where there is no such table or its metadata does not know the
 * snapshot (any more: the newest 20 are known), `CORRUPT` where its files are damaged, `CONFLICT`
 * where somebody else made it or deleted rows in it.
 *
 * @param options The lake's store, or its catalogue.
 * @returns The reader. `types` of a scan has the columns' names in the app.
 *
 * @example An empty lake
 * ```ts
 * import { icebergLake } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(unwrapOrThrow(await icebergLake({ store: memoryObjectStore() }).tables()), []);
 * ```
 */
export function icebergLake(options: IcebergLakeOptions): LakeReader {
  const catalogue = catalogueOf(options);
  return {
    tables: () => catalogue.list(),

    async scan(table, options = {}) {
      const version = await catalogue.load(table);
      if (!version.ok) return version;
      if (version.value === undefined) {
        return err(new LakeSyncError("NOT_FOUND", `The lake has no table "${table}"`));
      }
      const { metadata } = version.value;
      const { snapshotId } = options;
      const snapshot = snapshotId === undefined
        ? currentSnapshot(metadata)
        : snapshotById(metadata, snapshotId);
      if (snapshotId !== undefined && snapshot === undefined) {
        return err(
          new LakeSyncError(
            "NOT_FOUND",
            `Table "${table}" knows no snapshot ${snapshotId}: choose one of the newest, or read the rows by _hlc`,
          ),
        );
      }
      const schema = presentSchema(table, metadata);
      if (!schema.ok) return schema;
      const files = await filesOf(catalogue.store, { table, metadata }, snapshot);
      if (!files.ok) return files;
      const at = snapshot === undefined
        ? metadata
        : { ...metadata, "current-snapshot-id": snapshot["snapshot-id"] };
      return ok({
        columns: fieldsOf(metadata, snapshot).map(({ id, name, type }) => ({
          fieldId: id,
          name,
          type,
        })),
        types: new Map<string, ColumnType>(
          schema.value.columns.map(({ name, type }) => [name, type]),
        ),
        files: files.value,
        snapshotId: snapshot?.["snapshot-id"],
        watermark: watermarkOf(at),
      });
    },
  };
}

/** The schema that a snapshot was made with. */
function fieldsOf(metadata: TableMetadata, snapshot: Snapshot | undefined) {
  const id = snapshot?.["schema-id"] ?? metadata["current-schema-id"];
  return metadata.schemas.find((schema) => schema["schema-id"] === id)?.fields ?? [];
}

async function filesOf(
  store: ObjectStore,
  ref: TableRef,
  snapshot: Snapshot | undefined,
): Promise<Result<LakeFile[]>> {
  try {
    const manifests = await presentManifests(store, ref, snapshot);
    if (!manifests.ok) return manifests;
    if (manifests.value.some(({ content }) => content !== 0)) {
      return err(
        new LakeSyncError(
          "CONFLICT",
          `Cannot read "${ref.table}": somebody deleted rows in it, which nothing may do in a changelog; roll it back`,
        ),
      );
    }
    const entries = await readEntries(store, { ...ref, manifests: manifests.value });
    if (!entries.ok) return entries;
    const files: LakeFile[] = [];
    for (const { file } of entries.value) {
      const key = keyOf(file.path, { table: ref.table, location: ref.metadata.location });
      if (!key.ok) return key;
      files.push({
        url: file.path,
        key: key.value,
        rows: Number(file.rows),
        bytes: Number(file.bytes),
        hlc: hlcRange(file),
      });
    }
    return ok(files);
  } catch (thrown) {
    if (thrown instanceof RangeError) return err(damaged(ref.table, thrown));
    throw thrown;
  }
}

function hlcRange({ lowerBounds, upperBounds }: DataFile): LakeFile["hlc"] {
  const min = readLongBound(lowerBounds.get(FIELD.hlc) ?? new Uint8Array());
  const max = readLongBound(upperBounds.get(FIELD.hlc) ?? new Uint8Array());
  // A stamp of the year 6429 or later is a negative long.
  if (min === undefined || max === undefined || min < 0n) return undefined;
  return { min: min.toString(), max: max.toString() };
}
