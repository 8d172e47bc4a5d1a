import { emptyRow, isVisible, mergeState, type RowState } from "@lakesync/core";
import type { Changes } from "./compact_change_list.ts";
import { readFile } from "./compact_changes.ts";
import type { CompactionJob, EngineFile, FoldedBucket } from "./compact_engine.ts";
import { mergeChange, soleInsert } from "./compact_merge.ts";
import type { FoundRows } from "./parquet_find.ts";
import { findRows, type ReadColumns, readColumns } from "./parquet_read.ts";
import { rowAt, type StateFile, stateFile, StateRows } from "./state_columns.ts";
import { GoneRows } from "./compact_gone.ts";
import { fromStateRow, type StateRow, toStateRow } from "./state_row.ts";
import type { Positions } from "./state_deletes.ts";
import { STATE_FIELD, STATE_FIELDS } from "./state_schema.ts";

/** A bucket's files stay as long as no more than this part of their rows is gone … */
const GONE_PART = 8;
/** … and there are no more of them than this. */
const MOST_FILES = 16;

/** A bucket's changes. */
export interface BucketChanges {
  readonly bucket: number;
  readonly changes: Changes;
  /** Where the bucket's changes are among them. */
  readonly places: readonly number[];
}

/** A row as it was stored. */
interface Found {
  readonly state: RowState;
  /** Where it was among the rows that show. */
  readonly live: { readonly path: string; readonly row: number }[];
  /** Whether it was among those that do not. */
  hidden: boolean;
}

/**
 * Folds a bucket's changes into its rows. Throws what goes wrong.
 *
 * @param options Whether the files with the rows that show stay; by default where they may.
 * @throws {RangeError} Where a file is damaged.
 */
export async function foldBucket(
  job: CompactionJob,
  one: BucketChanges,
  options: { readonly stays?: boolean } = {},
): Promise<FoldedBucket> {
  const { stays = job.stays && mayStay(job, one) } = options;
  const fold = new BucketFold(job, one, stays);
  await fold.read();
  return fold.merge();
}

/** Whether so few of a bucket's rows are gone that its files may stay as they are. */
export function mayStay(job: CompactionJob, { bucket, changes, places }: BucketChanges): boolean {
  const files = job.live.get(bucket) ?? [];
  const deletes = job.liveDeletes.get(bucket) ?? [];
  const rowsOf = (list: readonly EngineFile[]) =>
    list.reduce((sum, { file }) => sum + Number(file.rows), 0);
  if (files.length >= MOST_FILES || deletes.length >= MOST_FILES) return false;
  const most = rowsOf(files) / GONE_PART - rowsOf(deletes);
  // Changes of the same row take out one: they are told apart where that matters.
  return places.length <= most || new Set(places.map((place) => changes.id[place])).size <= most;
}

class BucketFold {
  readonly #job: CompactionJob;
  readonly #bucket: number;
  readonly #changes: Changes;
  /** The places of each changed row's changes. */
  readonly #touched = new Map<string, number[]>();
  readonly #found = new Map<string, Found>();
  #gone = new GoneRows();
  readonly #live: StateRows;
  readonly #hidden: StateRows;
  /** Whether the files of the rows that show stay. */
  readonly #stays: boolean;

  constructor(job: CompactionJob, { bucket, changes, places }: BucketChanges, stays: boolean) {
    this.#job = job;
    this.#bucket = bucket;
    this.#changes = changes;
    for (const place of places) {
      const list = this.#touched.get(changes.id[place]!);
      if (list === undefined) this.#touched.set(changes.id[place]!, [place]);
      else list.push(place);
    }
    this.#live = new StateRows(job.columns);
    this.#hidden = new StateRows(job.columns);
    this.#stays = stays;
  }

  /** Finds the rows that changes touch, and takes over the others, where files do not stay. */
  async read(): Promise<void> {
    const job = this.#job;
    const deletes = job.liveDeletes.get(this.#bucket) ?? [];
    const gone = this.#gone = await GoneRows.read(job.store, deletes, job);
    for (const one of job.live.get(this.#bucket) ?? []) {
      const { path } = one.file;
      const bytes = await readFile(job, one);
      const found = this.#stays
        ? await findRows(bytes, { fieldId: STATE_FIELD.id, wanted: this.#touched })
        : undefined;
      if (found?.places.length === 0) continue;
      await this.#readFile(bytes, found, (file, i) => {
        const row = found?.places[i] ?? i;
        const id = file.id[i]!;
        if (gone.has(one, row, id)) return;
        if (this.#touched.has(id)) this.#note(id, rowAt(file, i), { row, path });
        else this.#live.copy(file, i);
      });
    }
    for (const one of job.hidden.get(this.#bucket) ?? []) {
      await this.#readFile(await readFile(job, one), undefined, (file, row) => {
        const id = file.id[row]!;
        if (this.#touched.has(id)) this.#note(id, rowAt(file, row), { row, path: undefined });
        else this.#hidden.copy(file, row);
      });
    }
  }

  /** Reads a file's rows, or those that were found in it. */
  async #readFile(
    bytes: Uint8Array,
    found: FoundRows | undefined,
    each: (file: StateFile, i: number) => void,
  ): Promise<void> {
    const { columns } = this.#job;
    const own = STATE_FIELDS.map(({ id }) => id).filter((id) => id !== STATE_FIELD.id);
    const fieldIds = [...own, ...columns.map(({ field }) => field.id)];
    const read = found === undefined
      ? await readColumns(bytes)
      : withTexts(await readColumns(bytes, { fieldIds, places: found.places }), found.texts);
    const file = stateFile(read, columns);
    for (let i = 0; i < file.rows; i++) each(file, i);
  }

  /** Somebody may have rolled back one of the branches: then a row may be in both, until now. */
  #note(
    id: string,
    stored: StateRow,
    { row, path }: { row: number; path: string | undefined },
  ): void {
    const { columns } = this.#job;
    const state = fromStateRow(stored, { columns, alive: path !== undefined });
    let known = this.#found.get(id);
    if (known === undefined) this.#found.set(id, known = { state, live: [], hidden: false });
    else mergeState(known.state, state);
    if (path === undefined) known.hidden = true;
    else known.live.push({ path, row });
  }

  /** Merges the changes into the rows that were found. */
  merge(): FoldedBucket {
    const { columns, schema } = this.#job;
    const changed = { live: false, hidden: false };
    const deleted = { positions: new Map<string, number[]>(), ids: [] as string[] };
    for (const [id, places] of this.#touched) {
      const before = this.#found.get(id);
      const insert = before === undefined ? soleInsert(this.#changes, places) : undefined;
      if (insert !== undefined) {
        this.#live.add(id, insert);
        changed.live = true;
        continue;
      }
      const state = before?.state ?? emptyRow();
      let effect = before !== undefined && before.live.length > 0 && before.hidden;
      for (const place of places) {
        effect = mergeChange(state, { changes: this.#changes, place, columns }) || effect;
      }
      if (state.life === undefined && state.columns.size === 0) continue;
      const visible = isVisible(state);
      // A row that is as it was is where it was.
      if (!effect && visible && this.#stays) continue;
      (visible ? this.#live : this.#hidden).add(id, toStateRow(state, columns));
      if (!effect) continue;
      for (const { path, row } of before?.live ?? []) {
        const list = deleted.positions.get(path);
        if (list === undefined) deleted.positions.set(path, [row]);
        else list.push(row);
        if (deleted.ids.at(-1) !== id) deleted.ids.push(id);
      }
      changed.live ||= visible || (before?.live.length ?? 0) > 0;
      changed.hidden ||= !visible || before?.hidden === true;
    }
    return {
      bucket: this.#bucket,
      live: changed.live ? this.#live.files(schema) : undefined,
      ...(this.#stays && { deleted: { ...deleted, before: this.#goneIn(deleted.positions) } }),
      hidden: changed.hidden ? this.#hidden.files(schema) : undefined,
    };
  }
  /** Where rows of files were gone before. */
  #goneIn(files: Positions): Positions {
    const before = new Map<string, readonly number[]>();
    for (const path of files.keys()) before.set(path, [...this.#gone.positions.get(path) ?? []]);
    return before;
  }
}

/** Columns with that of the ids, which are known already. */
function withTexts(read: ReadColumns, ids: readonly string[]): ReadColumns {
  return { rows: read.rows, columns: new Map([...read.columns, [STATE_FIELD.id, ids]]) };
}
