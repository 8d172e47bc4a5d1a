import process from "node:process";
import { type LakeSyncError, type Logger, systemClock, toLakeSyncError } from "@lakesync/core";
import { jsonLogger } from "./logger.ts";
import { parseServeArgs, SERVE_USAGE } from "./serve_args.ts";
import type { ServerOptions } from "./server.ts";
import { setUp } from "./setup.ts";

/** What the programs that serve have in common: flags, logs, signals, ends. */

/** Writes the log lines of a program to stderr. */
export const logger: Logger = jsonLogger({ clock: systemClock });

/**
 * Reads the flags, the environment and the configuration of the program; ends it where they are
 * faulty or ask for help.
 *
 * @returns What it is to serve.
 */
export async function readProgram(): Promise<ServerOptions> {
  const args = parseServeArgs(process.argv.slice(2), process.env);
  if (!args.ok) return fail(args.error, 2);
  if (args.value === "help") {
    process.stderr.write(`${SERVE_USAGE}\n`);
    return process.exit(0);
  }
  const options = await setUp(args.value, logger);
  return options.ok ? options.value : fail(options.error, 2);
}

/** Says that the program listens: its one line on stdout. */
export function tellListening(url: string, { gateways = ["default"] }: ServerOptions): void {
  process.stdout.write(`${JSON.stringify({ event: "listening", url, gateways })}\n`);
}

/**
 * Stops in good order at SIGTERM and SIGINT. Nothing else ends the program: a failure that nobody
 * waited for belongs to one request, and the others' must not end with it.
 *
 * @param stop What ends in good order.
 */
export function runUntilStopped(stop: () => Promise<void>): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // Not `once`: without a listener a second signal would end the process before it has drained.
    process.on(signal, () => {
      logger.log("info", "stopping", { signal });
      stop().then(() => process.exit(0), (thrown) => fail(toLakeSyncError(thrown, "INTERNAL"), 1));
    });
  }
  // Whoever takes the output may be gone. To log that would fail in the same way, without end.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
  for (const event of ["unhandledRejection", "uncaughtException"] as const) {
    process.on(event, (thrown: unknown) => {
      const { code, message, cause } = toLakeSyncError(thrown, "INTERNAL");
      const stack = cause instanceof Error ? cause.stack : undefined;
      logger.log("error", "unhandled", { code, message, cause: stack });
    });
  }
}

/** Says why the program cannot go on, and ends it. */
export function fail({ code, message }: LakeSyncError, exitCode: number): never {
  logger.log("error", "failed", { code, message });
  return process.exit(exitCode);
}
