import { type LogStore, ok, type Result, type Watermark } from "@lakesync/core";

/** How far a table of a destination was when it was last looked at. */
export interface TableProgress {
  /** The watermark that it had then; undefined where it had none. One without news keeps an older one. */
  readonly mark: Watermark | undefined;
  /** It has everything up to this seq. */
  readonly through: number;
}

/** What the store remembers of a destination: a hint for where to begin, never the truth. */
export interface Progress {
  /** Everything up to here is in the destination. */
  readonly flushedSeq: number;
  /** Its tables; one that is not there had no watermark, and everything up to `flushedSeq`. */
  readonly tables: ReadonlyMap<string, TableProgress>;
}

/** As it is stored. `through` is left out, or null, where it is `flushedSeq`. */
interface Note {
  readonly flushedSeq: number;
  readonly marks: readonly (readonly [
    table: string,
    epoch: string | null,
    seq: number,
    through?: number | null,
    hash?: string,
  ])[];
}

/** Reads how far a destination was. */
export async function readProgress(
  store: LogStore,
  destination: string,
): Promise<Result<Progress>> {
  const stored = await store.getValue(keyOf(destination));
  if (!stored.ok) return stored;
  if (stored.value === undefined) return ok({ flushedSeq: 0, tables: new Map() });
  const { flushedSeq, marks } = JSON.parse(stored.value) as Note;
  const tables = new Map<string, TableProgress>();
  for (const [table, epoch, seq, through, hash] of marks) {
    const mark = epoch === null ? undefined : { epoch, seq, ...(hash !== undefined && { hash }) };
    tables.set(table, { mark, through: through ?? flushedSeq });
  }
  return ok({ flushedSeq, tables });
}

/** Notes how far a destination is, unless another flusher has come further. */
export async function writeProgress(
  store: LogStore,
  destination: string,
  { flushedSeq, tables }: Progress,
): Promise<Result<void>> {
  const present = await readProgress(store, destination);
  if (!present.ok) return present;
  if (present.value.flushedSeq > flushedSeq) return ok(undefined);
  const marks: Note["marks"][number][] = [];
  for (const [table, { mark, through }] of tables) {
    if (mark === undefined && through === flushedSeq) continue;
    const { epoch = null, seq = 0, hash } = mark ?? {};
    const ahead = through === flushedSeq ? null : through;
    if (hash !== undefined) marks.push([table, epoch, seq, ahead, hash]);
    else marks.push(ahead === null ? [table, epoch, seq] : [table, epoch, seq, ahead]);
  }
  return await store.setValue(keyOf(destination), JSON.stringify({ flushedSeq, marks }));
}

/** Whether two watermarks are one, as far as is known. */
export function sameMark(a: Watermark | undefined, b: Watermark | undefined): boolean {
  if (a?.epoch !== b?.epoch || a?.seq !== b?.seq) return false;
  return a?.hash === undefined || b?.hash === undefined || a.hash === b.hash;
}

function keyOf(destination: string): string {
  return `flush:${destination}`;
}
