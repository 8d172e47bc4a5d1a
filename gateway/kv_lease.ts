import type { KvContext } from "./kv_head.ts";

/** A lease as it is stored. */
interface Lease {
  readonly holder: string;
  /** When it ends, by the store's clock, in ms. */
  readonly until: number;
}

/**
 * Takes or renews a lease.
 *
 * @param context The store.
 * @param name The lease.
 * @param options Who takes it, for how long, and the store's clock.
 * @returns Whether it is taken; false where somebody else has it.
 */
export async function takeLease(
  { kv, keys }: KvContext,
  name: string,
  options: { holder: string; ttlMs: number; now: number },
): Promise<boolean> {
  const { holder, ttlMs, now } = options;
  const key = keys.lease(name);
  for (;;) {
    const { value, versionstamp } = await kv.get(key);
    const held = value as Lease | null;
    if (held !== null && held.holder !== holder && held.until > now) return false;
    const lease: Lease = { holder, until: now + ttlMs };
    const { ok } = await kv.atomic().check({ key, versionstamp }).set(key, lease).commit();
    if (ok) return true;
  }
}

/** Lets go of a lease, where this holder has it. */
export async function dropLease(
  { kv, keys }: KvContext,
  name: string,
  holder: string,
): Promise<void> {
  const key = keys.lease(name);
  const { value, versionstamp } = await kv.get(key);
  if ((value as Lease | null)?.holder !== holder) return;
  // Where somebody has taken it in between, it is not this holder's any more.
  await kv.atomic().check({ key, versionstamp }).delete(key).commit();
}
