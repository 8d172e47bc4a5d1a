import { ok, type Random, type Result } from "@lakesync/core";
import type { Catalogue } from "./catalogue.ts";
import { presentManifests, readEntries } from "./commit.ts";
import {
  type DataFile,
  encodeManifest,
  encodeManifestList,
  fileKey,
  type ManifestEntry,
  type ManifestInfo,
  manifestInfo,
} from "./manifest.ts";
import { type PartitionSpec, type Snapshot, snapshotById, type TableMetadata } from "./metadata.ts";
import { newSnapshotId, schemaEntry } from "./snapshot.ts";
import { numberRows } from "./state_lineage.ts";
import { countsOf } from "./state_summary.ts";

/** The name of a table's own branch. */
export const MAIN_BRANCH = "main";

/** What a snapshot is made with. */
export interface SnapshotPorts {
  readonly catalogue: Catalogue;
  readonly random: Random;
  /** The time, in ms. */
  readonly now: number;
  /** The keys of what was written go into it. */
  readonly made: string[];
}

/** What a snapshot makes of a branch. */
export interface Replacement {
  /** The table's name in the lake. */
  readonly table: string;
  /** Which branch. */
  readonly branch: string;
  /** How new files are partitioned. */
  readonly spec: PartitionSpec;
  /** The files that are no part of it any more, by their keys (`fileKey`). */
  readonly removed: ReadonlySet<string>;
  /** New files; each with the sequence number that it is to have, where that is not the snapshot's. */
  readonly added: readonly { readonly file: DataFile; readonly sequenceNumber: bigint | null }[];
  /** `overwrite`, or `replace` where the rows stay the same. */
  readonly operation: "overwrite" | "replace";
  /** More of its summary. */
  readonly summary: { readonly [property: string]: string };
}

/** A manifest and the files in it that are there. */
export interface ManifestPart {
  readonly info: ManifestInfo;
  readonly entries: readonly ManifestEntry[];
}

/** Manifests of this size and above are left alone while all their files stay. */
const LARGE_MANIFEST_BYTES = 4n * 1024n * 1024n;
/** The most entries of a manifest: about 4 to 8 MB. */
const MANIFEST_ENTRIES = 8192;

/** The snapshot that a branch is at. */
export function branchSnapshot(metadata: TableMetadata, branch: string): Snapshot | undefined {
  const id = branch === MAIN_BRANCH
    ? metadata["current-snapshot-id"]
    : metadata.refs?.[branch]?.["snapshot-id"];
  return snapshotById(metadata, id);
}

/**
 * The manifests of a branch with their files.
 *
 * @throws {RangeError} Where a manifest is damaged.
 */
export async function branchParts(
  { store }: Catalogue,
  { table, metadata, branch }: { table: string; metadata: TableMetadata; branch: string },
): Promise<Result<readonly ManifestPart[]>> {
  const snapshot = branchSnapshot(metadata, branch);
  if (snapshot === undefined) return ok([]);
  const manifests = await presentManifests(store, { table, metadata }, snapshot);
  if (!manifests.ok) return manifests;
  const parts: ManifestPart[] = [];
  for (const info of manifests.value) {
    const entries = await readEntries(store, { table, metadata, manifests: [info] });
    if (!entries.ok) return entries;
    parts.push({ info, entries: entries.value });
  }
  return ok(parts);
}

/**
 * The metadata with a branch one snapshot further: some files replaced, its manifests merged.
 *
 * @param parts What {@linkcode branchParts} found, of this metadata.
 */
export async function withReplacement(
  ports: SnapshotPorts,
  { metadata, parts }: { metadata: TableMetadata; parts: readonly ManifestPart[] },
  replacement: Replacement,
): Promise<Result<TableMetadata>> {
  const { table, branch, spec, removed, added, operation } = replacement;
  const { catalogue: { store }, random, made } = ports;
  const parent = branchSnapshot(metadata, branch);
  const snapshotId = newSnapshotId(random);
  const sequenceNumber = metadata["last-sequence-number"] + 1n;
  const uuid = random.uuid();
  const put = async (name: string, bytes: Uint8Array): Promise<Result<string>> => {
    const key = `${table}/metadata/${name}`;
    made.push(key);
    const result = await store.put(key, bytes);
    return result.ok ? ok(`${metadata.location}/metadata/${name}`) : result;
  };
  const isKept = ({ info, entries }: ManifestPart): boolean =>
    info.length >= LARGE_MANIFEST_BYTES && info.specId === spec["spec-id"] &&
    info.deletedFiles === 0 && !entries.some(({ file }) => removed.has(fileKey(file)));
  const kept = parts.filter(isKept);
  const entries = [
    ...added.map(({ file, sequenceNumber }): ManifestEntry => ({
      status: 1,
      snapshotId,
      sequenceNumber,
      fileSequenceNumber: null,
      file,
    })),
    ...parts.filter((part) => !isKept(part)).flatMap((part) => part.entries).map((
      entry,
    ): ManifestEntry =>
      removed.has(fileKey(entry.file)) ? goneEntry(entry, snapshotId) : { ...entry, status: 0 }
    ),
  ];
  const manifests = kept.map(({ info }) => info);
  const version = metadata["format-version"];
  for (const some of chunksOf(entries)) {
    const bytes = encodeManifest(some, {
      schema: schemaEntry(metadata),
      spec,
      sync: random.bytes(16),
      version,
    });
    const path = await put(`${uuid}-m${manifests.length}.avro`, bytes);
    if (!path.ok) return path;
    manifests.push(manifestInfo(some, {
      path: path.value,
      length: bytes.length,
      specId: spec["spec-id"],
      snapshotId,
      sequenceNumber,
    }));
  }
  const numbered = numberRows(manifests, metadata["next-row-id"]);
  const list = await put(
    `snap-${snapshotId}-1-${uuid}.avro`,
    encodeManifestList(numbered.manifests, {
      snapshotId,
      parentId: parent?.["snapshot-id"],
      sequenceNumber,
      sync: random.bytes(16),
      version,
    }),
  );
  if (!list.ok) return list;
  const at = Math.max(ports.now, metadata["last-updated-ms"]);
  const snapshot: Snapshot = {
    "snapshot-id": snapshotId,
    ...(parent !== undefined && { "parent-snapshot-id": parent["snapshot-id"] }),
    "sequence-number": sequenceNumber,
    "timestamp-ms": at,
    "manifest-list": list.value,
    summary: {
      operation,
      ...countsOf([...entries, ...kept.flatMap((part) => part.entries)]),
      ...replacement.summary,
    },
    "schema-id": metadata["current-schema-id"],
    ...numbered.snapshot,
  };
  const isMain = branch === MAIN_BRANCH;
  return ok({
    ...metadata,
    ...numbered.table,
    "last-sequence-number": sequenceNumber,
    "last-updated-ms": at,
    ...(isMain && { "current-snapshot-id": snapshotId }),
    refs: { ...metadata.refs, [branch]: { "snapshot-id": snapshotId, type: "branch" } },
    snapshots: [...metadata.snapshots, snapshot],
    ...(isMain && {
      "snapshot-log": [
        ...metadata["snapshot-log"],
        { "timestamp-ms": at, "snapshot-id": snapshotId },
      ],
    }),
  });
}

/** The entry of a file that is gone; nobody plans by its statistics any more. */
function goneEntry(entry: ManifestEntry, snapshotId: bigint): ManifestEntry {
  const nothing = new Map<number, never>();
  const file: DataFile = {
    ...entry.file,
    columnSizes: nothing,
    valueCounts: nothing,
    nullCounts: nothing,
    lowerBounds: nothing,
    upperBounds: nothing,
    splitOffsets: [],
  };
  return { ...entry, status: 2, snapshotId, file };
}

/** Entries as they go into manifests: data and deletes apart, and not too many in one. */
function* chunksOf(entries: readonly ManifestEntry[]): Generator<readonly ManifestEntry[]> {
  for (const content of [0, 1]) {
    const list = entries.filter(({ file }) => Math.min(file.content ?? 0, 1) === content);
    for (let start = 0; start < list.length; start += MANIFEST_ENTRIES) {
      yield list.slice(start, start + MANIFEST_ENTRIES);
    }
  }
}
