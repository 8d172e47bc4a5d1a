import type { Prng } from "../prng.ts";
import type { Setting, Step, WriteSpec } from "./schedule.ts";

/** Longer than the log is kept. */
export const LONG_MS = 170_000;

const ROW_IDS = ["r1", "r2", "r3", "r4"];

/** A step whose time is that of the timeline. */
export type WithoutTime<T> = T extends unknown ? Omit<T, "at"> : never;

/** A schedule in the making: steps, and the time at which the next one happens. */
export class Timeline {
  readonly random: Prng;
  readonly setting: Setting;
  readonly steps: Step[] = [];
  at = 0;

  constructor(random: Prng, setting: Setting) {
    this.random = random;
    this.setting = setting;
  }

  /** Adds a step now. */
  add(step: WithoutTime<Step>): void {
    this.steps.push({ at: this.at, ...step } as Step);
  }

  /** Some device. */
  device(): number {
    return this.random.int(0, this.setting.devices.length - 1);
  }

  /** Some instance. */
  instance(): number {
    return this.random.int(0, this.setting.instances - 1);
  }

  /** Two devices. */
  two(): readonly [number, number] {
    const first = this.device();
    const others = [...this.setting.devices.keys()].filter((device) => device !== first);
    return [first, this.random.pick(others)];
  }

  /** Some changes by a device, in one transaction. */
  write(device: number = this.device()): void {
    const random = this.random;
    const count = random.chance(0.3) ? random.int(2, 4) : 1;
    this.add({
      do: "write",
      device,
      writes: Array.from({ length: count }, () => this.change()),
    });
  }

  /** Some change of some row. */
  change(how: WriteSpec["how"] = this.random.chance(0.25) ? "delete" : "change"): WriteSpec {
    const random = this.random;
    return {
      table: random.chance(0.7) ? "items" : "notes",
      id: random.pick(ROW_IDS),
      how,
      columns: random.int(1, 15),
    };
  }

  /** So much time passes that the next flush trims all. */
  forget(): void {
    this.at += LONG_MS;
    this.add({ do: "flush", instance: this.instance() });
    this.at += 3_000;
  }
}
