import type { Cell } from "./_cells.ts";
import { LakeSyncError } from "@lakesync/core";
import type { BucketChanges } from "./compact_bucket.ts";
import { ChangeList, type Changes } from "./compact_change_list.ts";
import type { CompactionJob, EngineFile } from "./compact_engine.ts";
import { PartedChanges } from "./compact_parted.ts";
import { FIELD } from "./lake_schema.ts";
import { readColumns } from "./parquet_read.ts";
import { bucketOf } from "./state_bucket.ts";

/** The bytes of an object; throws what went wrong. */
export async function readFile(
  { store, signal }: Pick<CompactionJob, "store" | "signal">,
  { key }: EngineFile,
): Promise<Uint8Array> {
  const bytes = await store.get(key, signal === undefined ? {} : { signal });
  if (!bytes.ok) throw bytes.error;
  return bytes.value;
}

/** The changes in one of the job's files. */
async function readChanges(job: CompactionJob, one: EngineFile): Promise<Changes> {
  const fields = job.columns.map(({ column }) => job.changeFields.get(column.name));
  const own = [FIELD.id, FIELD.op, FIELD.hlc, FIELD.clientId, FIELD.columns];
  const { rows, columns } = await readColumns(await readFile(job, one), {
    fieldIds: [...own, ...fields.filter((field) => field !== undefined)],
  });
  const required = <T extends Cell>(field: number): ArrayLike<T> => {
    const cells = columns.get(field);
    if (cells === undefined && rows > 0) throw new RangeError("a changelog's file lacks a column");
    return (cells ?? []) as ArrayLike<T>;
  };
  const optional = <T extends Cell>(field: number | undefined): (T | null)[] => {
    const cells = field === undefined ? undefined : columns.get(field);
    return Array.from({ length: rows }, (_, row) => (cells?.[row] ?? null) as T | null);
  };
  const id = required<string>(FIELD.id);
  const bucket = new Uint16Array(rows);
  for (let row = 0; row < rows; row++) bucket[row] = bucketOf(id[row]!, job.buckets);
  return {
    bucket,
    id,
    op: required(FIELD.op),
    hlc: required(FIELD.hlc),
    clientId: required(FIELD.clientId),
    carried: optional<string>(FIELD.columns),
    cells: fields.map((field) => optional(field)),
  };
}

/** About how many changes an engine holds at once, where nothing is said. */
export const CHANGES_AT_ONCE = 250_000;

/**
 * The buckets with changes, each once. It throws what goes wrong, `ABORTED` between two of them.
 *
 * Where there are more changes than may be held, they are first parted by groups of buckets, into
 * temporary files: each file of the changelog is read once.
 *
 * @param atOnce About how many changes are held at once.
 */
export async function* bucketsOf(
  job: CompactionJob,
  atOnce: number,
): AsyncGenerator<BucketChanges> {
  const total = job.changes.reduce((sum, { file }) => sum + Number(file.rows), 0);
  const columns = job.columns.length;
  if (total <= atOnce) {
    const all = new ChangeList(columns);
    for (const one of job.changes) all.addAll(await readChanges(job, one));
    return yield* bucketsIn(job, all);
  }
  const groups = Math.min(job.buckets, Math.ceil(total / atOnce));
  const groupOf = (bucket: number) => Math.floor(bucket * groups / job.buckets);
  const parted = await PartedChanges.open(columns);
  try {
    for (const one of job.changes) {
      stopIfAborted(job);
      await parted.add(await readChanges(job, one), groupOf);
    }
    for (const group of parted.groups()) yield* bucketsIn(job, await parted.read(group));
  } finally {
    await parted.close();
  }
}

function* bucketsIn(job: CompactionJob, changes: ChangeList): Generator<BucketChanges> {
  for (const [bucket, places] of changes.places()) {
    stopIfAborted(job);
    yield { bucket, changes, places };
  }
}

function stopIfAborted({ signal }: CompactionJob): void {
  if (signal?.aborted !== true) return;
  throw new LakeSyncError("ABORTED", "Stopped a compaction: its signal was aborted", {
    cause: signal.reason,
  });
}
