/** Measures a lane against its floor in one run, by turns, so that a drifting machine harms neither. */

/** A benchmark: what `deno task bench NAME` runs. */
export interface Benchmark {
  /** Its name on the command line. */
  readonly name: string;
  /** What it measures, in a sentence. */
  readonly about: string;
  /** What the floor is, in a sentence. */
  readonly floor: string;
  /** Runs it. */
  run(options: BenchmarkOptions): Promise<Figure[]>;
}

/** How a benchmark is run. */
export interface BenchmarkOptions {
  /** Small sizes: shows that it works, and says nothing about speed. */
  readonly quick: boolean;
  /** An empty directory of its own, removed afterwards. */
  readonly directory: string;
  /** Tells what is being done: preparing takes longer than measuring. */
  readonly progress: (what: string) => void;
}

/** One line of the report. */
export interface Figure {
  /** What was measured. */
  readonly name: string;
  /** What is counted: `deltas`, `rows`. */
  readonly unit: string;
  /** Units a second. */
  readonly rate: Spread;
  /** The floor's units a second. */
  readonly floor: Spread;
  /** The rate divided by the floor's, round by round. */
  readonly ratio: Spread;
  /** Other facts of the same runs. */
  readonly facts: readonly Fact[];
  /** What it is to reach. */
  readonly targets: readonly Target[];
}

/** A value of several rounds. */
export interface Spread {
  /** The middle one. */
  readonly median: number;
  /** The least. */
  readonly min: number;
  /** The greatest. */
  readonly max: number;
}

/** A fact beside the rate. */
export interface Fact {
  /** What it is. */
  readonly name: string;
  /** How much. */
  readonly value: number;
  /** Of what. */
  readonly unit: string;
}

/** A figure that is asked for, and what was measured. */
export interface Target extends Fact {
  /** Whether `limit` is the least or the most. */
  readonly bound: "at least" | "at most";
  /** What is asked for. */
  readonly limit: number;
}

/** What one round of a lane did. */
export interface Round {
  /** How many units. */
  readonly units: number;
  /** How long it took, preparation left out. */
  readonly seconds: number;
}

/** Something that is measured: called once a round. */
export type Lane = () => Round | Promise<Round>;

/** Units a second, round by round, for each lane. */
export type Rates = ReadonlyMap<string, readonly number[]>;

/** Options of {@linkcode measure}. */
export interface MeasureOptions {
  /** Rounds that count. */
  readonly rounds: number;
  /** Rounds before them. */
  readonly warmUps: number;
}

/**
 * Runs lanes by turns: A B C, A B C ….
 *
 * @param lanes The lanes by name.
 * @param options How often.
 * @returns Their rates.
 */
export async function measure(
  lanes: { readonly [name: string]: Lane },
  options: MeasureOptions,
): Promise<Rates> {
  const rates = new Map<string, number[]>();
  for (let round = -options.warmUps; round < options.rounds; round++) {
    for (const [name, lane] of Object.entries(lanes)) {
      const { units, seconds } = await lane();
      if (round < 0) continue;
      const list = rates.get(name) ?? [];
      list.push(units / seconds);
      rates.set(name, list);
    }
  }
  return rates;
}

/** Times a piece of work. */
export async function timed(units: number, work: () => unknown): Promise<Round> {
  const start = performance.now();
  await work();
  return { units, seconds: (performance.now() - start) / 1000 };
}

/** Options of {@linkcode figureOf}. */
export interface FigureOptions {
  /** Names it in the report. */
  readonly name: string;
  /** What is counted. */
  readonly unit: string;
  /** The lane. */
  readonly lane: string;
  /** The lane that is its floor. */
  readonly floor: string;
  /** Other facts. @default {[]} */
  readonly facts?: readonly Fact[];
  /** The least rate. @default {undefined} */
  readonly atLeast?: number;
  /** Other targets. @default {[]} */
  readonly targets?: readonly Target[];
}

/** A line of the report for one lane. */
export function figureOf(rates: Rates, options: FigureOptions): Figure {
  const { name, unit, lane, floor, facts = [], atLeast, targets = [] } = options;
  const ours = laneOf(rates, lane);
  const theirs = laneOf(rates, floor);
  const rate = spread(ours);
  const own: Target[] = atLeast === undefined ? [] : [
    { name: "rate", value: rate.median, unit: `${unit}/s`, bound: "at least", limit: atLeast },
  ];
  return {
    name,
    unit,
    rate,
    floor: spread(theirs),
    ratio: spread(ours.map((value, i) => value / theirs[i]!)),
    facts,
    targets: [...own, ...targets],
  };
}

/** The rates of a lane. */
export function laneOf(rates: Rates, name: string): readonly number[] {
  const list = rates.get(name);
  if (list === undefined) throw new TypeError(`Cannot report lane "${name}": it was not measured`);
  return list;
}

/** Median, least and greatest of some values. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Whether a target was met. */
export function isMet({ bound, limit, value }: Target): boolean {
  return bound === "at least" ? value >= limit : value <= limit;
}
