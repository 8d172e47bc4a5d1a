import type { Cell } from "./_cells.ts";
import type { CompactionJob, EngineFile } from "./compact_engine.ts";
import { FIELD } from "./lake_schema.ts";
import { readColumns } from "./parquet_read.ts";
import { bucketOf } from "./state_bucket.ts";

/** Changes of some buckets, column by column. */
export interface Changes {
  /** The places of each bucket's changes. */
  readonly places: ReadonlyMap<number, readonly number[]>;
  readonly id: readonly string[];
  readonly op: readonly string[];
  /** The stamps, as signed longs. */
  readonly hlc: readonly bigint[];
  readonly clientId: readonly string[];
  /** The names of the columns that each carries, comma-separated. */
  readonly carried: readonly (string | null)[];
  /** The app's columns, in the job's order. */
  readonly cells: readonly (readonly Cell[])[];
}

/** The bytes of an object; throws what went wrong. */
export async function readFile(
  { store, signal }: Pick<CompactionJob, "store" | "signal">,
  { key }: EngineFile,
): Promise<Uint8Array> {
  const bytes = await store.get(key, signal === undefined ? {} : { signal });
  if (!bytes.ok) throw bytes.error;
  return bytes.value;
}

/** Some buckets whose changes are read at once. */
export interface BucketGroup {
  /** The places of their changes in one of the job's files; undefined: all of them. */
  placesIn(file: number): readonly number[] | undefined;
}

/**
 * Parts the buckets with changes into groups of at most so many changes, as far as a bucket alone has
 * not more.
 */
export async function groupBuckets(
  job: CompactionJob,
  limit: number,
): Promise<readonly BucketGroup[]> {
  const total = job.changes.reduce((sum, { file }) => sum + Number(file.rows), 0);
  if (total <= limit) return [{ placesIn: () => undefined }];
  const counts = new Uint32Array(job.buckets);
  // Two bytes a change are kept, so that each pass makes only the texts that it is for.
  const bucketsIn: Uint16Array[] = [];
  for (const one of job.changes) {
    const { rows, columns } = await readColumns(await readFile(job, one), { fieldIds: [FIELD.id] });
    const ids = columns.get(FIELD.id) as ArrayLike<string>;
    const buckets = new Uint16Array(rows);
    for (let i = 0; i < rows; i++) counts[buckets[i] = bucketOf(ids[i]!, job.buckets)]!++;
    bucketsIn.push(buckets);
  }
  const groups: Set<number>[] = [];
  let left = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count === 0) continue;
    if (count > left || groups.length === 0) {
      groups.push(new Set());
      left = limit;
    }
    groups.at(-1)!.add(bucket);
    left -= count;
  }
  return groups.map((buckets) => ({
    placesIn(file) {
      const places: number[] = [];
      for (const [place, bucket] of bucketsIn[file]!.entries()) {
        if (buckets.has(bucket)) places.push(place);
      }
      return places;
    },
  }));
}

/** The changes of a group of buckets. */
export async function readChanges(
  job: CompactionJob,
  group: BucketGroup,
): Promise<Changes> {
  const places = new Map<number, number[]>();
  const id: string[] = [];
  const op: string[] = [];
  const hlc: bigint[] = [];
  const clientId: string[] = [];
  const carried: (string | null)[] = [];
  const cells: Cell[][] = job.columns.map(() => []);
  const fields = job.columns.map(({ column }) => job.changeFields.get(column.name));
  const own = [FIELD.id, FIELD.op, FIELD.hlc, FIELD.clientId, FIELD.columns];
  const wanted = [...own, ...fields.filter((field) => field !== undefined)];
  for (const [file, one] of job.changes.entries()) {
    const selected = group.placesIn(file);
    if (selected?.length === 0) continue;
    const { rows, columns } = await readColumns(await readFile(job, one), {
      fieldIds: wanted,
      ...(selected !== undefined && { places: selected }),
    });
    const texts = (field: number) => columns.get(field) as ArrayLike<string>;
    const ids = texts(FIELD.id);
    const ops = texts(FIELD.op);
    const stamps = columns.get(FIELD.hlc) as ArrayLike<bigint>;
    const makers = texts(FIELD.clientId);
    const names = columns.get(FIELD.columns) as ArrayLike<string | undefined> | undefined;
    const values = fields.map((field) => field === undefined ? undefined : columns.get(field));
    for (let row = 0; row < rows; row++) {
      const bucket = bucketOf(ids[row]!, job.buckets);
      let list = places.get(bucket);
      if (list === undefined) places.set(bucket, list = []);
      list.push(id.length);
      id.push(ids[row]!);
      op.push(ops[row]!);
      hlc.push(stamps[row]!);
      clientId.push(makers[row]!);
      carried.push(names?.[row] ?? null);
      for (let i = 0; i < values.length; i++) cells[i]!.push(values[i]?.[row] ?? null);
    }
  }
  return { places, id, op, hlc, clientId, carried, cells };
}
