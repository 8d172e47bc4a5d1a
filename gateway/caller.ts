import { type Claims, err, isClientId, LakeSyncError, ok, type Result } from "@lakesync/core";

/** Whoever asks where the gateway runs without authentication: themselves, and an admin. */
export interface Anyone {
  /** Nobody has shown who they are. */
  readonly sub: undefined;
}

/** Whoever has shown a valid token. */
export interface Subject {
  /** Who it is. */
  readonly sub: string;
  /** What they may do. */
  readonly role: "client" | "admin";
  /** Everything that the token says; for rules. */
  readonly claims: Claims;
  /** When the token runs out, in ms since the Unix epoch. */
  readonly expiresAt: number;
}

/** Who sent a request. */
export type Caller = Anyone | Subject;

/** The caller of every request where the gateway runs without authentication. */
export const ANYONE: Anyone = { sub: undefined };

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
 * The claims that rules see.
 *
 * @param caller Who sent the request.
 * @param clientId The request's clientId.
 * @returns The token's claims; without authentication just `sub`, which the clientId then names.
 */
export function claimsOf(caller: Caller, clientId: string): Claims {
  return caller.sub === undefined ? { sub: subjectOf(clientId) } : caller.claims;
}

/**
 * Tells whether two clientIds belong to one caller.
 *
 * @param caller Who sent the request.
 * @param clientIds The request's clientId, which is the caller's own, and another one.
 * @returns Whether the other one is the caller's too.
 */
export function isOwnClientId(
  caller: Caller,
  clientIds: { readonly own: string; readonly other: string },
): boolean {
  const { own, other } = clientIds;
  if (other === own) return true;
  return caller.sub === undefined
    ? subjectOf(other) === subjectOf(own)
    : belongsTo(other, caller.sub);
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
  if (caller.sub !== undefined && !belongsTo(clientId, caller.sub)) {
    return err(
      new LakeSyncError(
        "FORBIDDEN",
        "clientId belongs to another subject: take the token's sub as encodeURIComponent writes it, alone or followed by : and a device name",
      ),
    );
  }
  return ok(clientId);
}

/** One spelling for each subject: otherwise two of one's databases could be taken for one. */
function belongsTo(clientId: string, sub: string): boolean {
  const encoded = encodeURIComponent(sub);
  return clientId === encoded || clientId.startsWith(`${encoded}:`);
}
