import { stderr } from "node:process";
import type { Clock, Logger, LogLevel } from "@lakesync/core";

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** Options of {@linkcode jsonLogger}. */
export interface JsonLoggerOptions {
  /** Where a line's time comes from. */
  clock: Clock;
  /**
   * The least level that is written.
   *
   * @default {"info"}
   */
  level?: LogLevel;
  /**
   * Takes a line, with its line feed.
   *
   * @default {stderr}
   */
  write?: (line: string) => void;
}

/**
 * A logger that writes one line of JSON for each event.
 *
 * @param options Its clock, level and output.
 * @returns The logger.
 *
 * @example Write to a list
 * ```ts
 * import { jsonLogger } from "@lakesync/deploy";
 * import { assertEquals } from "@std/assert";
 *
 * const lines: string[] = [];
 * const logger = jsonLogger({ clock: { now: () => 0 }, write: (line) => lines.push(line) });
 * logger.log("info", "started", { port: 8787 });
 * assertEquals(JSON.parse(lines[0] ?? ""), { time: "1970-01-01T00:00:00.000Z", level: "info", event: "started", port: 8787 });
 * ```
 */
export function jsonLogger(options: JsonLoggerOptions): Logger {
  const { clock, level: least = "info", write = (line) => stderr.write(line) } = options;
  return {
    log(level, event, facts = {}) {
      if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
      const time = new Date(clock.now()).toISOString();
      write(`${JSON.stringify({ time, level, event, ...facts })}\n`);
    },
  };
}
