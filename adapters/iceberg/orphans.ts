import { ok, type Result } from "@lakesync/core";
import type { Catalogue } from "./catalogue.ts";
import { presentManifests, readEntries } from "./commit.ts";
import { keyOf } from "./location.ts";
import type { TableMetadata } from "./metadata.ts";
import { type TableVersion, versionKey, versionOf } from "./table.ts";

/** What {@linkcode removeOrphans} needs to know. */
export interface OrphanOptions {
  /** The table's name in the lake. */
  readonly table: string;
  /** Only files that were last written before this time, in ms, are removed. */
  readonly before: number;
  /** Whether somebody else needs a file. */
  readonly inUse: (key: string) => boolean;
  /** Only count. */
  readonly dryRun: boolean;
  /** Stops it between deletions. */
  readonly signal: AbortSignal | undefined;
}

/** What was removed. */
export interface RemovedOrphans {
  /** How many files. */
  readonly files: number;
  /** Their bytes. */
  readonly bytes: number;
}

/**
 * Removes a table's files that nothing of its newest version names: of its `data/` and `metadata/`
 * folders, and only old ones, as the newest may be part of a commit that is under way.
 *
 * Old `vN.metadata.json` go one by one, the oldest first: where one is gone all before it are. So who
 * looks for the newest version from an old one on does not take a gap for the end.
 *
 * @throws {RangeError} Where a manifest is damaged.
 */
export async function removeOrphans(
  catalogue: Catalogue,
  { table, before, inUse, dryRun, signal }: OrphanOptions,
): Promise<Result<RemovedOrphans>> {
  const { store } = catalogue;
  const version = await catalogue.load(table);
  if (!version.ok) return version;
  const nothing = { files: 0, bytes: 0 };
  if (version.value === undefined) return ok(nothing);
  const named = await namedKeys(catalogue, table, version.value);
  if (!named.ok) return named;
  const removed = { ...nothing };
  const versions: { readonly key: string; readonly number: number }[] = [];
  for (const folder of ["data", "metadata"]) {
    let after: string | undefined;
    do {
      const page = await store.list(`${table}/${folder}/`, {
        ...(after !== undefined && { after }),
        ...(signal !== undefined && { signal }),
      });
      if (!page.ok) return page;
      const orphans = page.value.objects.filter(({ key, modified }) =>
        modified < before && !named.value.has(key) && !inUse(key)
      );
      const keys: string[] = [];
      for (const { key, size } of orphans) {
        const number = versionOf(key);
        if (number !== undefined && number < version.value.number) versions.push({ key, number });
        else if (/\.(?:parquet|avro|puffin)$/.test(key)) keys.push(key);
        else continue;
        removed.files++;
        removed.bytes += size;
      }
      if (!dryRun && keys.length > 0) {
        const deleted = await store.delete(keys);
        if (!deleted.ok) return deleted;
      }
      after = page.value.next;
    } while (after !== undefined);
  }
  versions.sort((a, b) => a.number - b.number);
  for (const { key } of dryRun ? [] : versions) {
    const deleted = await store.delete([key]);
    if (!deleted.ok) return deleted;
  }
  return ok(removed);
}

/** The keys of all that a version names: its snapshots' files, and earlier metadata. */
async function namedKeys(
  { store }: Catalogue,
  table: string,
  { number, metadata }: TableVersion,
): Promise<Result<ReadonlySet<string>>> {
  const keys = new Set<string>([versionKey(table, number)]);
  const add = (url: string): void => {
    const key = keyOf(url, { table, location: metadata.location });
    // What lies elsewhere is in no folder that is looked through.
    if (key.ok) keys.add(key.value);
  };
  for (const entry of metadata["metadata-log"]) add(entry["metadata-file"]);
  const seen = new Set<string>();
  for (const snapshot of metadata.snapshots) {
    add(snapshot["manifest-list"]);
    const manifests = await presentManifests(store, { table, metadata }, snapshot);
    if (!manifests.ok) return manifests;
    for (const info of manifests.value) {
      if (seen.has(info.path)) continue;
      seen.add(info.path);
      add(info.path);
      const entries = await readEntries(store, { table, metadata, manifests: [info] });
      if (!entries.ok) return entries;
      for (const { file } of entries.value) add(file.path);
    }
  }
  for (const url of statisticsOf(metadata)) add(url);
  return ok(keys);
}

/** Statistics that other engines may have added. */
function statisticsOf(metadata: TableMetadata): string[] {
  return ["statistics", "partition-statistics"].flatMap((name) => {
    const list: unknown = Reflect.get(metadata, name);
    return Array.isArray(list)
      ? list.map((one: { readonly "statistics-path"?: unknown }) => String(one["statistics-path"]))
      : [];
  });
}
