import type { Watermark } from "@lakesync/core";
import type { Prng } from "../prng.ts";
import { lakeFault, rebuiltFault } from "./lake_check.ts";
import { readWatermark } from "./lake_reader.ts";
import type { Line } from "./line.ts";
import type { SharedLake } from "./shared_lake.ts";
import { stateFault } from "./state_check.ts";
import { type AppVersion, schemasOf } from "./tables.ts";
import type { Trace } from "./trace.ts";

/** What a {@linkcode LakeWatch} works with. */
export interface LakeWatchOptions {
  readonly lake: SharedLake;
  readonly trace: Trace;
  readonly random: Prng;
  /** The log as it is now. */
  readonly line: () => Line;
  /** Its epoch. */
  readonly epoch: () => string;
  /** Whether the lake is kept in shape. */
  readonly kept: boolean;
  readonly violate: (promise: string, details: string) => void;
}

/** What is known of a lake: to be known again where it is put back. */
export interface KnownLake {
  /** How far each table is. */
  readonly marks: ReadonlyMap<string, Watermark>;
  /** The log that they are of. */
  readonly origin: Line;
  /** Logs that were flushed before that one. */
  readonly before: readonly Line[];
  /** Whether it began with the rows of a log that was trimmed. */
  readonly isRebuilt: boolean;
}

/** Holds the lake to the log: each version of a table when it is made, and all of it when asked. */
export class LakeWatch {
  readonly #options: LakeWatchOptions;
  /** How far each table is. */
  #marks = new Map<string, Watermark>();
  /** Logs whose entries the lake may have besides the present one's. */
  #before: readonly Line[] = [];
  /** What the lake was flushed from, and up to where, where that was not the log as it was restored. */
  #ahead: { readonly origin: Line; readonly through: number } | undefined;
  #isRebuilt = false;

  constructor(options: LakeWatchOptions) {
    this.#options = options;
  }

  /** What it knows of the lake as it is. */
  get known(): KnownLake {
    return {
      marks: new Map(this.#marks),
      origin: this.isAhead ? this.#ahead!.origin : this.#options.line(),
      before: this.#before,
      isRebuilt: this.#isRebuilt,
    };
  }

  /**
   * Whether the lake has what the log, restored from a backup, has not. It ends where the devices send
   * up again the same entries in the same order.
   */
  get isAhead(): boolean {
    if (this.#ahead === undefined) return false;
    const { origin: { entries }, through } = this.#ahead;
    const now = this.#options.line().entries;
    return !entries.slice(0, through).every(({ delta }, i) =>
      delta.deltaId === now[i]?.delta.deltaId
    );
  }

  /** The log is another one from now on, and the lake is this. */
  begin({ marks, origin, before, isRebuilt }: KnownLake): void {
    this.#marks = new Map(marks);
    this.#before = before;
    this.#isRebuilt = isRebuilt;
    const epoch = this.#options.epoch();
    const seqs = [...marks.values()].filter((mark) => mark.epoch === epoch).map(({ seq }) => seq);
    this.#ahead = { origin, through: Math.max(0, ...seqs) };
  }

  /** A table has another version: it must not be behind the one before it. */
  async committed(table: string): Promise<void> {
    const { lake, trace, violate } = this.#options;
    trace.count("check commit");
    try {
      const mark = await readWatermark(lake.peek(), table);
      const before = this.#marks.get(table);
      if (mark !== undefined) this.#marks.set(table, mark);
      if (before === undefined) return;
      const marks = [before, mark].map((mark) => JSON.stringify(mark)).join(" to ");
      const moved = mark?.seq !== before.seq || mark.epoch !== before.epoch;
      if (moved && table.endsWith("_changes") && this.isAhead) {
        violate("a lake that is ahead of its log is left alone", `${table} goes from ${marks}`);
      }
      // After a reset the log that is flushed has another epoch.
      const same = mark?.epoch === before.epoch || this.#before.length === 0;
      if (mark !== undefined && (!same || mark.seq >= before.seq)) return;
      violate("the lake never goes back in time", `${table} goes from ${marks}`);
    } catch (thrown) {
      violate("the lake can be read at any time", String(thrown));
    }
  }

  /** Reads all of it, also as of some stamps; `complete` where the log's head must be in it. */
  async check(version: AppVersion, { complete }: { complete: boolean }): Promise<void> {
    if (this.isAhead) return;
    const { lake, trace, random, kept, violate } = this.#options;
    const line = this.#options.line();
    const { entries } = line;
    const asOf = Array.from({ length: entries.length > 0 ? 3 : 0 }, () => {
      const { hlc } = random.pick(entries).delta;
      return BigInt(hlc) - BigInt(random.int(0, 1));
    });
    const schemas = schemasOf(version);
    try {
      const before = this.#before;
      const options = { schemas, line, before, complete, asOf };
      const fault = this.#isRebuilt
        ? await rebuiltFault(lake.peek(), options)
        : await lakeFault(lake.peek(), options);
      if (fault !== undefined) violate("the lake is the log", fault);
      const rows = kept && fault === undefined
        ? await stateFault(lake.peek(), {
          schemas,
          line,
          epoch: this.#options.epoch(),
          mixed: before.length > 0 || this.#isRebuilt,
          complete,
          checked: (what) => trace.count(what),
        })
        : undefined;
      if (rows !== undefined) violate("the lake's rows are the log's", rows);
    } catch (thrown) {
      violate("the lake can be read at any time", String(thrown));
    }
    trace.count(complete ? "check lake in the end" : "check lake on the way");
  }
}
