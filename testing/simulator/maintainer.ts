import {
  type Catalogue,
  compactTable,
  maintainLake,
  type MaintainOutcome,
} from "@lakesync/adapter-iceberg";
import { type Clock, ok, type Result } from "@lakesync/core";
import { SimClock, SimProcess } from "./process.ts";
import type { DeleteForm } from "./schedule.ts";
import type { SharedLake } from "./shared_lake.ts";
import { schemasOf } from "./tables.ts";
import type { Trace } from "./trace.ts";
import type { VirtualTime } from "./virtual_time.ts";

/**
 * Files are removed when they are so old, in ms: longer than any commit takes, whatever is frozen or late
 * within it.
 */
export const ORPHAN_MS = 300_000;
/** The product's own lower bound for that. */
const LEAST_ORPHAN_MS = 3_600_000;

/** What a {@linkcode Maintainer} works with. */
export interface MaintainerOptions {
  readonly index: number;
  readonly seed: bigint;
  readonly time: VirtualTime;
  readonly trace: Trace;
  readonly lake: SharedLake;
  /** Clocks tick so coarsely, in ms. */
  readonly grainMs: number;
  /** How many buckets the tables of current rows have. */
  readonly buckets: number;
}

/** Keeps the lake in shape: a process for each run, which may be killed at any of its requests. */
export class Maintainer {
  readonly name: string;
  readonly #options: MaintainerOptions;
  readonly #clock: Clock;
  #runs = 0;
  #process: SimProcess | undefined;

  constructor(options: MaintainerOptions) {
    const { index, time, grainMs } = options;
    this.#options = options;
    this.name = `maintain${index}`;
    // What is five minutes old is an hour old by this clock.
    this.#clock = new SimClock(time, { skewMs: LEAST_ORPHAN_MS - ORPHAN_MS, grainMs });
  }

  /**
   * Does a run, where none is under way.
   *
   * @param options After how many requests it is killed; undefined: it is not.
   * @returns What became of it; undefined where one is under way. It never resolves where it is killed.
   */
  async run(
    options: { deletes: DeleteForm; dies?: number },
  ): Promise<Result<MaintainOutcome> | undefined> {
    if (this.#process !== undefined) return undefined;
    const { time, trace, lake, seed } = this.#options;
    const { deletes, dies } = options;
    const process = new SimProcess(time, {
      name: this.name,
      clock: this.#clock,
      seed: seed + BigInt(++this.#runs),
    });
    this.#process = process;
    trace.note(this.name, "starts", deletes);
    trace.count(`maintain ${deletes}`);
    if (dies !== undefined) lake.dieAfter(process, dies, () => this.kill());
    const outcome = await this.#maintain(lake.open(process), process, deletes);
    this.#process = undefined;
    trace.note(this.name, "ends", outcome.ok ? outcome.value.status : outcome.error.message);
    return outcome;
  }

  /** It dies, where it is at work. */
  kill(): void {
    if (this.#process === undefined) return;
    this.#options.trace.note(this.name, "is killed");
    this.#options.trace.count("kill maintainer");
    this.#process.kill();
    this.#process = undefined;
  }

  /** It stands still, where it is at work. */
  freeze(ms: number): void {
    if (this.#process === undefined) return;
    this.#options.trace.count("freeze maintainer");
    this.#process.freeze(ms);
  }

  /** It goes on at once. */
  thaw(): void {
    this.#process?.thaw();
  }

  async #maintain(
    catalogue: Catalogue,
    { clock, random }: SimProcess,
    deletes: DeleteForm,
  ): Promise<Result<MaintainOutcome>> {
    const { trace, buckets } = this.#options;
    const tables = schemasOf(1).map(({ table }) => table);
    for (const table of tables) {
      // So few rows would each have a bucket of their own: then no file would ever stay.
      const there = await catalogue.load(table);
      if (!there.ok) return there;
      if (there.value !== undefined) continue;
      const made = await compactTable({ catalogue, table, buckets, deletes, clock, random });
      if (!made.ok) return made;
    }
    const outcome = await maintainLake({
      catalogue,
      deletes,
      clock,
      random,
      orphanAgeMs: LEAST_ORPHAN_MS,
      minSnapshots: 2,
      maxSnapshots: 4,
      maxSnapshotAgeMs: 100_000,
      onStep: (step) => {
        trace.count(`maintain ${step.step === "rewrite" ? "merge" : step.step}`);
        const about = step.step === "failed" ? `${step.during}: ${step.error.message}` : "";
        trace.note(this.name, `${step.step} ${step.table}`, about);
      },
    });
    return outcome.ok ? ok(outcome.value) : outcome;
  }
}
