import { SignJWT } from "jose";
import { type Clock, isJsonValue, type JsonValue, systemClock } from "@lakesync/core";

/** What a token says. */
export interface TokenClaims {
  /** Who it is for. */
  readonly sub: string;
  /** The id of the gateway that it opens, or several. */
  readonly gw: string | readonly string[];
  /**
   * What its bearer may do.
   *
   * @default {"client"}
   */
  readonly role?: "client" | "admin";
  /** Anything else, for rules. */
  readonly [claim: string]: JsonValue | undefined;
}

/** Options of {@linkcode signToken}. */
export interface SignTokenOptions {
  /** The secret, or the first of those that the gateway verifies with. */
  secret: string;
  /**
   * After how many seconds it runs out.
   *
   * @default {3_600}
   */
  expiresInSeconds?: number;
  /**
   * Physical time.
   *
   * @default {systemClock}
   */
  clock?: Clock;
}

/**
 * Signs a token (HS256), on a server that knows who its user is. `iat` and `exp` are put in.
 *
 * @param claims What it says: any JSON, also beyond ASCII.
 * @param options The secret.
 * @returns The token.
 * @throws {TypeError} Where the claims are not plain JSON, or the secret is empty.
 *
 * @example A token for ten minutes
 * ```ts
 * import { signToken } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const claims = { sub: "zoë", gw: "default", teams: ["赤", "青"] };
 * const token = await signToken(claims, {
 *   secret: "a secret of at least thirty-two bytes",
 *   expiresInSeconds: 600,
 * });
 * assertEquals(token.split(".").length, 3);
 * ```
 */
export async function signToken(claims: TokenClaims, options: SignTokenOptions): Promise<string> {
  const { secret, expiresInSeconds = 3_600, clock = systemClock } = options;
  if (secret === "") throw new TypeError("Cannot sign a token: the secret is empty");
  const given = Object.fromEntries(
    Object.entries(claims).filter(([, value]) => value !== undefined),
  );
  // A lone surrogate would silently become another name.
  if (!isJsonValue(given)) {
    throw new TypeError("Cannot sign a token: its claims are not plain JSON");
  }
  const now = Math.floor(clock.now() / 1000);
  return await new SignJWT({ iat: now, exp: now + expiresInSeconds, ...given })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .sign(new TextEncoder().encode(secret));
}
