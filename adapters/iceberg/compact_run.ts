import { type Clock, err, ok, type Random, type Result } from "@lakesync/core";
import type { TableSchema } from "@lakesync/core";
import type { Catalogue } from "./catalogue.ts";
import type { CompactOutcome } from "./compact.ts";
import type { CompactionEngine, EngineFile } from "./compact_engine.ts";
import { branchFiles, changeFields, engineFiles, foreign } from "./compact_files.ts";
import {
  CHANGES_SEQUENCE_PROPERTY,
  CHANGES_SNAPSHOT_PROPERTY,
  CHANGES_UUID_PROPERTY,
  foldedFrom,
  foldedUpTo,
} from "./compact_marks.ts";
import { type DeleteForm, FoldWriter } from "./compact_write.ts";
import { newSchemaPlan } from "./lake_schema.ts";
import { fileKey, type ManifestEntry } from "./manifest.ts";
import { currentSnapshot, type Snapshot, type TableMetadata } from "./metadata.ts";
import { watermarkOf, watermarkProperties } from "./metadata.ts";
import { changesTable, schemaEntry, withSchema } from "./snapshot.ts";
import { branchParts, MAIN_BRANCH, withReplacement } from "./state_commit.ts";
import { bucketSpec, emptyState, HIDDEN_BRANCH, STATE_LAYOUT, statePlan } from "./state_schema.ts";
import { presentSchema, type TableVersion } from "./table.ts";

/** A file's worth: with smaller ones the files themselves take more time than what is in them. */
const ROWS_OF_BUCKET = 131_072;
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
  readonly deletes: "rewrite" | DeleteForm;
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
    // Somebody made the table meanwhile and has filled it: what is to be folded follows from that.
    if (state.value === undefined && currentSnapshot(base.value.metadata) !== undefined) {
      return ok({ status: "lost" });
    }
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
    const { catalogue, engine, table, signal, clock, random, deletes } = this.#options;
    const spec = bucketSpec(table, base.metadata);
    if (!spec.ok) return spec;
    const plan = statePlan(table, base.metadata, schema);
    if (!plan.ok) return plan;
    const { columns } = plan.value;
    let metadata = withSchema(base.metadata, plan.value);
    if (deletes === "vectors") metadata = withVectors(metadata);
    const live = await branchFiles(catalogue, { table, metadata, branch: MAIN_BRANCH });
    if (!live.ok) return live;
    const hidden = await branchFiles(catalogue, { table, metadata, branch: HIDDEN_BRANCH });
    if (!hidden.ok) return hidden;
    const changes = engineFiles(entries, {
      table: changesTable({ table }),
      metadata: version.metadata,
    });
    if (!changes.ok) return changes;
    const made = foldedFrom(base.metadata);
    const anew = made !== undefined && made !== version.metadata["table-uuid"];
    const none: ReadonlyMap<number, EngineFile[]> = new Map();
    const job = {
      store: catalogue.store,
      columns,
      schema: schemaEntry(metadata),
      buckets: spec.value.buckets,
      changes: changes.value,
      changeFields: changeFields(version.metadata, columns),
      live: anew ? none : live.value.data,
      liveDeletes: anew ? none : live.value.deletes,
      hidden: anew ? none : hidden.value.data,
      stays: deletes !== "rewrite",
      ...(signal !== undefined && { signal }),
    };
    const writer = new FoldWriter({
      catalogue,
      random,
      table,
      metadata,
      job,
      // Format version 3 takes no more files of positions.
      form: deletes === "equality"
        ? deletes
        : metadata["format-version"] === 2
        ? "positions"
        : "vectors",
      made: this.#made,
      signal,
    });
    if (anew) {
      // What a changelog that is gone said may contradict the new one: rows are made of that alone.
      for (const [kind, { parts }] of [["live", live.value], ["hidden", hidden.value]] as const) {
        for (const { file } of parts.flatMap((part) => part.entries)) {
          writer[kind].removed.add(fileKey(file));
        }
      }
    }
    let written: Result<void> = ok(undefined);
    try {
      for await (const folded of engine.fold(job)) {
        written = await writer.add(folded);
        if (!written.ok) break;
      }
    } finally {
      const ended = await writer.end();
      if (written.ok) written = ended;
    }
    if (!written.ok) return written;
    const ports = { catalogue, random, now: clock.now(), made: this.#made };
    const watermark = watermarkOf(version.metadata);
    for (const kind of ["hidden", "live"] as const) {
      const { added, removed } = writer[kind];
      const nothing = added.length === 0 && removed.size === 0;
      if (kind === "hidden" && nothing) continue;
      const next = await withReplacement(
        ports,
        { metadata, parts: kind === "live" ? live.value.parts : hidden.value.parts },
        {
          table,
          branch: kind === "live" ? MAIN_BRANCH : HIDDEN_BRANCH,
          spec: spec.value.spec,
          removed,
          added: added.map((file) => ({ file, sequenceNumber: null })),
          operation: "overwrite",
          summary: {
            ...(watermark !== undefined && watermarkProperties(watermark)),
            [CHANGES_UUID_PROPERTY]: version.metadata["table-uuid"],
            [CHANGES_SNAPSHOT_PROPERTY]: String(snapshot["snapshot-id"]),
            [CHANGES_SEQUENCE_PROPERTY]: String(snapshot["sequence-number"]),
          },
        },
      );
      if (!next.ok) return next;
      metadata = next.value;
    }
    return ok({ next: metadata, buckets: writer.buckets, bytes: writer.bytes });
  }
}

/** The metadata in the format version that has deletion vectors. */
function withVectors(metadata: TableMetadata): TableMetadata {
  if (metadata["format-version"] === 3) return metadata;
  return { ...metadata, "format-version": 3, "next-row-id": 0n };
}
