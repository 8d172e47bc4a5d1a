import { emptyRow, isVisible, mergeState, type RowState } from "@lakesync/core";
import { type Changes, readFile } from "./compact_changes.ts";
import type { CompactionJob, EngineFile, FoldedBucket } from "./compact_engine.ts";
import { mergeChange, soleInsert } from "./compact_merge.ts";
import { readColumns } from "./parquet_read.ts";
import { rowAt, type StateFile, stateFile, StateRows } from "./state_columns.ts";
import { addDeletes } from "./state_deletes.ts";
import { fromStateRow, type StateRow, toStateRow } from "./state_row.ts";
import { STATE_FIELD } from "./state_schema.ts";

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
 * @throws {RangeError} Where a file is damaged.
 */
export async function foldBucket(job: CompactionJob, one: BucketChanges): Promise<FoldedBucket> {
  const fold = new BucketFold(job, one);
  await fold.read();
  return fold.merge();
}

class BucketFold {
  readonly #job: CompactionJob;
  readonly #bucket: number;
  readonly #changes: Changes;
  /** The places of each changed row's changes. */
  readonly #touched = new Map<string, number[]>();
  readonly #found = new Map<string, Found>();
  readonly #live: StateRows;
  readonly #hidden: StateRows;
  /** Whether the files of the rows that show stay. */
  readonly #stays: boolean;

  constructor(job: CompactionJob, { bucket, changes, places }: BucketChanges) {
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
    this.#stays = job.positions && this.#mayStay();
  }

  #mayStay(): boolean {
    const files = this.#job.live.get(this.#bucket) ?? [];
    const deletes = this.#job.liveDeletes.get(this.#bucket) ?? [];
    const rowsOf = (list: readonly EngineFile[]) =>
      list.reduce((sum, { file }) => sum + Number(file.rows), 0);
    const gone = this.#touched.size + rowsOf(deletes);
    return files.length < MOST_FILES && deletes.length < MOST_FILES &&
      gone * GONE_PART <= rowsOf(files);
  }

  /** Finds the rows that changes touch, and takes over the others, where files do not stay. */
  async read(): Promise<void> {
    const job = this.#job;
    const gone = new Map<string, Set<number>>();
    for (const one of job.liveDeletes.get(this.#bucket) ?? []) {
      await addDeletes(await readFile(job, one), gone);
    }
    for (const one of job.live.get(this.#bucket) ?? []) {
      const { path } = one.file;
      const bytes = await readFile(job, one);
      const places = this.#stays ? await this.#touchedPlaces(bytes) : undefined;
      if (places?.length === 0) continue;
      await this.#readFile(bytes, places, (file, i) => {
        const row = places?.[i] ?? i;
        if (gone.get(path)?.has(row) === true) return;
        const id = file.id[i]!;
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

  /** The places in a file of the rows that changes touch. */
  async #touchedPlaces(bytes: Uint8Array): Promise<readonly number[]> {
    const { rows, columns } = await readColumns(bytes, { fieldIds: [STATE_FIELD.id] });
    const ids = columns.get(STATE_FIELD.id) as ArrayLike<string>;
    const places: number[] = [];
    for (let row = 0; row < rows; row++) if (this.#touched.has(ids[row]!)) places.push(row);
    return places;
  }

  async #readFile(
    bytes: Uint8Array,
    places: readonly number[] | undefined,
    each: (file: StateFile, i: number) => void,
  ): Promise<void> {
    const options = places === undefined ? {} : { places };
    const file = stateFile(await readColumns(bytes, options), this.#job.columns);
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
    const deleted = new Map<string, number[]>();
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
        const list = deleted.get(path);
        if (list === undefined) deleted.set(path, [row]);
        else list.push(row);
      }
      changed.live ||= visible || (before?.live.length ?? 0) > 0;
      changed.hidden ||= !visible || before?.hidden === true;
    }
    return {
      bucket: this.#bucket,
      live: changed.live ? this.#live.files(schema) : undefined,
      ...(this.#stays && { deleted }),
      hidden: changed.hidden ? this.#hidden.files(schema) : undefined,
    };
  }
}
