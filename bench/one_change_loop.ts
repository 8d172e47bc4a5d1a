/** What both kinds of device of the one-change benchmark do when they are told to. */
import process from "node:process";
import { createInterface } from "node:readline";

/** A device. */
export interface BenchDevice {
  /** Makes change `n`. */
  change(n: number): Promise<void>;
  /** Calls back with the newest change that is shown. */
  onShown(listener: (n: number) => void): void;
}

/** Milliseconds since the Unix epoch, in fractions. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Takes commands as lines of JSON, and answers each with one. */
export async function serveDevice(device: BenchDevice): Promise<void> {
  const say = (value: unknown): void => console.log(JSON.stringify(value));
  let seen: [number, number][] = [];
  let until = Infinity;
  let last = 0;
  device.onShown((n) => {
    seen.push([n, now()]);
    last = n;
    if (n < until) return;
    until = Infinity;
    say(seen);
  });
  say("ready");
  let made = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line) as { clock?: true; watch?: number; change?: number };
    if (command.clock !== undefined) say(now());
    if (command.watch !== undefined) {
      seen = [];
      until = last + command.watch;
      say("watching");
    }
    if (command.change !== undefined) {
      const times: [number, number][] = [];
      for (let i = 0; i < command.change; i++) {
        // Not in step with anything.
        await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 10));
        const n = ++made;
        times.push([n, now()]);
        await device.change(n);
      }
      say(times);
    }
  }
}
