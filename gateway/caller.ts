import { err, isClientId, LakeSyncError, ok, type Result } from "@lakesync/core";

/** Who sent a request. */
export interface Caller {
  /** The authenticated subject; undefined where the gateway runs without authentication. */
  readonly sub: string | undefined;
}

/**
 * The subject that a clientId belongs to: its part before the first ":", percent-decoded.
 *
 * @param clientId The clientId.
 * @returns The subject.
 */
export function subjectOf(clientId: string): string {
  const encoded = clientId.split(":", 1)[0]!;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded; // not percent-encoded: without authentication it is taken as it is
  }
}

/**
 * Checks that a request's clientId is the caller's own.
 *
 * @param caller Who sent the request.
 * @param clientId The clientId as it was sent.
 * @returns The clientId; `VALIDATION_ERROR` where it is none, `FORBIDDEN` where it is somebody else's.
 */
export function checkClientId(caller: Caller, clientId: unknown): Result<string> {
  if (!isClientId(clientId)) {
    return err(
      new LakeSyncError(
        "VALIDATION_ERROR",
        "clientId must be a well-formed string of 1 to 1,024 bytes: the percent-encoded subject, alone or followed by : and a device name",
      ),
    );
  }
  if (caller.sub !== undefined && subjectOf(clientId) !== caller.sub) {
    return err(
      new LakeSyncError("FORBIDDEN", "clientId belongs to another subject: use one of your own"),
    );
  }
  return ok(clientId);
}
