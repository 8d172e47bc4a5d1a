import {
  type Destination,
  err,
  type FlushBatch,
  type FlushEntry,
  type FlushOutcome,
  LakeSyncError,
  ok,
  type Result,
  type Watermark,
} from "@lakesync/core";

/** What goes wrong with a write. */
export type WriteFault =
  /** Nothing is committed, and the answer says so. */
  | "fail-before"
  /** Everything is committed, and the answer says that it failed. */
  | "fail-after"
  /** Everything is committed, and no answer comes: an error in its place. */
  | "lose-answer"
  /** Everything is committed, and it throws. */
  | "throw-after"
  /** Only the first table that has news is committed, the others fail. */
  | "first-only"
  /** It has no outcome for one of its tables. */
  | "silent";

interface FakeTable {
  mark: Watermark;
  entries: readonly FlushEntry[];
}

/** A destination in memory that holds to the port, with faults on demand. */
export class FakeDestination implements Destination {
  readonly name: string;
  /** Its tables as they are committed. */
  readonly tables: Map<string, FakeTable> = new Map();
  /** Every batch that it was given. */
  readonly batches: { id: string; to: Watermark; seqs: number[] }[] = [];
  /** What goes wrong next; taken from the front, undefined for nothing. */
  readonly faults: (WriteFault | undefined)[] = [];
  /** Called between reading a batch and committing it: where another flusher gets in. */
  beforeCommit: () => Promise<void> = () => Promise.resolve();

  constructor(name = "lake") {
    this.name = name;
  }

  watermarks(tables: readonly string[]): Promise<Result<ReadonlyMap<string, Watermark>>> {
    const marks = new Map<string, Watermark>();
    for (const table of tables) {
      const held = this.tables.get(table);
      if (held !== undefined) marks.set(table, held.mark);
    }
    return Promise.resolve(ok(marks));
  }

  /** The seqs that a table has got, in the order of their commits. */
  seqs(table: string): number[] {
    return (this.tables.get(table)?.entries ?? []).map(({ seq }) => seq);
  }

  async write(batch: FlushBatch): Promise<Result<ReadonlyMap<string, FlushOutcome>>> {
    const fault = this.faults.shift();
    const news = new Map<string, FlushEntry[]>();
    const seqs: number[] = [];
    for await (const chunk of batch.entries) {
      for (const entry of chunk) {
        seqs.push(entry.seq);
        const { table } = entry.delta;
        news.set(table, [...news.get(table) ?? [], entry]);
      }
    }
    this.batches.push({ id: batch.id, to: batch.to, seqs });
    await this.beforeCommit();
    const error = new LakeSyncError("STORAGE_ERROR", "The lake failed");
    const outcomes = new Map<string, FlushOutcome>();
    let committed = 0;
    for (const [table, { from }] of batch.tables) {
      const entries = news.get(table);
      if (entries === undefined) {
        outcomes.set(table, { status: "empty" });
        continue;
      }
      if (fault === "fail-before" || (fault === "first-only" && committed > 0)) {
        outcomes.set(table, { status: "failed", error });
        continue;
      }
      const held = this.tables.get(table);
      if (held?.mark.epoch !== from?.epoch || held?.mark.seq !== from?.seq) {
        outcomes.set(table, { status: "moved", watermark: held?.mark });
        continue;
      }
      this.tables.set(table, {
        mark: batch.to,
        entries: [...held?.entries ?? [], ...entries],
      });
      committed++;
      outcomes.set(
        table,
        fault === "fail-after"
          ? { status: "failed", error }
          : { status: "committed", deltas: entries.length, objects: 2, bytes: 100 },
      );
      if (fault === "silent") outcomes.delete(table);
    }
    if (fault === "lose-answer") return err(error);
    if (fault === "throw-after") throw error;
    return ok(outcomes);
  }
}
