import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { type Exposure, type HandlerOptions, isOrigin } from "@lakesync/gateway";
import { isLocalHost, isLoopbackOrigin } from "./loopback.ts";

/** Who is let in from where, and what strangers may read. */
export interface FrontConfig {
  /**
   * The web pages of other origins that may send requests and read the answers (CORS), each by its
   * exact origin: `https://app.example.org`. Without authentication pages of this machine may send
   * requests too.
   *
   * @default {[]}
   */
  origins?: readonly string[];
  /**
   * Whether callers reach the gateways by HTTPS, behind a proxy say: then browsers are told to use
   * nothing else.
   *
   * @default {false}
   */
  https?: boolean;
  /**
   * Who may read `/metrics`: nobody (`"off"`), whoever has an admin's token, everybody (`"open"`).
   *
   * @default {"admin"} without authentication everybody is one
   */
  metrics?: Exposure;
  /**
   * Who may read `/ready`.
   *
   * @default {"open"}
   */
  ready?: Exposure;
}

const EXPOSURES: readonly unknown[] = ["off", "admin", "open"] satisfies Exposure[];

/** Reads the part of a configuration that is about who is let in. */
export function parseFront(
  { origins, https, metrics, ready }: { readonly [K in keyof FrontConfig]: unknown },
): Result<FrontConfig> {
  for (const [name, exposure] of Object.entries({ metrics, ready })) {
    if (exposure !== undefined && !EXPOSURES.includes(exposure)) {
      return invalid(`${name} is not "off", "admin" or "open"`);
    }
  }
  if (https !== undefined && typeof https !== "boolean") {
    return invalid("https is not true or false");
  }
  if (origins !== undefined) {
    if (!Array.isArray(origins)) return invalid("origins is not a list of origins");
    const fault = originsFault(origins);
    if (fault !== undefined) return invalid(`origins[${fault}] is no exact origin, ${HOW}`);
  }
  return ok({
    ...(origins !== undefined && { origins }),
    ...(https !== undefined && { https }),
    ...(metrics !== undefined && { metrics: metrics as Exposure }),
    ...(ready !== undefined && { ready: ready as Exposure }),
  });
}

/**
 * What of a configuration a handler goes by.
 *
 * @param config The configuration.
 * @returns Its options. Without authentication only this machine is let in, and no page of elsewhere.
 */
export function frontOf(
  config: FrontConfig & { readonly auth?: unknown },
): Pick<HandlerOptions, keyof FrontConfig | "allowOrigin" | "allowHost"> {
  const { auth, origins, https, metrics, ready } = config;
  return {
    ...(auth === undefined && { allowOrigin: isLoopbackOrigin, allowHost: isLocalHost }),
    ...(origins !== undefined && { origins }),
    ...(https !== undefined && { https }),
    ...(metrics !== undefined && { metrics }),
    ...(ready !== undefined && { ready }),
  };
}

/** How an origin is written. */
export const HOW: string = "write https://app.example.org";

/** The place of the first of these that is no origin. */
export function originsFault(origins: readonly unknown[]): number | undefined {
  const at = origins.findIndex((origin) => typeof origin !== "string" || !isOrigin(origin));
  return at < 0 ? undefined : at;
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
