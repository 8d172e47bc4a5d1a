import { LakeSyncError } from "@lakesync/core";
import type { Cors } from "./cors.ts";

/** The longest URL, in characters. A router's cursor over many shards is the longest of ours. */
export const MAX_URL: number = 16 * 1024;

/** Whose requests a handler takes at all. */
export interface GuardOptions {
  /** The pages that are let in whatever `allowOrigin` says. */
  readonly cors: Cors;
  /** Whether a page of this origin may send requests. */
  readonly allowOrigin: (origin: string) => boolean;
  /** Whether the gateway goes by this name. */
  readonly allowHost: (host: string) => boolean;
}

/**
 * Finds what is wrong with a request's URL, before anything reads it: `Host` is a part of it, and
 * both come as they were sent.
 *
 * @param request The request.
 * @returns `VALIDATION_ERROR` where it is too long or no URL.
 */
export function urlFault(request: Request): LakeSyncError | undefined {
  if (request.url.length > MAX_URL) {
    return new LakeSyncError(
      "VALIDATION_ERROR",
      `The URL is longer than ${MAX_URL} characters: name fewer tables`,
    );
  }
  if (URL.canParse(request.url)) return undefined;
  return new LakeSyncError(
    "VALIDATION_ERROR",
    "The URL cannot be read: send a path, and in Host a name",
  );
}

/**
 * Finds why a request is none of the gateway's business: a page of another origin sends it, or one
 * that has its own name resolve to this machine (DNS rebinding).
 *
 * @param request The request.
 * @param options Whose are.
 * @returns `FORBIDDEN` with the next step, or undefined.
 */
export function strangerFault(request: Request, options: GuardOptions): LakeSyncError | undefined {
  const { cors, allowOrigin, allowHost } = options;
  const host = request.headers.get("host");
  // Without one it is no browser that asks.
  if (host !== null && !allowHost(host)) {
    return new LakeSyncError(
      "FORBIDDEN",
      "The gateway does not go by the name in Host: ask for it by a name or an address of this machine",
    );
  }
  const origin = request.headers.get("origin");
  if (origin !== null && !cors.allows(origin) && !allowOrigin(origin)) {
    return new LakeSyncError(
      "FORBIDDEN",
      "Pages of this origin may not use the gateway: list it in origins, or serve the page from this machine",
    );
  }
  return undefined;
}
