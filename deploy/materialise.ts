/**
 * `deno run -A deploy/materialise.ts --config FILE`: keeps the tables for people whose jobs a server
 * leaves in an object store. See MATERIALISE_USAGE.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { LakeSyncError, toLakeSyncError } from "@lakesync/core";
import { memoryLogStore } from "@lakesync/gateway";
import { loadConfig } from "./config.ts";
import { type OpenDestination, openDestinations } from "./databases.ts";
import { fail, logger } from "./program.ts";

const MATERIALISE_USAGE = `materialise --config FILE [flags]    keeps tables for people to query

  --config FILE     the server's lakesync.config.ts
  --gateway ID      whose destinations; may be repeated     (default)
  --every SECONDS   how often it looks for jobs             (5)
  --lease SECONDS   how long no other takes over from one that has died  (60)
  --help            this text

For destinations with \`materialise: { jobs: STORE }\`. Several of these may run, and end at any time:
one at a time does the work.`;

interface Flags {
  config?: string;
  gateway?: string[];
  every?: string;
  lease?: string;
  help?: boolean;
}

function parseFlags(): Flags {
  try {
    return parseArgs({
      options: {
        config: { type: "string" },
        gateway: { type: "string", multiple: true },
        every: { type: "string" },
        lease: { type: "string" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (thrown) {
    return fail(toLakeSyncError(thrown, "VALIDATION_ERROR"), 2);
  }
}

async function main(): Promise<void> {
  const { config, gateway: gateways = ["default"], every = "5", lease = "60", help } = parseFlags();
  if (help === true) {
    process.stderr.write(`${MATERIALISE_USAGE}\n`);
    return;
  }
  const invalid = (message: string) => fail(new LakeSyncError("VALIDATION_ERROR", message), 2);
  if (config === undefined) return invalid("--config FILE is missing: give the server's");
  for (const [flag, value] of Object.entries({ every, lease })) {
    const seconds = Number(value);
    if (!(seconds > 0 && Number.isFinite(seconds))) {
      return invalid(`--${flag} "${value}" is no number of seconds above 0`);
    }
  }
  const loaded = await loadConfig(config);
  if (!loaded.ok) return fail(loaded.error, 2);
  const opened: OpenDestination[] = [];
  for (const gateway of gateways) {
    // What outlives a process is in the jobs' store here, not in a log.
    const context = { gateway, store: memoryLogStore(), logger };
    const destinations = await openDestinations(loaded.value.destinations, context);
    if (!destinations.ok) return fail(destinations.error, 1);
    opened.push(...destinations.value);
  }
  const stopping = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => stopping.abort());
  const working = opened.flatMap(({ work }) =>
    work?.({
      signal: stopping.signal,
      everyMs: Number(every) * 1000,
      leaseMs: Number(lease) * 1000,
    }) ?? []
  );
  if (working.length === 0) {
    return invalid(`${config}: no destination has materialise: { jobs: STORE }`);
  }
  // Delays keep no process alive.
  const alive = setInterval(() => {}, 60_000);
  logger.log("info", "materialise.ready", { destinations: working.length });
  await Promise.all(working);
  clearInterval(alive);
  for (const { close } of opened) await close?.();
}

await main();
