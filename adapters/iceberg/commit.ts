import { type Clock, err, LakeSyncError, type ObjectStore, ok } from "@lakesync/core";
import { type Random, type Result, toLakeSyncError, type Watermark } from "@lakesync/core";
import type { SchemaPlan } from "./lake_schema.ts";
import { keyOf } from "./location.ts";
import {
  type DataFile,
  decodeManifest,
  decodeManifestList,
  encodeManifest,
  encodeManifestList,
  type ManifestEntry,
  type ManifestInfo,
  manifestInfo,
} from "./manifest.ts";
import { currentSnapshot, type PartitionSpec, type TableMetadata } from "./metadata.ts";
import { daySpec, newSnapshotId, schemaEntry, withSchema, withSnapshot } from "./snapshot.ts";
import { putHint, putVersion, type TableVersion, versionKey } from "./table.ts";

/** So many small manifests are merged into one. */
export const MERGE_MANIFESTS = 100;

/** Manifests below this size are small. */
const SMALL_MANIFEST_BYTES = 8n * 1024n * 1024n;

/** What a commit is made with. */
export interface CommitPorts {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
}

/** Data files that are to become part of a table. */
export interface Append {
  /** The table's name in the lake. */
  readonly table: string;
  /** The schema that the files were written by. */
  readonly plan: SchemaPlan;
  /** The files. */
  readonly files: readonly DataFile[];
  /** The batch that they are of. */
  readonly batchId: string;
  /** How far the table is with them. */
  readonly watermark: Watermark;
}

/** What became of an {@linkcode appendFiles}. */
export type AppendOutcome =
  /** The files are part of the table. */
  | { readonly status: "committed"; readonly version: TableVersion }
  /** Somebody else committed; the files are not part of the table. */
  | { readonly status: "lost" }
  /** The files are not part of the table. */
  | { readonly status: "failed"; readonly error: LakeSyncError }
  /** The files may be part of the table: none of them may be removed. */
  | { readonly status: "unknown"; readonly error: LakeSyncError };

/**
 * Commits files on top of one version of a table: a manifest, a manifest list and the next version
 * of the metadata, which is put only where nobody put one. Many small manifests are merged on the
 * way. On `lost` and `failed` what was written for the commit is removed again.
 *
 * @param base The version to commit on: its number is 0 for a new table.
 */
export async function appendFiles(
  ports: CommitPorts,
  base: TableVersion,
  append: Append,
): Promise<AppendOutcome> {
  const made: string[] = [];
  try {
    const next = await nextVersion(ports, base, { append, made });
    if (!next.ok) return await undo(ports, made, { status: "failed", error: next.error });
    const outcome = await putVersion(ports.store, append.table, next.value);
    if (outcome === "lost") return await undo(ports, made, { status: "lost" });
    if (typeof outcome === "object") return { status: "unknown", error: outcome.unknown };
    await putHint(ports.store, append.table, next.value.number);
    return { status: "committed", version: next.value };
  } catch (thrown) {
    // Reading what others wrote; the next version was not put yet.
    const error = thrown instanceof RangeError
      ? damaged(append.table, thrown)
      : toLakeSyncError(thrown, "INTERNAL");
    return await undo(ports, made, { status: "failed", error });
  }
}

async function undo(
  { store }: CommitPorts,
  made: readonly string[],
  outcome: AppendOutcome,
): Promise<AppendOutcome> {
  // What cannot be removed is an orphan that no metadata names.
  await store.delete(made);
  return outcome;
}

/** Writes everything but the metadata itself; the keys of what it wrote go into `made`. */
async function nextVersion(
  { store, clock, random }: CommitPorts,
  base: TableVersion,
  { append, made }: { append: Append; made: string[] },
): Promise<Result<TableVersion>> {
  const { table, files } = append;
  const metadata = withSchema(base.metadata, append.plan);
  const spec = daySpec(metadata);
  if (!spec.ok) return spec;
  const snapshotId = newSnapshotId(random);
  const sequenceNumber = metadata["last-sequence-number"] + 1n;
  const folder = `${metadata.location}/metadata`;

  const putFile = async (name: string, bytes: Uint8Array): Promise<Result<string>> => {
    const key = `${table}/metadata/${name}`;
    made.push(key);
    const put = await store.put(key, bytes);
    return put.ok ? ok(`${folder}/${name}`) : put;
  };
  const putManifest = async (
    entries: readonly ManifestEntry[],
    name: string,
  ): Promise<Result<ManifestInfo>> => {
    const bytes = encodeManifest(entries, {
      schema: schemaEntry(metadata),
      spec: spec.value,
      sync: random.bytes(16),
    });
    const path = await putFile(name, bytes);
    if (!path.ok) return path;
    return ok(manifestInfo(entries, {
      path: path.value,
      length: bytes.length,
      specId: spec.value["spec-id"],
      snapshotId,
      sequenceNumber,
    }));
  };

  const uuid = random.uuid();
  const added = await putManifest(
    files.map((file) => addedEntry(file, snapshotId)),
    `${uuid}-m0.avro`,
  );
  if (!added.ok) return added;
  const earlier = await presentManifests(store, { table, metadata });
  if (!earlier.ok) return earlier;
  let kept = earlier.value;
  const small = kept.filter((info) => isSmall(info, spec.value));
  if (small.length >= MERGE_MANIFESTS) {
    const entries = await readEntries(store, { table, metadata, manifests: small });
    if (!entries.ok) return entries;
    const merged = await putManifest(entries.value, `${uuid}-m1.avro`);
    if (!merged.ok) return merged;
    kept = [merged.value, ...kept.filter((info) => !small.includes(info))];
  }
  const list = await putFile(
    `snap-${snapshotId}-1-${uuid}.avro`,
    encodeManifestList([added.value, ...kept], {
      snapshotId,
      parentId: currentSnapshot(metadata)?.["snapshot-id"],
      sequenceNumber,
      sync: random.bytes(16),
    }),
  );
  if (!list.ok) return list;
  const next = withSnapshot(metadata, {
    snapshotId,
    manifestList: list.value,
    batchId: append.batchId,
    watermark: append.watermark,
    files: files.length,
    rows: files.reduce((sum, { rows }) => sum + rows, 0n),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0n),
    partitions: new Set(files.map(({ day }) => day)).size,
  }, {
    now: clock.now(),
    file: base.number === 0 ? undefined : `${metadata.location}${versionKey("", base.number)}`,
  });
  return ok({ number: base.number + 1, metadata: next });
}

function addedEntry(file: DataFile, snapshotId: bigint): ManifestEntry {
  return { status: 1, snapshotId, sequenceNumber: null, fileSequenceNumber: null, file };
}

function isSmall(info: ManifestInfo, spec: PartitionSpec): boolean {
  return info.content === 0 && info.specId === spec["spec-id"] &&
    info.length < SMALL_MANIFEST_BYTES;
}

/** A table of which something is to be read. */
export interface TableRef {
  /** Its name in the lake. */
  readonly table: string;
  /** Its metadata. */
  readonly metadata: TableMetadata;
}

/**
 * The manifests of a snapshot, by default of the current one.
 *
 * @throws {RangeError} Where the manifest list is damaged.
 */
export async function presentManifests(
  store: ObjectStore,
  { table, metadata }: TableRef,
  snapshot: { readonly "manifest-list": string } | undefined = currentSnapshot(metadata),
): Promise<Result<readonly ManifestInfo[]>> {
  if (snapshot === undefined) return ok([]);
  const key = keyOf(snapshot["manifest-list"], { table, location: metadata.location });
  if (!key.ok) return key;
  const bytes = await store.get(key.value);
  return bytes.ok ? ok(await decodeManifestList(bytes.value)) : gone(bytes.error);
}

/**
 * The entries of manifests that are still there, each with its own ids and numbers.
 *
 * @throws {RangeError} Where a manifest is damaged.
 */
export async function readEntries(
  store: ObjectStore,
  { table, metadata, manifests }: TableRef & { readonly manifests: readonly ManifestInfo[] },
): Promise<Result<readonly ManifestEntry[]>> {
  const entries: ManifestEntry[] = [];
  for (const info of manifests) {
    const key = keyOf(info.path, { table, location: metadata.location });
    if (!key.ok) return key;
    const bytes = await store.get(key.value);
    if (!bytes.ok) return gone(bytes.error);
    for (const entry of await decodeManifest(bytes.value)) {
      if (entry.status === 2) continue;
      entries.push({
        status: 0,
        snapshotId: entry.snapshotId ?? info.addedSnapshotId,
        sequenceNumber: entry.sequenceNumber ?? info.sequenceNumber,
        fileSequenceNumber: entry.fileSequenceNumber ?? info.sequenceNumber,
        file: entry.file,
      });
    }
  }
  return ok(entries);
}

/** What is told of a table whose manifests cannot be read. */
export function damaged(table: string, cause: RangeError): LakeSyncError {
  return new LakeSyncError(
    "CORRUPT",
    `Cannot read a manifest of "${table}": ${cause.message}; restore the file or move the table away`,
    { cause },
  );
}

/** A file that the metadata names and that is not there makes the table a damaged one. */
function gone(error: LakeSyncError): Result<never> {
  if (error.code !== "NOT_FOUND") return err(error);
  return err(
    new LakeSyncError("CORRUPT", `${error.message}, though the table names it; restore the file`, {
      cause: error,
    }),
  );
}
