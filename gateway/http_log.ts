import type { LakeSyncError, Logger, Random } from "@lakesync/core";

/**
 * The id of a request, under which callers and the log know it.
 *
 * @param request The request.
 * @param random Where new ids come from.
 * @returns The caller's own, where it is printable ASCII of at most 128 characters; else a new one.
 */
export function requestIdOf(request: Request, random: Random): string {
  const given = request.headers.get("x-request-id");
  return given !== null && /^[\x20-\x7e]{1,128}$/.test(given) ? given : random.uuid();
}

/** Logs what a request failed with. */
export function logFailure(logger: Logger, error: LakeSyncError, requestId: string): void {
  logger.log("error", "request.failed", {
    requestId,
    code: error.code,
    message: error.message,
    cause: error.cause instanceof Error ? error.cause.stack : undefined,
  });
}
