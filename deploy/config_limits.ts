import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import {
  DEFAULT_HANDLER_LIMITS,
  DEFAULT_LIMITS,
  type GatewayLimits,
  type HandlerLimits,
  type MemoryRateLimiterOptions,
  type Rate,
} from "@lakesync/gateway";

/** How often clients may ask. */
export type Rates = Pick<MemoryRateLimiterOptions, "perClient" | "perGateway">;

const LIMITS = { ...DEFAULT_LIMITS, ...DEFAULT_HANDLER_LIMITS };
const RATES = ["perClient", "perGateway"] as const;

/** Reads the `limits` of a configuration: numbers above 0, each under a name that there is. */
export function parseLimits(value: unknown): Result<Partial<GatewayLimits & HandlerLimits>> {
  if (value === undefined) return ok({});
  if (typeof value !== "object" || value === null) return invalid("limits is no object of numbers");
  for (const [name, limit] of Object.entries(value)) {
    if (!Object.hasOwn(LIMITS, name)) return invalid(`limits: "${name}" is not known, take it out`);
    if (!(typeof limit === "number" && limit > 0)) {
      return invalid(`limits.${name} is not a number above 0`);
    }
  }
  return ok(value);
}

/** Reads the `rates` of a configuration. */
export function parseRates(value: unknown): Result<Rates | undefined> {
  if (value === undefined) return ok(undefined);
  if (typeof value !== "object" || value === null) return invalid("rates is no object");
  for (const [name, rate] of Object.entries(value)) {
    if (!RATES.some((known) => known === name)) {
      return invalid(`rates: "${name}" is not known, take perClient or perGateway`);
    }
    if (!isRate(rate)) {
      return invalid(`rates.${name} is not { perSecond, burst } with numbers above 0 and from 1`);
    }
  }
  return ok(value);
}

function isRate(value: unknown): value is Rate {
  if (typeof value !== "object" || value === null) return false;
  const { perSecond, burst = 1, ...strange } = value as { readonly [name: string]: unknown };
  return typeof perSecond === "number" && perSecond > 0 && Number.isFinite(perSecond) &&
    typeof burst === "number" && burst >= 1 && Number.isFinite(burst) &&
    Object.keys(strange).length === 0;
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
