/**
 * `deno task serve`: a gateway on this machine. See SERVE_USAGE.
 *
 * @module
 */
import process from "node:process";
import { type LakeSyncError, systemClock } from "@lakesync/core";
import { loadConfig, type LoadedConfig } from "./config.ts";
import { jsonLogger } from "./logger.ts";
import { parseServeArgs, SERVE_USAGE } from "./serve_args.ts";
import { startServer } from "./server.ts";

const logger = jsonLogger({ clock: systemClock });

async function main(): Promise<void> {
  const args = parseServeArgs(process.argv.slice(2), process.env);
  if (!args.ok) return fail(args.error, 2);
  if (args.value === "help") {
    process.stderr.write(`${SERVE_USAGE}\n`);
    return;
  }
  const { config: path, auth, ...options } = args.value;
  const config = path === undefined ? undefined : await loadConfig(path);
  if (config !== undefined && !config.ok) return fail(config.error, 2);
  const { tables, rules, limits, rates, flushEvery }: Partial<LoadedConfig> = config?.value ?? {};
  const server = await startServer({
    ...options,
    ...(tables !== undefined && { tables }),
    ...(rules !== undefined && { rules }),
    ...(auth !== undefined && { auth }),
    ...(limits !== undefined && { limits }),
    ...(rates !== undefined && { rates }),
    ...(flushEvery !== undefined && { flushEvery }),
    logger,
  });
  if (!server.ok) return fail(server.error, 1);
  const { url, stop } = server.value;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // Not `once`: without a listener a second signal would end the process before it has drained.
    process.on(signal, () => {
      logger.log("info", "stopping", { signal });
      stop().then(() => process.exit(0), (thrown) => fail(thrown as LakeSyncError, 1));
    });
  }
  if (auth === undefined) {
    logger.log("warn", "unauthenticated", {
      message:
        "Without LAKESYNC_JWT_SECRET or LAKESYNC_JWKS_URL everyone on this machine is an admin",
    });
  }
  if (auth?.secrets?.some((secret) => secret.length < 32) === true) {
    logger.log("warn", "short-secret", {
      message: "A secret of LAKESYNC_JWT_SECRET has less than 32 characters: it may be guessed",
    });
  }
  process.stdout.write(
    `${JSON.stringify({ event: "listening", url, gateways: options.gateways })}\n`,
  );
}

function fail(error: LakeSyncError, code: number): void {
  logger.log("error", "failed", { code: error.code, message: error.message });
  process.exit(code);
}

await main();
