import { parseArgs } from "node:util";
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { HOW, originsFault } from "./config_front.ts";
import { isLoopback } from "./loopback.ts";
import { parseStore } from "./store_args.ts";
import type { StoreChoice } from "./stores.ts";

/** What `serve` was asked for. */
export interface ServeArgs {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly store: StoreChoice;
  readonly gateways: readonly string[];
  readonly config: string | undefined;
  /** Where the lake is; undefined where nothing is said. */
  readonly lake: string | undefined;
  /** Seconds between runs of the lake's upkeep, 0 for never; undefined where nothing is said. */
  readonly maintain: number | undefined;
  /** The pages that are let in; undefined where nothing is said. */
  readonly origins: readonly string[] | undefined;
  /** The module that answers for web pages; undefined for none. */
  readonly pages: string | undefined;
  /** How requests are authenticated; undefined for not at all. */
  readonly auth: ServeAuth | undefined;
}

/** What the environment says of tokens. */
export interface ServeAuth {
  readonly secrets?: readonly string[];
  readonly jwksUrl?: string;
}

/** How `serve` is called. */
export const SERVE_USAGE = `serve [flags]    starts a gateway

  --port N          the port, 0 for any free one          (8787)
  --host H          the address to listen on              (127.0.0.1)
  --data DIR        where the logs and the lake are kept  (./lakesync-data)
  --store S         sqlite, memory, kv or postgres        (sqlite)
  --store-url URL   where a postgres or kv store is; better LAKESYNC_STORE_URL: passwords show here
  --gateway ID      a gateway to serve; may be repeated   (default)
  --config FILE     a lakesync.config.ts
  --lake URL        s3://BUCKET/PREFIX: the lake there, without a catalogue; also LAKESYNC_LAKE
  --maintain SECS   how often the lake is compacted and cleared up, 0 for never  (3600)
  --origin ORIGIN   web pages that may ask: https://app.example.org; may be repeated
  --pages FILE      a module whose default export answers requests for web pages
  --help            this text

LAKESYNC_JWT_SECRET (comma-separated, the first signs) or LAKESYNC_JWKS_URL authenticate requests.
With neither, loopback only: everyone is an admin. LAKESYNC_ORIGINS is a comma-separated --origin.
S3 is reached by AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION and
AWS_ENDPOINT_URL; a catalogue by LAKESYNC_CATALOGUE_TOKEN or LAKESYNC_CATALOGUE_CREDENTIAL.`;

/**
 * Reads the flags and the environment of `serve`.
 *
 * @param args The flags.
 * @param env The environment.
 * @returns What was asked for, or `"help"`; `VALIDATION_ERROR` where it cannot be done.
 */
export function parseServeArgs(
  args: readonly string[],
  env: { readonly [name: string]: string | undefined },
): Result<ServeArgs | "help"> {
  let values: {
    port?: string;
    host?: string;
    data?: string;
    store?: string;
    "store-url"?: string;
    gateway?: string[];
    config?: string;
    lake?: string;
    maintain?: string;
    origin?: string[];
    pages?: string;
    help?: boolean;
  };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        port: { type: "string" },
        host: { type: "string" },
        data: { type: "string" },
        store: { type: "string" },
        "store-url": { type: "string" },
        gateway: { type: "string", multiple: true },
        config: { type: "string" },
        lake: { type: "string" },
        maintain: { type: "string" },
        origin: { type: "string", multiple: true },
        pages: { type: "string" },
        help: { type: "boolean" },
      },
    }));
  } catch (cause) {
    return invalid(`${cause instanceof Error ? cause.message : String(cause)}; see --help`);
  }
  if (values.help === true) return ok("help");
  const { port = "8787", host = "127.0.0.1", data = "lakesync-data", gateway = ["default"] } =
    values;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    return invalid(`--port ${port} is not a port: take 0 to 65535`);
  }
  // Its logs would land in the working directory.
  if (data === "") return invalid("--data is empty: name a directory");
  const store = parseStore(values.store ?? "sqlite", {
    flag: values["store-url"],
    variable: env["LAKESYNC_STORE_URL"],
  });
  if (!store.ok) return store;
  for (const id of gateway) {
    if (!/^[A-Za-z0-9._~-]{1,64}$/.test(id) || /^\.+$/.test(id)) {
      return invalid(
        `--gateway ${id} is no id: take 1 to 64 letters, digits, ".", "_", "~" or "-"`,
      );
    }
  }
  if (new Set(gateway).size < gateway.length) return invalid("--gateway names one id twice");
  const lake = values.lake ?? (env["LAKESYNC_LAKE"] || undefined);
  if (lake !== undefined && !/^s3:\/\/[^/]/.test(lake)) {
    return invalid(`--lake ${lake} is no lake: write s3://BUCKET/PREFIX`);
  }
  const { maintain } = values;
  if (maintain !== undefined && !/^(0|[1-9]\d{0,5})$/.test(maintain)) {
    return invalid(`--maintain ${maintain} is no number of seconds: take 0 (never) to 999999`);
  }
  const origins = originsOf(values.origin, env["LAKESYNC_ORIGINS"]);
  if (!origins.ok) return origins;
  const auth = authOf(env);
  if (!auth.ok) return auth;
  if (auth.value === undefined && !isLoopback(host)) {
    return invalid(
      `--host ${host} is refused: without authentication a gateway serves loopback only, set LAKESYNC_JWT_SECRET or LAKESYNC_JWKS_URL`,
    );
  }
  return ok({
    port: Number(port),
    host,
    data,
    store: store.value,
    gateways: gateway,
    config: values.config,
    lake,
    maintain: maintain === undefined ? undefined : Number(maintain),
    origins: origins.value,
    pages: values.pages,
    auth: auth.value,
  });
}

function originsOf(
  flag: readonly string[] | undefined,
  variable = "",
): Result<readonly string[] | undefined> {
  const listed = variable.split(",").map((origin) => origin.trim()).filter(Boolean);
  const origins = flag ?? (listed.length > 0 ? listed : undefined);
  const fault = originsFault(origins ?? []);
  if (fault === undefined) return ok(origins);
  const name = flag === undefined ? "LAKESYNC_ORIGINS" : "--origin";
  return invalid(`${name}: ${origins![fault]} is no exact origin, ${HOW}`);
}

function authOf(
  env: { readonly [name: string]: string | undefined },
): Result<ServeAuth | undefined> {
  const { LAKESYNC_JWT_SECRET: list = "", LAKESYNC_JWKS_URL: jwksUrl = "" } = env;
  const secrets = list.split(",").map((secret) => secret.trim()).filter((secret) => secret !== "");
  // To go on without it would open a gateway that its operator believes to be closed.
  if (list !== "" && secrets.length === 0) {
    return invalid("LAKESYNC_JWT_SECRET is set but has no secret in it: unset it or give one");
  }
  if (jwksUrl !== "" && !/^https?:$/.test(URL.parse(jwksUrl)?.protocol ?? "")) {
    return invalid("LAKESYNC_JWKS_URL is not an http or https URL: correct it or unset it");
  }
  if (secrets.length === 0 && jwksUrl === "") return ok(undefined);
  return ok({ ...(secrets.length > 0 && { secrets }), ...(jwksUrl !== "" && { jwksUrl }) });
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
