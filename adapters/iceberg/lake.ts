import {
  type ColumnType,
  compareCodePoints,
  err,
  type LakeFile,
  type LakeReader,
  LakeSyncError,
  type ObjectStore,
  ok,
  type Result,
} from "@lakesync/core";
import { readLongBound, readTextBound } from "./bounds.ts";
import { catalogueOf, type LakePlace } from "./catalogue_files.ts";
import { engineFiles } from "./compact_files.ts";
import { damaged, presentManifests, readEntries, type TableRef } from "./commit.ts";
import { goneReader } from "./lake_gone.ts";
import type { DataFile } from "./manifest.ts";
import {
  currentSnapshot,
  type Snapshot,
  snapshotById,
  type TableMetadata,
  watermarkOf,
} from "./metadata.ts";
import { bucketOf } from "./state_bucket.ts";
import { KIND_PROPERTY, STATE_FIELD } from "./state_schema.ts";
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
    const isState = ref.metadata.properties[KIND_PROPERTY] === "state";
    if (!isState && manifests.value.some(({ content }) => content !== 0)) {
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
    const buckets = bucketsOf(ref.metadata);
    const fields = new Map(fieldsOf(ref.metadata, snapshot).map(({ id, name }) => [name, id]));
    const all = engineFiles(entries.value, ref);
    if (!all.ok) return all;
    const goneOf = goneReader(store, { table: ref.table, files: all.value });
    for (const one of all.value) {
      const { key, file } = one;
      if ((file.content ?? 0) !== 0) continue;
      const gone = goneOf(one);
      files.push({
        url: file.path,
        key,
        rows: Number(file.rows),
        bytes: Number(file.bytes),
        ...rangesOf(file, { fields, buckets }),
        ...(gone !== undefined && { gone }),
      });
    }
    return ok(files);
  } catch (thrown) {
    if (thrown instanceof RangeError) return err(damaged(ref.table, thrown));
    throw thrown;
  }
}

/** How many buckets of `id` a table's files are parted into; undefined where they are not. */
function bucketsOf({ "partition-specs": specs }: TableMetadata): number | undefined {
  const [spec, ...others] = specs;
  const [field, ...more] = spec?.fields ?? [];
  if (others.length > 0 || more.length > 0 || field?.["source-id"] !== STATE_FIELD.id) {
    return undefined;
  }
  const count = /^bucket\[([1-9][0-9]*)\]$/.exec(field.transform)?.[1];
  return count === undefined ? undefined : Number(count);
}

/** What a manifest tells of a file's stamps, ids and times. */
function rangesOf(
  { lowerBounds, upperBounds, partition }: DataFile,
  { fields, buckets }: { fields: ReadonlyMap<string, number>; buckets: number | undefined },
): Pick<LakeFile, "hlc" | "mayHave" | "committed"> {
  const range = <T>(name: string, read: (bytes: Uint8Array) => T | undefined) => {
    const field = fields.get(name);
    const lower = field === undefined ? undefined : lowerBounds.get(field);
    const upper = field === undefined ? undefined : upperBounds.get(field);
    return { min: lower && read(lower), max: upper && read(upper) };
  };
  const hlc = range("_hlc", readLongBound);
  const ids = range("id", readTextBound);
  const { min: from, max: to } = range("_commit_ts", readLongBound);
  return {
    // A stamp of the year 6429 or later is a negative long.
    hlc: hlc.min === undefined || hlc.max === undefined || hlc.min < 0n
      ? undefined
      : { min: hlc.min.toString(), max: hlc.max.toString() },
    mayHave: (id) =>
      (ids.min === undefined || compareCodePoints(id, ids.min) >= 0) &&
      (ids.max === undefined || compareCodePoints(id, ids.max) <= 0) &&
      (buckets === undefined || partition === null || bucketOf(id, buckets) === partition),
    ...(from !== undefined && to !== undefined &&
      { committed: { min: Number(from), max: Number(to) } }),
  };
}
