/**
 * `deno run -A deploy/rebuild.ts`: a gateway's lost log, from its lake. See REBUILD_USAGE.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { err, LakeSyncError, type Result, toLakeSyncError } from "@lakesync/core";
import { openSqliteLogStore } from "@lakesync/gateway";
import { gatewayPaths } from "./gateway_paths.ts";
import { isGatewayId, type LakeArgs, openLake } from "./open_lake.ts";
import { rebuildLog, type RebuildReport } from "./rebuild_log.ts";

const REBUILD_USAGE = `rebuild [flags]    makes a gateway's lost log anew from its lake

  --data DIR        where the logs and the lake are kept  (./lakesync-data)
  --gateway ID      the gateway; it must not be running   (default)
  --config FILE     a lakesync.config.ts, where that says where the lake is
  --lake URL        where the lake is: s3://BUCKET/PREFIX
  --help            this text

Then start the gateway as ever. Its clients send up what they still keep and go on. Rules are not in
the lake: give them with --config, or put them again.`;

/**
 * Rebuilds the SQLite log of a gateway from its lake below a data directory. The log takes its place
 * only when it is complete.
 */
async function rebuildHere(args: LakeArgs): Promise<Result<RebuildReport>> {
  const { data, id } = args;
  const { log } = gatewayPaths(data, id);
  const folder = dirname(log);
  if (existsSync(log)) {
    return err(
      new LakeSyncError("CONFLICT", `There is a log in ${folder}: move that folder away first`),
    );
  }
  const catalogue = await openLake(args);
  if (!catalogue.ok) return catalogue;
  const making = `${folder}.rebuilding`;
  // Of an attempt that was killed.
  await rm(making, { recursive: true, force: true });
  const store = await openSqliteLogStore({ path: join(making, basename(log)) });
  if (!store.ok) return store;
  const report = await rebuildLog({ catalogue: catalogue.value, store: store.value, id });
  if (report.ok) {
    await rm(folder, { recursive: true, force: true });
    await rename(making, folder);
  } else await rm(making, { recursive: true, force: true });
  return report;
}

async function main(): Promise<number> {
  try {
    const { values } = parseArgs({
      options: {
        data: { type: "string", default: "lakesync-data" },
        gateway: { type: "string", default: "default" },
        config: { type: "string" },
        lake: { type: "string" },
        help: { type: "boolean" },
      },
    });
    if (values.help === true) {
      process.stdout.write(`${REBUILD_USAGE}\n`);
      return 0;
    }
    const { data, gateway: id, config, lake } = values;
    if (!isGatewayId(id)) throw new TypeError(`--gateway ${id} is no id`);
    const report = await rebuildHere({ data, id, config, lake, env: process.env });
    if (!report.ok) return fail(report.error, 1);
    process.stdout.write(`${JSON.stringify({ event: "rebuilt", ...report.value })}\n`);
    return 0;
  } catch (thrown) {
    const wrong = thrown instanceof TypeError;
    return fail(toLakeSyncError(thrown, wrong ? "VALIDATION_ERROR" : "INTERNAL"), wrong ? 2 : 1);
  }
}

function fail({ code, message }: LakeSyncError, exit: number): number {
  process.stderr.write(`${code}: ${message}${exit === 2 ? "; see --help" : ""}\n`);
  return exit;
}

process.exitCode = await main();
