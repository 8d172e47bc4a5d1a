import { parseArgs } from "node:util";
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { DELETES } from "./lake_choice.ts";
import type { EngineName } from "./maintain_engine.ts";
import { isGatewayId } from "./open_lake.ts";
import { parseStore } from "./store_args.ts";
import type { StoreChoice } from "./stores.ts";

const ENGINES: readonly EngineName[] = ["duckdb", "streaming"];

/** What `maintain` was asked for. */
export interface MaintainArgs {
  /** Where the logs and the lakes are. */
  readonly data: string;
  /** `s3://BUCKET/PREFIX`, where the lakes are there. */
  readonly lake: string | undefined;
  /** The gateways' configuration. */
  readonly config: string | undefined;
  /** Whose lakes. */
  readonly gateways: readonly string[];
  /** Where the gateways' logs are: several processes agree there on who maintains. */
  readonly store: StoreChoice;
  /** Only tell. */
  readonly dryRun: boolean;
  /** Whether tables of current rows are made and kept. */
  readonly compact: boolean;
  /** How rows that changed are taken out of their files. */
  readonly deletes: typeof DELETES[number];
  /** What folds changes into rows; undefined: DuckDB where it can be loaded. */
  readonly engine: EngineName | undefined;
  /** Again after so many seconds; undefined: once. */
  readonly every: number | undefined;
}

/** How `maintain` is called. */
export const MAINTAIN_USAGE = `maintain [flags]    keeps the lakes of gateways in shape

  --data DIR        where the logs and the lakes are kept   (./lakesync-data)
  --lake URL        s3://BUCKET/PREFIX, as for serve; also LAKESYNC_LAKE
  --config FILE     a lakesync.config.ts, as for serve
  --gateway ID      whose lake; may be repeated             (default)
                    a shard's lake is that of ID.SHARD
  --store S         sqlite, memory, kv or postgres          (sqlite)
  --store-url URL   where a postgres or kv store is; better LAKESYNC_STORE_URL: passwords show here
  --dry-run         only tells what there is to do
  --no-compact      makes no tables of current rows
  --deletes FORM    how rows that changed are taken out of their files (rewrite):
                    rewrite writes these files anew; positions, vectors (format version 3) and
                    equality leave them and say which rows are gone: see docs/lake.md
  --engine NAME     duckdb or streaming                     (duckdb where it can be loaded)
  --every SECONDS   goes on, so many seconds after each run (once)
  --help            this text

Gateways may run meanwhile. With kv and postgres one process at a time maintains a gateway's lake, by
a lease in its store. The exit code is 1 where a step failed; each step is a line of JSON on stderr.`;

/**
 * Reads the flags and the environment of `maintain`.
 *
 * @param args The flags.
 * @param env The environment.
 * @returns What was asked for, or `"help"`; `VALIDATION_ERROR` where it cannot be done.
 */
export function parseMaintainArgs(
  args: readonly string[],
  env: { readonly [name: string]: string | undefined },
): Result<MaintainArgs | "help"> {
  let values: {
    data?: string;
    lake?: string;
    config?: string;
    gateway?: string[];
    store?: string;
    "store-url"?: string;
    "dry-run"?: boolean;
    "no-compact"?: boolean;
    deletes?: string;
    engine?: string;
    every?: string;
    help?: boolean;
  };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        data: { type: "string" },
        lake: { type: "string" },
        config: { type: "string" },
        gateway: { type: "string", multiple: true },
        store: { type: "string" },
        "store-url": { type: "string" },
        "dry-run": { type: "boolean" },
        "no-compact": { type: "boolean" },
        deletes: { type: "string" },
        engine: { type: "string" },
        every: { type: "string" },
        help: { type: "boolean" },
      },
    }));
  } catch (cause) {
    return invalid(`${cause instanceof Error ? cause.message : String(cause)}; see --help`);
  }
  if (values.help === true) return ok("help");
  const { data = "lakesync-data", gateway = ["default"], every } = values;
  if (data === "") return invalid("--data is empty: name a directory");
  if (every !== undefined && !/^[1-9]\d{0,6}$/.test(every)) {
    return invalid(`--every ${every} is no number of seconds: take 1 to 9999999`);
  }
  const deletes = DELETES.find((form) => form === (values.deletes ?? "rewrite"));
  if (deletes === undefined) {
    return invalid(`--deletes ${values.deletes} is unknown: take ${DELETES.join(", ")}`);
  }
  const engine = ENGINES.find((name) => name === values.engine);
  if (engine === undefined && values.engine !== undefined) {
    return invalid(`--engine ${values.engine} is unknown: take ${ENGINES.join(" or ")}`);
  }
  const bad = gateway.find((id) => !isGatewayId(id));
  if (bad !== undefined) {
    return invalid(`--gateway ${bad} is no id: take 1 to 64 letters, digits, ".", "_", "~" or "-"`);
  }
  const store = parseStore(values.store ?? "sqlite", {
    flag: values["store-url"],
    variable: env["LAKESYNC_STORE_URL"],
  });
  if (!store.ok) return store;
  return ok({
    data,
    lake: values.lake,
    config: values.config,
    gateways: gateway,
    store: store.value,
    dryRun: values["dry-run"] === true,
    compact: values["no-compact"] !== true,
    deletes,
    engine,
    every: every === undefined ? undefined : Number(every),
  });
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
