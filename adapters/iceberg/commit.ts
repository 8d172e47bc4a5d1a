import { type Clock, err, LakeSyncError, type ObjectStore, ok } from "@lakesync/core";
import { type Random, type Result, toLakeSyncError, type Watermark } from "@lakesync/core";
import type { Catalogue, CommitOutcome } from "./catalogue.ts";
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
import type { TableVersion } from "./table.ts";

/** So many small manifests are merged into one. */
export const MERGE_MANIFESTS = 100;

/** Manifests below this size are small. */
const SMALL_MANIFEST_BYTES = 8n * 1024n * 1024n;

/** What a commit is made with. */
export interface CommitPorts {
  readonly catalogue: Catalogue;
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

/**
 * The commit of a batch's files to a table: a manifest, a manifest list and the next version of the
 * metadata. Many small manifests are merged on the way. Where others commit first it is tried again
 * on what is there then: the manifest stays, as it takes its sequence number from the list.
 */
export class AppendCommit {
  readonly #ports: CommitPorts;
  readonly #append: Append;
  readonly #snapshotId: bigint;
  readonly #uuid: string;
  #manifest:
    | { readonly header: string; readonly path: string; readonly length: number }
    | undefined;
  /** The keys of what was written and is no part of the table. */
  #made: string[] = [];
  #tries = 0;
  #manifests = 0;

  constructor(ports: CommitPorts, append: Append) {
    this.#ports = ports;
    this.#append = append;
    this.#snapshotId = newSnapshotId(ports.random);
    this.#uuid = ports.random.uuid();
  }

  /**
   * Commits on top of one version of the table. After `lost` it may be called again with a newer
   * one; after any other outcome it may not.
   */
  async on(base: TableVersion): Promise<CommitOutcome> {
    const { table } = this.#append;
    this.#tries++;
    const ofThisTry: string[] = [];
    try {
      const next = await this.#nextVersion(base, ofThisTry);
      if (!next.ok) return await this.#fail(next.error);
      const outcome = await this.#ports.catalogue.commit(table, base, next.value);
      if (outcome.status === "failed") return await this.#fail(outcome.error);
      if (outcome.status === "lost") {
        // What cannot be removed is an orphan that no metadata names.
        await this.#ports.catalogue.store.delete(ofThisTry);
        this.#made = this.#made.filter((key) => !ofThisTry.includes(key));
      } else {
        this.#made = [];
      }
      return outcome;
    } catch (thrown) {
      // Reading what others wrote; the next version was not committed yet.
      return await this.#fail(
        thrown instanceof RangeError ? damaged(table, thrown) : toLakeSyncError(thrown, "INTERNAL"),
      );
    }
  }

  /** Removes what was written for a commit that is given up. */
  async discard(): Promise<void> {
    await this.#ports.catalogue.store.delete(this.#made);
    this.#made = [];
  }

  async #fail(error: LakeSyncError): Promise<CommitOutcome> {
    await this.discard();
    return { status: "failed", error };
  }

  /** Writes everything but the metadata itself; what only this try can use goes into `ofThisTry`. */
  async #nextVersion(base: TableVersion, ofThisTry: string[]): Promise<Result<TableMetadata>> {
    const { catalogue: { store }, clock, random } = this.#ports;
    const { table, files, plan, batchId, watermark } = this.#append;
    const metadata = withSchema(base.metadata, plan);
    const spec = daySpec(metadata);
    if (!spec.ok) return spec;
    const added = await this.#addedManifest(metadata, spec.value);
    if (!added.ok) return added;
    const earlier = await presentManifests(store, { table, metadata });
    if (!earlier.ok) return earlier;
    let kept = earlier.value;
    const small = kept.filter((info) => isSmall(info, spec.value));
    if (small.length >= MERGE_MANIFESTS) {
      const entries = await readEntries(store, { table, metadata, manifests: small });
      if (!entries.ok) return entries;
      const merged = await this.#putManifest(entries.value, { metadata, spec: spec.value });
      if (!merged.ok) return merged;
      ofThisTry.push(merged.value.key);
      const info = this.#infoOf(merged.value, entries.value, { metadata, spec: spec.value });
      kept = [info, ...kept.filter((info) => !small.includes(info))];
    }
    const list = await this.#putFile(
      `snap-${this.#snapshotId}-${this.#tries}-${this.#uuid}.avro`,
      encodeManifestList([added.value, ...kept], {
        snapshotId: this.#snapshotId,
        parentId: currentSnapshot(metadata)?.["snapshot-id"],
        sequenceNumber: metadata["last-sequence-number"] + 1n,
        sync: random.bytes(16),
      }),
      metadata,
    );
    if (!list.ok) return list;
    ofThisTry.push(list.value.key);
    return ok(withSnapshot(metadata, {
      snapshotId: this.#snapshotId,
      manifestList: list.value.path,
      batchId,
      watermark,
      files: files.length,
      rows: files.reduce((sum, { rows }) => sum + rows, 0n),
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0n),
      partitions: new Set(files.map(({ partition }) => partition)).size,
    }, clock.now()));
  }

  /** The manifest of the batch's own files, written once for all tries by the same schema. */
  async #addedManifest(
    metadata: TableMetadata,
    spec: PartitionSpec,
  ): Promise<Result<ManifestInfo>> {
    const entries = this.#append.files.map((file) => addedEntry(file, this.#snapshotId));
    const header = JSON.stringify([metadata.location, schemaEntry(metadata), spec]);
    if (this.#manifest?.header !== header) {
      const put = await this.#putManifest(entries, { metadata, spec });
      if (!put.ok) return put;
      this.#manifest = { header, ...put.value };
    }
    return ok(this.#infoOf(this.#manifest, entries, { metadata, spec }));
  }

  async #putManifest(
    entries: readonly ManifestEntry[],
    { metadata, spec }: ManifestPlace,
  ): Promise<Result<PutFile>> {
    const bytes = encodeManifest(entries, {
      schema: schemaEntry(metadata),
      spec,
      sync: this.#ports.random.bytes(16),
    });
    return await this.#putFile(`${this.#uuid}-m${this.#manifests++}.avro`, bytes, metadata);
  }

  #infoOf(
    { path, length }: Pick<PutFile, "path" | "length">,
    entries: readonly ManifestEntry[],
    { metadata, spec }: ManifestPlace,
  ): ManifestInfo {
    return manifestInfo(entries, {
      path,
      length,
      specId: spec["spec-id"],
      snapshotId: this.#snapshotId,
      sequenceNumber: metadata["last-sequence-number"] + 1n,
    });
  }

  async #putFile(
    name: string,
    bytes: Uint8Array,
    { location }: TableMetadata,
  ): Promise<Result<PutFile>> {
    const key = `${this.#append.table}/metadata/${name}`;
    this.#made.push(key);
    const put = await this.#ports.catalogue.store.put(key, bytes);
    return put.ok ? ok({ key, path: `${location}/metadata/${name}`, length: bytes.length }) : put;
  }
}

/** A file that was put. */
interface PutFile {
  readonly key: string;
  /** Its URL. */
  readonly path: string;
  readonly length: number;
}

/** What a manifest is written for. */
interface ManifestPlace {
  readonly metadata: TableMetadata;
  readonly spec: PartitionSpec;
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
    let rowId = info.firstRowId;
    for (const entry of await decodeManifest(bytes.value)) {
      if (entry.status === 2) continue;
      let { file } = entry;
      if (rowId !== undefined && file.firstRowId === undefined) {
        file = { ...file, firstRowId: rowId };
        rowId += file.rows;
      }
      entries.push({
        status: 0,
        snapshotId: entry.snapshotId ?? info.addedSnapshotId,
        sequenceNumber: entry.sequenceNumber ?? info.sequenceNumber,
        fileSequenceNumber: entry.fileSequenceNumber ?? info.sequenceNumber,
        file,
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
