import { type Logger, ok, type Result } from "@lakesync/core";
import { loadConfig } from "./config.ts";
import { loadPages } from "./pages.ts";
import type { ServeArgs } from "./serve_args.ts";
import type { ServerOptions } from "./server.ts";

/**
 * Puts together what was asked for and what the configuration declares; flags and environment come
 * before it. Warns of what an operator may not want.
 *
 * @param args The flags and the environment.
 * @param logger Where warnings go.
 * @returns The options of a server; what is wrong with the configuration.
 */
export async function setUp(
  { config: path, auth, origins, lake: lakeUrl, maintain, pages: file, ...args }: ServeArgs,
  logger: Logger,
): Promise<Result<ServerOptions>> {
  const loaded = path === undefined ? undefined : await loadConfig(path);
  if (loaded?.ok === false) return loaded;
  const pages = file === undefined ? undefined : await loadPages(file);
  if (pages?.ok === false) return pages;
  const { tables, rules, limits, rates, front, shards } = loaded?.value ?? {};
  const { lake, destinations, flows, flushEvery, flushAt } = loaded?.value ?? {};
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
  return ok({
    ...args,
    ...front,
    ...(origins !== undefined && { origins }),
    ...(pages !== undefined && { pages: pages.value }),
    ...(auth !== undefined && { auth }),
    ...(tables !== undefined && { tables }),
    ...(rules !== undefined && { rules }),
    ...(limits !== undefined && { limits }),
    ...(rates !== undefined && { rates }),
    ...(shards !== undefined && { shards }),
    lake: {
      ...lake,
      ...(lakeUrl !== undefined && { url: lakeUrl }),
      ...(maintain !== undefined && { maintain: { ...lake?.maintain, every: maintain } }),
    },
    ...(destinations !== undefined && { destinations }),
    ...(flows !== undefined && { flows }),
    ...(flushEvery !== undefined && { flushEvery }),
    ...(flushAt !== undefined && { flushAt }),
    logger,
  });
}
