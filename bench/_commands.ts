/** What the processes of a benchmark do when they are told to. */
import process from "node:process";
import { createInterface } from "node:readline";
import type { ScriptProcess } from "@lakesync/testing";

/** What a process can be told, by name. */
export interface Commands {
  readonly [name: string]: (value: never) => unknown;
}

/** Milliseconds since the Unix epoch, in fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Takes commands `{ NAME: VALUE }` as lines of JSON, one after the other, and answers each with one. */
export async function serveCommands(commands: Commands): Promise<void> {
  const all: Commands = { ...commands, clock: now };
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, value] = Object.entries(JSON.parse(line) as object)[0]!;
    console.log(JSON.stringify(await all[name]!(value as never) ?? null));
  }
}

/** Tells a process to do something; what it answers. */
export async function tell(child: ScriptProcess, name: string, value: unknown): Promise<unknown> {
  child.send({ [name]: value });
  const answer = await child.nextJson();
  if (answer === undefined) throw new Error(`A process ended: ${child.stderr}`);
  return answer;
}

/** Sees to it that a process's clock is this one's. */
export async function checkClock(child: ScriptProcess): Promise<void> {
  const before = now();
  const its = await tell(child, "clock", null) as number;
  if (its < before - 0.1 || its > now() + 0.1) {
    throw new Error(`The processes' clocks differ: ${its} is not from ${before} to ${now()}`);
  }
}
