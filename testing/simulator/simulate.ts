import { checkLake } from "./lake_end.ts";
import { checkLogs, fallQuiet } from "./quiet.ts";
import type { Schedule } from "./schedule.ts";
import { doStep } from "./steps.ts";
import type { Violation } from "./trace.ts";
import { World } from "./world.ts";

/** What became of a run. */
export interface Outcome {
  /** The promise that was broken first, where one was. */
  readonly violation: Violation | undefined;
  /** Tells whether two runs were the same. */
  readonly digest: string;
  /** How often what happened. */
  readonly counts: ReadonlyMap<string, number>;
  /** What happened, where it was kept. */
  readonly lines: readonly string[];
  /** How many events there were. */
  readonly events: number;
}

/**
 * Runs a schedule, lets it fall quiet, and checks. The same schedule gives the same run.
 *
 * @param schedule The schedule.
 * @param options Whether the trace's lines are kept.
 * @returns What became of it.
 */
export async function simulate(
  schedule: Schedule,
  options: { keepLines?: boolean } = {},
): Promise<Outcome> {
  const world = new World(schedule, { keepLines: options.keepLines ?? false });
  try {
    const { time, trace } = world;
    const end = (schedule.steps.at(-1)?.at ?? 0) + 1_000;
    await world.begin();
    for (const step of schedule.steps) time.at(step.at, () => doStep(world, step));
    await time.run(end);
    if (!time.stopped) await fallQuiet(world, end);
    if (!time.stopped) await checkLogs(world);
    if (!time.stopped) await checkLake(world);
    return {
      violation: world.violation,
      digest: trace.digest(),
      counts: trace.counts,
      lines: trace.lines,
      events: time.events,
    };
  } finally {
    await world.close();
  }
}

/** A schedule with these of its steps only, by their places. */
export function keepSteps(schedule: Schedule, places: readonly number[]): Schedule {
  return { ...schedule, steps: places.map((place) => schedule.steps[place]!) };
}
