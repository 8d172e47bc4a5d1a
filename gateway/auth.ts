import { errors, jwtVerify, type JWTVerifyOptions } from "jose";
import {
  type Claims,
  type Clock,
  err,
  isJsonValue,
  LakeSyncError,
  ok,
  type Result,
  type Scheduler,
  systemClock,
  systemScheduler,
} from "@lakesync/core";
import { Jwks } from "./auth_jwks.ts";
import { tokenOf } from "./auth_token.ts";
import type { Subject } from "./caller.ts";

/** Options of {@linkcode createAuth}. At least one of `secrets` and `jwksUrl` is given. */
export interface AuthOptions {
  /**
   * Secrets of HS256 tokens: all of them verify, so that one can follow another.
   *
   * @default {[]}
   */
  secrets?: readonly string[];
  /**
   * Where the public keys of RS256, ES256 and EdDSA tokens are.
   *
   * @default {undefined}
   */
  jwksUrl?: string;
  /**
   * Only tokens of this issuer (`iss`).
   *
   * @default {undefined} of any
   */
  issuer?: string;
  /**
   * Only tokens for this audience (`aud`).
   *
   * @default {undefined} for any
   */
  audience?: string;
  /**
   * By how many seconds the issuer's clock may differ: so much before `nbf` and after `exp` a token
   * is still good.
   *
   * @default {0}
   */
  leewaySeconds?: number;
  /**
   * Whether a token may stand in the URL as `access_token`, for pages whose `EventSource` sends no
   * headers. URLs end up in logs of proxies.
   *
   * @default {false}
   */
  queryToken?: boolean;
  /**
   * How keys are fetched.
   *
   * @default {fetch}
   */
  fetch?: (request: Request) => Promise<Response>;
  /**
   * Physical time.
   *
   * @default {systemClock}
   */
  clock?: Clock;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
}

/** What a request wants to get at. */
export interface AdmitOptions {
  /** The gateway's id; undefined for what belongs to none. */
  readonly gateway: string | undefined;
  /** Whether only admins may. */
  readonly admin: boolean;
}

/** Finds out who sends requests. */
export interface Auth {
  /**
   * Lets a request in, or not.
   *
   * @param request The request; its body stays unread.
   * @param options What it wants to get at.
   * @returns Who sent it; `UNAUTHENTICATED` without a valid token, `FORBIDDEN` where that does not
   * reach so far.
   */
  admit(request: Request, options: AdmitOptions): Promise<Result<Subject>>;
}

/** More characters than any issuer's token has. */
const MAX_TOKEN = 16_384;

/** Public keys are for these alone: with HS256 among them anyone could sign with a public key. */
const PUBLIC_KEY_ALGORITHMS = ["RS256", "ES256", "EdDSA"];

/**
 * Authenticates requests by JSON Web Tokens (PROTOCOL, section 3).
 *
 * @param options The secrets or the key set.
 * @returns What lets requests in.
 *
 * @example A secret
 * ```ts
 * import { createAuth, signToken } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const secret = "a secret of at least thirty-two bytes";
 * const auth = createAuth({ secrets: [secret] });
 * const token = await signToken({ sub: "alice", gw: "default" }, { secret });
 * const headers = { authorization: `Bearer ${token}` };
 * const request = new Request("http://gateway/v1/sync/default/pull", { headers });
 * const caller = await auth.admit(request, { gateway: "default", admin: false });
 * assertEquals(caller.ok && caller.value.sub, "alice");
 * ```
 */
export function createAuth(options: AuthOptions): Auth {
  const { secrets = [], jwksUrl, clock = systemClock, scheduler = systemScheduler } = options;
  if (secrets.length === 0 && jwksUrl === undefined) {
    throw new TypeError("Cannot authenticate: give secrets or a jwksUrl");
  }
  if (secrets.includes("")) throw new TypeError("Cannot authenticate: a secret is empty");
  const encoder = new TextEncoder();
  const keys = secrets.map((secret) => encoder.encode(secret));
  const jwks = jwksUrl === undefined ? undefined : new Jwks({
    url: jwksUrl,
    fetch: options.fetch ?? fetch,
    clock,
    scheduler,
  });
  const { issuer, audience, leewaySeconds = 0 } = options;

  const verify = async (token: string): Promise<Claims> => {
    const checks: JWTVerifyOptions = {
      currentDate: new Date(clock.now()),
      clockTolerance: leewaySeconds,
      requiredClaims: ["exp", "sub"],
      ...(issuer !== undefined && { issuer }),
      ...(audience !== undefined && { audience }),
    };
    let failure: unknown;
    for (const key of keys) {
      try {
        return (await jwtVerify(token, key, { ...checks, algorithms: ["HS256"] }))
          .payload as Claims;
      } catch (thrown) {
        failure = thrown;
        const wrongKey = thrown instanceof errors.JWSSignatureVerificationFailed ||
          thrown instanceof errors.JOSEAlgNotAllowed;
        if (!wrongKey) throw thrown;
      }
    }
    if (jwks === undefined) throw failure;
    const { payload } = await jwtVerify(token, (header, jws) => jwks.keyFor(header, jws), {
      ...checks,
      algorithms: PUBLIC_KEY_ALGORITHMS,
    });
    return payload as Claims;
  };

  return {
    async admit(request, { gateway, admin }) {
      const token = tokenOf(request, { query: options.queryToken === true });
      if (token === undefined) {
        return unauthenticated("There is no token: send Authorization: Bearer <JWT>");
      }
      if (token.length > MAX_TOKEN) return unauthenticated("The token is too long");
      let claims: Claims;
      try {
        claims = await verify(token);
      } catch (thrown) {
        return thrown instanceof LakeSyncError ? err(thrown) : unauthenticated(reasonOf(thrown));
      }
      const { sub, exp } = claims;
      // Names that percent-encoding or storage would change could pass for others.
      if (typeof sub !== "string" || sub === "" || !isJsonValue(claims)) {
        return unauthenticated("The token's sub is not a well-formed string");
      }
      if (gateway !== undefined && !reaches(claims, gateway)) {
        return forbidden("The token is not for this gateway: get one with its id in gw");
      }
      const role = Object.hasOwn(claims, "role") && claims.role === "admin" ? "admin" : "client";
      if (admin && role !== "admin") {
        return forbidden('This is for admins: get a token with role "admin"');
      }
      return ok({ sub, role, claims, expiresAt: ((exp as number) + leewaySeconds) * 1000 });
    },
  };
}

function reaches(claims: Claims, gateway: string): boolean {
  const gw = Object.hasOwn(claims, "gw") ? claims.gw : undefined;
  return Array.isArray(gw) ? gw.includes(gateway) : gw === gateway;
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof errors.JWTExpired) return "The token has expired: get a new one";
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    return `The token's ${thrown.claim} is missing or not as it must be`;
  }
  return "The token is not valid: get one that this gateway's issuer has signed";
}

function unauthenticated(message: string): Result<never> {
  return err(new LakeSyncError("UNAUTHENTICATED", message));
}

function forbidden(message: string): Result<never> {
  return err(new LakeSyncError("FORBIDDEN", message));
}
