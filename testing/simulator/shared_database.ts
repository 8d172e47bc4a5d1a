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
import type { Line } from "./line.ts";
import { addDelta, type Bags, type OracleRow, visibleRows } from "./oracle.ts";
import type { SimProcess } from "./process.ts";
import type { DatabaseKind } from "./schedule.ts";
import type { Trace } from "./trace.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** What a {@linkcode SharedDatabase} works with. */
export interface SharedDatabaseOptions {
  readonly time: VirtualTime;
  readonly trace: Trace;
  /** About how long an operation takes, in ms. */
  readonly latencyMs: number;
  /** Draws what goes wrong with an operation. */
  readonly fault: (name: string) => DatabaseKind | undefined;
  /** The log as it is now. */
  readonly line: () => Line;
  readonly violate: (promise: string, details: string) => void;
}

/** How far a table is: the entries themselves are held to the log as they come. */
type Tables = Map<string, Watermark>;

/**
 * A database that all instances flush to behind the lake: it fails, hangs for ever, answers late, loses
 * its answer, or commits some of a batch's tables. Each commit has to have what the log has between the
 * watermark that it starts from and its own: so each entry comes exactly once.
 */
export class SharedDatabase {
  readonly #options: SharedDatabaseOptions;
  #tables: Tables = new Map();

  constructor(options: SharedDatabaseOptions) {
    this.#options = options;
  }

  /** A copy of how far it is. */
  backup(): ReadonlyMap<string, Watermark> {
    return new Map(this.#tables);
  }

  /** Another one takes its place, an empty one or a copy: what is still on its way goes to the old one. */
  replace(tables: ReadonlyMap<string, Watermark> = new Map()): void {
    this.#tables = new Map(tables);
  }

  /** What is wrong with it once a flush has brought it to the log's head; undefined for nothing. */
  fault(epoch: string): string | undefined {
    const { trace, line } = this.#options;
    trace.count("check database in the end");
    const last = new Map(line().entries.map(({ seq, delta: { table } }) => [table, seq]));
    for (const [table, seq] of last) {
      const mark = this.#tables.get(table);
      if (mark?.epoch !== epoch || mark.seq < seq) {
        return `${table} is at ${JSON.stringify(mark)}, the log at ${seq}`;
      }
    }
    return undefined;
  }

  /** The database as an instance sees it. */
  open(process: SimProcess): Destination {
    const tables = this.#tables;
    const { time, latencyMs, fault } = this.#options;
    /** Answers an instance that still lives, after a while. */
    const answer = <T>(result: Result<T>, ms: number): Promise<Result<T>> =>
      new Promise((resolve) => process.at(time.now + ms, () => resolve(result)));
    const broken = (ms: number): Promise<Result<never>> =>
      answer(err(new LakeSyncError("OFFLINE", "The database is away")), ms);
    return {
      name: "database",
      watermarks: async (names) => {
        if (fault("marks") !== undefined) return await broken(process.draw(latencyMs));
        const marks = names.flatMap((name) => {
          const mark = tables.get(name);
          return mark === undefined ? [] : [[name, mark] as const];
        });
        return await answer(ok(new Map(marks)), process.draw(latencyMs));
      },
      write: async (batch) => {
        const news = new Map<string, FlushEntry[]>();
        for await (const chunk of batch.entries) {
          for (const entry of chunk) {
            const { table } = entry.delta;
            if (!news.has(table)) news.set(table, []);
            news.get(table)!.push(entry);
          }
        }
        const kind = fault("put");
        if (kind === "hang") return await new Promise(() => {});
        if (kind === "fail") return await broken(process.draw(latencyMs));
        // What is on its way when its sender dies is done all the same.
        const done = new Promise<Map<string, FlushOutcome>>((resolve) => {
          time.at(time.now + process.draw(latencyMs), () => {
            resolve(
              this.#commit(tables, { batch, news, half: kind === "half", name: process.name }),
            );
          });
        });
        const outcomes = await done;
        if (kind === "lose-answer") return await broken(process.draw(latencyMs));
        const late = kind === "late" ? 10_000 + process.draw(110_000) : 0;
        return await answer(ok(outcomes), late + process.draw(latencyMs));
      },
    };
  }

  #commit(
    tables: Tables,
    about: {
      batch: FlushBatch;
      news: ReadonlyMap<string, readonly FlushEntry[]>;
      half: boolean;
      name: string;
    },
  ): Map<string, FlushOutcome> {
    const { batch, news, half, name } = about;
    const { trace } = this.#options;
    const outcomes = new Map<string, FlushOutcome>();
    let committed = 0;
    for (const [table, { from }] of batch.tables) {
      const entries = news.get(table) ?? [];
      const mark = tables.get(table);
      if (mark?.epoch !== from?.epoch || mark?.seq !== from?.seq) {
        outcomes.set(table, { status: "moved", watermark: mark });
      } else if (entries.length === 0) outcomes.set(table, { status: "empty" });
      else if (half && committed >= Math.floor(news.size / 2)) {
        const error = new LakeSyncError("STORAGE_ERROR", `Table "${table}" was not committed`);
        outcomes.set(table, { status: "failed", error });
      } else {
        committed++;
        tables.set(table, batch.to);
        trace.note(name, `database commit ${table}`, JSON.stringify(batch.to));
        if (tables === this.#tables) this.#check(table, { from, to: batch.to, entries });
        const deltas = entries.length;
        outcomes.set(table, { status: "committed", deltas, objects: 0, bytes: deltas });
      }
    }
    return outcomes;
  }

  /**
   * A commit has the table's entries after the watermark that it goes on top of, once and in order; or,
   * where it is the first and the log does not reach back, deltas that make the rows as they are.
   */
  #check(
    table: string,
    about: { from: Watermark | undefined; to: Watermark; entries: readonly FlushEntry[] },
  ): void {
    const { trace, line, violate } = this.#options;
    const { from, to, entries } = about;
    trace.count("check database commit");
    if (from === undefined && line().trimmed > 0 && entries.every(({ seq }) => seq === to.seq)) {
      const bags: Bags = new Map();
      for (const { delta } of entries) addDelta(bags, delta);
      const made = rowsText(visibleRows(bags).get(table));
      const rows = rowsText(line().rowsAt(to.seq).get(table));
      if (made !== rows) violate("a destination made anew has the rows", `${made} and not ${rows}`);
      return;
    }
    const after = from?.epoch === to.epoch ? from.seq : 0;
    const text = ({ seq, delta }: { seq: number; delta: { deltaId: string } }) =>
      `${seq} ${delta.deltaId}`;
    const wanted = line().entries.slice(after, to.seq).filter(({ delta }) => delta.table === table)
      .map(text);
    const got = entries.map(text);
    if (got.join() === wanted.join()) return;
    violate(
      "each destination has each entry once, in order",
      `${table} from ${JSON.stringify(from)} to ${JSON.stringify(to)} got ${got.length} entries ` +
        `and not ${wanted.length}`,
    );
  }
}

/** Rows with their stamps. */
function rowsText(rows: ReadonlyMap<string, OracleRow> | undefined): string {
  const texts = Array.from(rows ?? [], ([id, { written }]) => {
    const registers = written.map(({ column, value, hlc, clientId }) =>
      JSON.stringify([column ?? null, value, String(hlc), clientId])
    );
    return `${id}: ${registers.sort().join(" ")}`;
  });
  return texts.sort().join("; ");
}
