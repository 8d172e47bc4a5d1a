import { existsSync } from "node:fs";
import type { Catalogue } from "@lakesync/adapter-iceberg";
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { loadConfig } from "./config.ts";
import { gatewayPaths } from "./gateway_paths.ts";
import { type Env, openLakes } from "./lake.ts";

/** Which lake a command is for: as `serve` is told. */
export interface LakeArgs {
  /** The data directory. */
  readonly data: string;
  /** The gateway's id. */
  readonly id: string;
  /** A `lakesync.config.ts`. */
  readonly config: string | undefined;
  /** `s3://BUCKET/PREFIX`; `LAKESYNC_LAKE` says it too. */
  readonly lake: string | undefined;
  /** The environment. */
  readonly env: Env;
}

/** Tells whether an id can be a gateway's. */
export function isGatewayId(id: string): boolean {
  return /^[A-Za-z0-9._~-]{1,64}$/.test(id) && !/^\.+$/.test(id);
}

/**
 * Opens the tables of one gateway's lake, wherever `serve` flushes them to.
 *
 * @param args Which.
 * @returns Its catalogue; `NOT_FOUND` where the gateway has neither log nor lake, `VALIDATION_ERROR`
 * where its lake has no tables or the configuration is wrong.
 */
export async function openLake(args: LakeArgs): Promise<Result<Catalogue>> {
  const { data, id, config, env } = args;
  const lake = args.lake ?? (env["LAKESYNC_LAKE"] || undefined);
  const loaded = config === undefined ? undefined : await loadConfig(config);
  if (loaded?.ok === false) return loaded;
  const choice = { ...loaded?.value.lake, ...(lake !== undefined && { url: lake }) };
  const paths = gatewayPaths(data, id);
  const here = choice.url === undefined && choice.catalogue === undefined;
  if (here && !existsSync(paths.lake) && !existsSync(paths.log)) {
    return err(
      new LakeSyncError(
        "NOT_FOUND",
        `There is no gateway "${id}" in ${data}: give data directory, id, lake and configuration as serve got them`,
      ),
    );
  }
  const lakes = await openLakes({ choice, directory: (id) => gatewayPaths(data, id).lake, env });
  if (!lakes.ok) return lakes;
  const catalogue = lakes.value.catalogue(id);
  return catalogue === undefined
    ? err(
      new LakeSyncError(
        "VALIDATION_ERROR",
        "The lake is in JSON files, which have no tables: read them with DuckDB's read_json",
      ),
    )
    : ok(catalogue);
}
