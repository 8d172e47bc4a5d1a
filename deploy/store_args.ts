import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { STORE_KINDS, type StoreChoice } from "./stores.ts";

/**
 * Reads which store `serve` was asked for.
 *
 * @param name The value of `--store`.
 * @param urls The values of `--store-url` and of LAKESYNC_STORE_URL.
 * @returns The choice; `VALIDATION_ERROR` where it is none. No message shows a URL: it may have a
 * password.
 */
export function parseStore(
  name: string,
  urls: { flag: string | undefined; variable: string | undefined },
): Result<StoreChoice> {
  const kind = STORE_KINDS.find((kind) => kind === name);
  if (kind === undefined) {
    return invalid(`--store ${name} is not known: take ${STORE_KINDS.join(", ")}`);
  }
  const url = urls.flag ?? (urls.variable === "" ? undefined : urls.variable);
  if (kind === "postgres" && url === undefined) {
    return invalid(
      "--store postgres needs a URL: set LAKESYNC_STORE_URL to postgres://user@host/database",
    );
  }
  if ((kind === "sqlite" || kind === "memory") && url !== undefined) {
    // To go on without it would start an empty log beside the one that its operator means.
    const given = urls.flag === undefined ? "LAKESYNC_STORE_URL" : "--store-url";
    return invalid(
      `${given} is set, but the ${kind} store takes no URL: add --store postgres or --store kv`,
    );
  }
  return ok({ kind, ...(url !== undefined && { url }) });
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
