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

/** Holds the lake to the log: each version of a table when it is made, and all of it when asked. */
export class LakeWatch {
  readonly #options: LakeWatchOptions;
  /** How far each table is. */
  #marks = new Map<string, Watermark>();
  /** Logs whose entries the lake may have besides the present one's. */
  #before: readonly Line[] = [];
  #isAhead = false;
  #isRebuilt = false;

  constructor(options: LakeWatchOptions) {
    this.#options = options;
  }

  /** Logs that were flushed before the present one. */
  get before(): readonly Line[] {
    return this.#before;
  }

  /** Whether the lake has what the log, restored from a backup, has not. */
  get isAhead(): boolean {
    return this.#isAhead;
  }

  /** The log is another one from now on: the lake goes on with what these were flushed to. */
  begin(before: readonly Line[], options: { sameLake: boolean; rebuilt?: boolean }): void {
    this.#before = before;
    this.#isRebuilt = options.rebuilt ?? false;
    if (!options.sameLake) this.#marks = new Map();
    const { head } = this.#options.line();
    const epoch = this.#options.epoch();
    this.#isAhead = [...this.#marks.values()].some((mark) =>
      mark.epoch === epoch && mark.seq > head
    );
  }

  /** A table has another version: it must not be behind the one before it. */
  async committed(table: string): Promise<void> {
    const { lake, trace, violate, line } = this.#options;
    trace.count("check commit");
    try {
      const mark = await readWatermark(lake.peek(), table);
      const before = this.#marks.get(table);
      if (mark !== undefined) this.#marks.set(table, mark);
      if (before === undefined) return;
      const marks = [before, mark].map((mark) => JSON.stringify(mark)).join(" to ");
      const moved = mark?.seq !== before.seq || mark.epoch !== before.epoch;
      // A log that has grown beyond the lake is not told from one that it was flushed from.
      if (this.#isAhead && moved && table.endsWith("_changes") && line().head < before.seq) {
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
    if (this.#isAhead) return;
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
