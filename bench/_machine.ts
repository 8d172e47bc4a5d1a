import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem, type as osType } from "node:os";
import process from "node:process";

/** What the figures were measured on. */
export interface Machine {
  /** The processor's model. */
  readonly cpu: string;
  /** How many cores this process may use. */
  readonly cores: number;
  /** Memory in GiB. */
  readonly memoryGiB: number;
  /** The operating system and its version. */
  readonly os: string;
  /** The runtime and the engine: `Deno 2.9.6 (V8 …)`. */
  readonly runtime: string;
  /** The load average of the last minute when the run began. */
  readonly load: number;
}

/** Looks at this machine. */
export function thisMachine(): Machine {
  const { deno, bun, v8 } = process.versions as { [name: string]: string | undefined };
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${osType()} ${release()}`,
    runtime: bun !== undefined ? `Bun ${bun}` : `Deno ${deno} (V8 ${v8})`,
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
  };
}

/** The most memory that this process has had in RAM so far, in bytes. */
export function peakRss(): number {
  try {
    // Not maxRSS where there is this: on Linux that begins with what the parent had.
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // No Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
