import { type Clock, err, LakeSyncError, ok, type Random, type Result } from "@lakesync/core";
import type { TableSchema } from "@lakesync/core";
import type { Catalogue } from "./catalogue.ts";
import type { CompactOutcome } from "./compact.ts";
import type { CompactionEngine, EngineFile, FoldedFile } from "./compact_engine.ts";
import { lakeColumnName, type LakeField, newSchemaPlan } from "./lake_schema.ts";
import { keyOf } from "./location.ts";
import type { DataFile, ManifestEntry } from "./manifest.ts";
import { currentFields, currentSnapshot, type Snapshot, type TableMetadata } from "./metadata.ts";
import { ancestry, EPOCH_PROPERTY, SEQ_PROPERTY, watermarkOf } from "./metadata.ts";
import { changesTable, schemaEntry, withSchema } from "./snapshot.ts";
import { encodeDeletes } from "./state_deletes.ts";
import { branchParts, MAIN_BRANCH, type ManifestPart, withReplacement } from "./state_commit.ts";
import { bucketSpec, emptyState, HIDDEN_BRANCH, STATE_LAYOUT } from "./state_schema.ts";
import { STATE_SORT_ORDER_ID, statePlan } from "./state_schema.ts";
import { presentSchema, type TableVersion } from "./table.ts";

/** Which changelog a state table's snapshot is made from. */
export const CHANGES_UUID_PROPERTY = "lakesync.changes-uuid";
/** Which of the changelog's snapshots is folded in. */
export const CHANGES_SNAPSHOT_PROPERTY = "lakesync.changes-snapshot";
/** That snapshot's sequence number. */
export const CHANGES_SEQUENCE_PROPERTY = "lakesync.changes-sequence";

const ROWS_OF_BUCKET = 50_000;
const BYTES_OF_BUCKET = 32 * 1024 * 1024;
const LEAST_BUCKETS = 16;
const MOST_BUCKETS = 4096;

/** What a compaction is made with. */
export interface CompactionOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly random: Random;
  readonly engine: CompactionEngine;
  readonly table: string;
  readonly buckets: number | undefined;
  readonly positions: boolean;
  readonly signal: AbortSignal | undefined;
}

/** The part of a changelog that is folded. */
interface Changelog {
  readonly version: TableVersion;
  /** The app's schema that it stands for. */
  readonly schema: TableSchema;
  readonly snapshot: Snapshot;
  readonly entries: readonly ManifestEntry[];
}

/** One attempt of a compaction. */
export class Compaction {
  readonly #options: CompactionOptions;
  /** The keys of what was written and is no part of the table. */
  #made: string[] = [];

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** Removes what was written for a commit that did not come about. */
  async discard(): Promise<void> {
    // What cannot be removed is an orphan that no metadata names.
    if (this.#made.length > 0) await this.#options.catalogue.store.delete(this.#made);
    this.#made = [];
  }

  /** Does it; `lost` where somebody else committed meanwhile. Throws `RangeError` on damage. */
  async run(dryRun: boolean): Promise<Result<CompactOutcome | { readonly status: "lost" }>> {
    const { catalogue, table } = this.#options;
    const state = await catalogue.load(table);
    if (!state.ok) return state;
    const changelog = await this.#changelog(state.value?.metadata);
    if (!changelog.ok) return changelog;
    if (changelog.value === undefined) return ok({ status: "absent" });
    const { version, schema, entries } = changelog.value;
    const watermark = watermarkOf(version.metadata);
    if (entries.length === 0) return ok({ status: "current", watermark });
    const changes = entries.reduce((sum, { file }) => sum + Number(file.rows), 0);
    if (dryRun) return ok({ status: "compacted", watermark, changes, buckets: 0, bytes: 0 });

    const base = state.value === undefined ? await this.#create(schema, entries) : ok(state.value);
    if (!base.ok) return base;
    const folded = await this.#fold(base.value, changelog.value);
    if (!folded.ok) return folded;
    const { next, buckets, bytes } = folded.value;
    const outcome = await catalogue.commit(table, base.value, next);
    switch (outcome.status) {
      case "committed":
        this.#made = [];
        return ok({ status: "compacted", watermark, changes, buckets, bytes });
      case "lost":
        return ok({ status: "lost" });
      case "unknown":
        this.#made = [];
        return err(outcome.error);
      case "failed":
        return err(outcome.error);
    }
  }

  /** The changelog's files that the state table does not have yet. */
  async #changelog(state: TableMetadata | undefined): Promise<Result<Changelog | undefined>> {
    const { catalogue } = this.#options;
    const table = changesTable(this.#options);
    const version = await catalogue.load(table);
    if (!version.ok) return version;
    const snapshot = version.value && currentSnapshot(version.value.metadata);
    if (version.value === undefined || snapshot === undefined) return ok(undefined);
    const { metadata } = version.value;
    // An app's own table may have a name like a changelog's: it is somebody else's rows then.
    const schema = presentSchema(table, metadata);
    if (!schema.ok) return schema;
    if (schema.value.table !== this.#options.table) return ok(undefined);
    const parts = await branchParts(catalogue, { table, metadata, branch: MAIN_BRANCH });
    if (!parts.ok) return parts;
    if (parts.value.some(({ info }) => info.content !== 0)) return foreign(table);
    // A file that somebody rewrote is read once more: to merge a change again changes nothing.
    const from = foldedUpTo(state, metadata["table-uuid"]);
    const entries = parts.value.flatMap((part) => part.entries)
      .filter(({ sequenceNumber }) => sequenceNumber! > from);
    return ok({ version: version.value, schema: schema.value, snapshot, entries });
  }

  async #create(
    schema: TableSchema,
    entries: readonly ManifestEntry[],
  ): Promise<Result<TableVersion>> {
    const { catalogue, clock, random, table } = this.#options;
    let { buckets } = this.#options;
    if (buckets === undefined) {
      const rows = entries.reduce((sum, { file }) => sum + Number(file.rows), 0);
      const bytes = entries.reduce((sum, { file }) => sum + Number(file.bytes), 0);
      buckets = LEAST_BUCKETS;
      const wanted = Math.max(rows / ROWS_OF_BUCKET, bytes / BYTES_OF_BUCKET);
      while (buckets < wanted && buckets < MOST_BUCKETS) buckets *= 2;
    }
    const draft = emptyState(newSchemaPlan(schema, STATE_LAYOUT), {
      buckets,
      uuid: random.uuid(),
      now: clock.now(),
    });
    return await catalogue.create(table, draft);
  }

  async #fold(
    base: TableVersion,
    { version, schema, snapshot, entries }: Changelog,
  ): Promise<Result<{ next: TableMetadata; buckets: number; bytes: number }>> {
    const { catalogue, engine, table, signal, clock, random } = this.#options;
    const spec = bucketSpec(table, base.metadata);
    if (!spec.ok) return spec;
    const plan = statePlan(table, base.metadata, schema);
    if (!plan.ok) return plan;
    const { columns } = plan.value;
    let metadata = withSchema(base.metadata, plan.value);
    const live = await this.#branch(metadata, MAIN_BRANCH);
    if (!live.ok) return live;
    const hidden = await this.#branch(metadata, HIDDEN_BRANCH);
    if (!hidden.ok) return hidden;
    const changes = engineFiles(entries, changesTable({ table }), version.metadata);
    if (!changes.ok) return changes;
    const added = { live: [] as DataFile[], hidden: [] as DataFile[] };
    const removed = { live: new Set<string>(), hidden: new Set<string>() };
    let buckets = 0;
    const anew = foldedFrom(base.metadata) !== undefined &&
      foldedFrom(base.metadata) !== version.metadata["table-uuid"];
    if (anew) {
      // What a changelog that is gone said may contradict the new one: rows are made of that alone.
      for (const [kind, { parts }] of [["live", live.value], ["hidden", hidden.value]] as const) {
        for (const { entries } of parts) {
          for (const { file } of entries) removed[kind].add(file.path);
        }
      }
    }
    const none: ReadonlyMap<number, EngineFile[]> = new Map();
    const job = {
      store: catalogue.store,
      columns,
      schema: schemaEntry(metadata),
      buckets: spec.value.buckets,
      changes: changes.value,
      changeFields: changeFields(version.metadata, columns),
      live: anew ? none : live.value.byBucket,
      liveDeletes: anew ? none : live.value.deletes,
      positions: this.#options.positions,
      hidden: anew ? none : hidden.value.byBucket,
      ...(signal !== undefined && { signal }),
    };
    for await (const folded of engine.fold(job)) {
      const { bucket } = folded;
      if (folded.live !== undefined || folded.hidden !== undefined) buckets++;
      for (const kind of ["live", "hidden"] as const) {
        const files = folded[kind];
        if (files === undefined) continue;
        const deleted = kind === "live" ? folded.deleted : undefined;
        if (deleted === undefined) {
          const old = [...job[kind].get(bucket) ?? []];
          if (kind === "live") old.push(...job.liveDeletes.get(bucket) ?? []);
          for (const { file } of old) removed[kind].add(file.path);
        } else if (deleted.size > 0) {
          const put = await this.#putFile(encodeDeletes(deleted), {
            bucket,
            kind: "deletes",
            metadata,
          });
          if (!put.ok) return put;
          added[kind].push(put.value);
        }
        for (const file of files) {
          const put = await this.#putFile(file, { bucket, kind, metadata });
          if (!put.ok) return put;
          added[kind].push(put.value);
        }
      }
    }
    const ports = { catalogue, random, now: clock.now(), made: this.#made };
    const watermark = watermarkOf(version.metadata);
    for (const kind of ["hidden", "live"] as const) {
      const nothing = added[kind].length === 0 && removed[kind].size === 0;
      if (kind === "hidden" && nothing) continue;
      const next = await withReplacement(
        ports,
        { metadata, parts: kind === "live" ? live.value.parts : hidden.value.parts },
        {
          table,
          branch: kind === "live" ? MAIN_BRANCH : HIDDEN_BRANCH,
          spec: spec.value.spec,
          removed: removed[kind],
          added: added[kind].map((file) => ({ file, sequenceNumber: null })),
          operation: "overwrite",
          summary: {
            ...(watermark !== undefined && {
              [EPOCH_PROPERTY]: watermark.epoch,
              [SEQ_PROPERTY]: String(watermark.seq),
            }),
            [CHANGES_UUID_PROPERTY]: version.metadata["table-uuid"],
            [CHANGES_SNAPSHOT_PROPERTY]: String(snapshot["snapshot-id"]),
            [CHANGES_SEQUENCE_PROPERTY]: String(snapshot["sequence-number"]),
          },
        },
      );
      if (!next.ok) return next;
      metadata = next.value;
    }
    const bytes = [...added.live, ...added.hidden].reduce((sum, file) => sum + file.bytes, 0n);
    return ok({ next: metadata, buckets, bytes: Number(bytes) });
  }

  async #branch(
    metadata: TableMetadata,
    branch: string,
  ): Promise<
    Result<{
      parts: readonly ManifestPart[];
      byBucket: ReadonlyMap<number, EngineFile[]>;
      deletes: ReadonlyMap<number, EngineFile[]>;
    }>
  > {
    const { catalogue, table } = this.#options;
    const parts = await branchParts(catalogue, { table, metadata, branch });
    if (!parts.ok) return parts;
    // Deletes of another kind than ours.
    const strange = parts.value.some(({ info, entries }) =>
      info.content !== 0 && entries.some(({ file }) => file.content !== 1)
    );
    if (strange) return foreign(table);
    const all = engineFiles(parts.value.flatMap((part) => part.entries), table, metadata);
    if (!all.ok) return all;
    const byBucket = new Map<number, EngineFile[]>();
    const deletes = new Map<number, EngineFile[]>();
    for (const one of all.value) {
      const bucket = one.file.partition;
      if (bucket === null) return foreign(table);
      const map = one.file.content === 1 ? deletes : byBucket;
      const list = map.get(bucket);
      if (list === undefined) map.set(bucket, [one]);
      else list.push(one);
    }
    return ok({ parts: parts.value, byBucket, deletes });
  }

  async #putFile(
    { bytes, rows, metrics }: FoldedFile,
    { bucket, kind, metadata }: {
      bucket: number;
      kind: "live" | "hidden" | "deletes";
      metadata: TableMetadata;
    },
  ): Promise<Result<DataFile>> {
    const { catalogue, random, table, signal } = this.#options;
    const name = `data/id_bucket=${bucket}/${kind}-${random.uuid()}.parquet`;
    this.#made.push(`${table}/${name}`);
    const put = await catalogue.store.put(
      `${table}/${name}`,
      bytes,
      signal === undefined ? {} : { signal },
    );
    if (!put.ok) return put;
    return ok({
      path: `${metadata.location}/${name}`,
      partition: bucket,
      rows: BigInt(rows),
      bytes: BigInt(bytes.length),
      sortOrderId: kind === "deletes" ? null : STATE_SORT_ORDER_ID,
      ...(kind === "deletes" && { content: 1 as const }),
      ...metrics,
    });
  }
}

/** The sequence number up to which a changelog is folded into a state table. */
export function foldedUpTo(state: TableMetadata | undefined, changelog: string): bigint {
  const summary = state && foldedMarks(state);
  if (summary?.[CHANGES_UUID_PROPERTY] !== changelog) return 0n;
  return BigInt(summary[CHANGES_SEQUENCE_PROPERTY]!);
}

/** The uuid of the changelog that a state table is made of; undefined where it is empty. */
function foldedFrom(state: TableMetadata): string | undefined {
  return foldedMarks(state)?.[CHANGES_UUID_PROPERTY];
}

function foldedMarks(state: TableMetadata): Snapshot["summary"] | undefined {
  for (const { summary } of ancestry(state)) {
    if (/^\d+$/.test(summary[CHANGES_SEQUENCE_PROPERTY] ?? "")) return summary;
  }
  return undefined;
}

/** The field ids in a changelog of the app's columns. */
function changeFields(
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

function engineFiles(
  entries: readonly ManifestEntry[],
  table: string,
  { location }: TableMetadata,
): Result<EngineFile[]> {
  const files: EngineFile[] = [];
  for (const { file } of entries) {
    const key = keyOf(file.path, { table, location });
    if (!key.ok) return key;
    files.push({ key: key.value, file });
  }
  return ok(files);
}

function foreign(table: string): Result<never> {
  return err(
    new LakeSyncError(
      "CONFLICT",
      `Cannot compact with "${table}": somebody deleted rows in it or changed its partitions, which nothing may do; roll it back`,
    ),
  );
}
