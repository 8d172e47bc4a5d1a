import { type Clock, err, LakeSyncError, ok, type Random, type Result } from "@lakesync/core";
import type { Catalogue } from "./catalogue.ts";
import { foldedUpTo } from "./compact_marks.ts";
import { CHANGE_FIELDS, type SchemaPlan } from "./lake_schema.ts";
import { evolveSchemaPlan } from "./lake_schema.ts";
import { keyOf } from "./location.ts";
import type { DataFile, ManifestEntry } from "./manifest.ts";
import { ancestry, currentFields, EPOCH_PROPERTY, type TableMetadata } from "./metadata.ts";
import { BATCH_PROPERTY, HASH_PROPERTY, SEQ_PROPERTY } from "./metadata.ts";
import { mergeFiles } from "./rewrite_merge.ts";
import { changesTable, daySpec, SORT_ORDER_ID } from "./snapshot.ts";
import { branchParts, MAIN_BRANCH, type ManifestPart, withReplacement } from "./state_commit.ts";
import { presentSchema, type TableVersion } from "./table.ts";
import { FILE_ROWS } from "./_table_write.ts";

/** A merged file has at most about so many bytes. */
const FILE_BYTES = 16 * 1024 * 1024;
/** Fewer small files than this wait for more. */
const LEAST_FILES = 8;
/** More manifests than this are merged. */
const MOST_MANIFESTS = 10;
/** How often a commit is tried while others commit. */
const COMMIT_TRIES = 20;

/** What {@linkcode rewriteChanges} needs to know. */
export interface RewriteOptions {
  /** The app's table. */
  readonly table: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Only count. */
  readonly dryRun: boolean;
  /** Stops it between files. */
  readonly signal: AbortSignal | undefined;
}

/** What was rewritten. */
export interface Rewritten {
  /** Small files that were replaced. */
  readonly files: number;
  /** Files that they became. */
  readonly into: number;
  /** Manifests that were merged. */
  readonly manifests: number;
}

/** Files that become one. */
interface Group {
  readonly day: number;
  readonly entries: readonly ManifestEntry[];
  /** Their data is as old as the newest of them. */
  readonly sequenceNumber: bigint;
}

/**
 * Merges a changelog's small files, of one day each, and its manifests. Rows and watermark stay as
 * they are. Flushes may go on meanwhile: where one commits first, the files that were made are
 * committed on top of it, as long as those that they replace are still there.
 *
 * @throws {RangeError} Where a file is damaged.
 */
export async function rewriteChanges(
  catalogue: Catalogue,
  options: RewriteOptions,
): Promise<Result<Rewritten>> {
  const { clock, random, dryRun, signal } = options;
  const { store } = catalogue;
  const table = changesTable(options);
  const nothing = { files: 0, into: 0, manifests: 0 };
  const first = await load(catalogue, table);
  if (!first.ok || first.value === undefined) return first.ok ? ok(nothing) : first;
  let { version, parts } = first.value;
  const plan = planOf(table, version.metadata);
  // Columns that somebody else added would be lost.
  if (!plan.ok || plan.value === undefined) return plan.ok ? ok(nothing) : plan;
  const state = await catalogue.load(options.table);
  if (!state.ok) return state;
  const folded = foldedUpTo(state.value?.metadata, version.metadata["table-uuid"]);
  const groups = groupsOf(parts, folded);
  const manifests = parts.length > MOST_MANIFESTS ? parts.length : 0;
  const files = groups.reduce((sum, { entries }) => sum + entries.length, 0);
  const outcome = { files, into: groups.length, manifests };
  if (dryRun || (groups.length === 0 && manifests === 0)) return ok(outcome);

  const data: string[] = [];
  const added: { file: DataFile; sequenceNumber: bigint }[] = [];
  const removed = new Set<string>();
  const write = async (): Promise<Result<void>> => {
    for (const { day, entries, sequenceNumber } of groups) {
      if (signal?.aborted === true) return stopped(signal);
      const merged = await mergeFiles(store, {
        keys: entries.map(({ file }) => keyIn(file.path, table, version.metadata)),
        plan: plan.value!,
        metadata: version.metadata,
      });
      const date = new Date(day * 86_400_000).toISOString().slice(0, 10);
      const name = `data/_commit_ts_day=${date}/${random.uuid()}.parquet`;
      data.push(`${table}/${name}`);
      const put = await store.put(`${table}/${name}`, merged.bytes);
      if (!put.ok) return put;
      const file: DataFile = {
        path: `${version.metadata.location}/${name}`,
        partition: day,
        rows: entries.reduce((sum, { file }) => sum + file.rows, 0n),
        bytes: BigInt(merged.bytes.length),
        sortOrderId: SORT_ORDER_ID,
        ...merged.metrics,
      };
      added.push({ file, sequenceNumber });
      for (const { file } of entries) removed.add(file.path);
    }
    return ok(undefined);
  };
  let result: Result<Rewritten> | undefined;
  let unknown = false;
  try {
    const written = await write();
    if (!written.ok) return result = written;
    for (let attempt = 0; attempt < COMMIT_TRIES; attempt++) {
      const made: string[] = [];
      const spec = daySpec(version.metadata);
      if (!spec.ok) return result = spec;
      const next = await withReplacement(
        { catalogue, random, now: clock.now(), made },
        { metadata: version.metadata, parts },
        {
          table,
          branch: MAIN_BRANCH,
          spec: spec.value,
          removed,
          added,
          operation: "replace",
          summary: marksOf(version.metadata),
        },
      );
      const commit = next.ok ? await catalogue.commit(table, version, next.value) : next;
      if ("ok" in commit) {
        await store.delete(made);
        return result = commit as Result<never>;
      }
      if (commit.status === "committed") return result = ok(outcome);
      if (commit.status === "unknown") {
        unknown = true;
        return result = err(commit.error);
      }
      await store.delete(made);
      if (commit.status === "failed") return result = err(commit.error);
      const newest = await load(catalogue, table, version);
      if (!newest.ok) return result = newest;
      if (newest.value === undefined || !fits(newest.value.parts, removed)) break;
      const { metadata } = newest.value.version;
      if (metadata["current-schema-id"] !== version.metadata["current-schema-id"]) break;
      ({ version, parts } = newest.value);
    }
    return result = err(
      new LakeSyncError(
        "CONFLICT",
        `Cannot merge the small files of "${table}": others committed to it meanwhile, try again`,
      ),
    );
  } finally {
    if (result?.ok !== true && !unknown && data.length > 0) await store.delete(data);
  }
}

async function load(
  catalogue: Catalogue,
  table: string,
  known?: TableVersion,
): Promise<
  Result<{ version: TableVersion; parts: readonly ManifestPart[] } | undefined>
> {
  const version = await catalogue.load(table, known);
  if (!version.ok || version.value === undefined) return version as Result<undefined>;
  const { metadata } = version.value;
  const parts = await branchParts(catalogue, { table, metadata, branch: MAIN_BRANCH });
  if (!parts.ok) return parts;
  return ok({ version: version.value, parts: parts.value });
}

/** The schema to write by; undefined where the table has columns that LakeSync does not know. */
function planOf(table: string, metadata: TableMetadata): Result<SchemaPlan | undefined> {
  const schema = presentSchema(table, metadata);
  if (!schema.ok) return schema;
  const fields = currentFields(metadata);
  const lastColumnId = metadata["last-column-id"];
  const plan = evolveSchemaPlan({ fields, schema: schema.value, lastColumnId }, schema.value);
  if (!plan.ok) return plan;
  const known = plan.value.columns.length + CHANGE_FIELDS.length === fields.length;
  return ok(known && plan.value.lastColumnId === lastColumnId ? plan.value : undefined);
}

/** Small files of one day, so many that they make a large one or that there are many of them. */
function groupsOf(parts: readonly ManifestPart[], folded: bigint): readonly Group[] {
  const places = new Map<string, ManifestEntry[]>();
  for (const entry of parts.flatMap(({ entries }) => entries)) {
    const { partition, rows, bytes } = entry.file;
    if (partition === null || rows * 2n > FILE_ROWS || bytes * 2n > FILE_BYTES) continue;
    // What compaction has seen stays apart from what it has not, or it would see it once more.
    const place = `${partition} ${entry.sequenceNumber! > folded}`;
    const list = places.get(place);
    if (list === undefined) places.set(place, [entry]);
    else list.push(entry);
  }
  const groups: Group[] = [];
  for (const list of places.values()) {
    list.sort((a, b) => Number(a.file.rows - b.file.rows));
    let some: ManifestEntry[] = [];
    let rows = 0n;
    let bytes = 0n;
    const end = (): void => {
      if (some.length > 1) {
        groups.push({
          day: some[0]!.file.partition!,
          entries: some,
          sequenceNumber: some.reduce(
            (max, { sequenceNumber }) => sequenceNumber! > max ? sequenceNumber! : max,
            0n,
          ),
        });
      }
      some = [];
      rows = 0n;
      bytes = 0n;
    };
    for (const entry of list) {
      if (rows + entry.file.rows > FILE_ROWS || bytes + entry.file.bytes > FILE_BYTES) end();
      some.push(entry);
      rows += entry.file.rows;
      bytes += entry.file.bytes;
    }
    if (some.length >= LEAST_FILES) end();
  }
  return groups;
}

function fits(parts: readonly ManifestPart[], removed: ReadonlySet<string>): boolean {
  let there = 0;
  for (const { entries } of parts) {
    for (const { file } of entries) if (removed.has(file.path)) there++;
  }
  return there === removed.size;
}

/** How far the table is, for the snapshot that follows. */
function marksOf(metadata: TableMetadata): { readonly [property: string]: string } {
  for (const { summary } of ancestry(metadata)) {
    if (summary[EPOCH_PROPERTY] === undefined) continue;
    return Object.fromEntries(
      [EPOCH_PROPERTY, SEQ_PROPERTY, HASH_PROPERTY, BATCH_PROPERTY].flatMap((mark) => {
        const value = summary[mark];
        return value === undefined ? [] : [[mark, value]];
      }),
    );
  }
  return {};
}

function keyIn(url: string, table: string, { location }: TableMetadata): string {
  const key = keyOf(url, { table, location });
  if (!key.ok) throw key.error;
  return key.value;
}

function stopped(signal: AbortSignal): Result<never> {
  return err(
    new LakeSyncError("ABORTED", "Stopped to merge small files: the signal was aborted", {
      cause: signal.reason,
    }),
  );
}
