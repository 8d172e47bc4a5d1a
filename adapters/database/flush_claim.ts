import { type Clock, type ObjectInfo, ok, type Result } from "@lakesync/core";
import { decode, encode, type JobPlace } from "./flush_job_store.ts";

/** Who has the jobs of a place, and until when. */
interface Claim {
  readonly holder: string;
  readonly until: number;
}

/**
 * Takes the claim on a place's jobs, or renews it: the claim is the greatest number in `claims/`, and
 * each is put only where nobody put it. It is for economy: a job that two processes do is right, too.
 *
 * @returns Whether this holder has it.
 */
export async function claimJobs(
  place: JobPlace & { readonly leaseMs?: number },
  { holder, clock }: { holder: string; clock: Clock },
): Promise<Result<boolean>> {
  const { store, leaseMs = 60_000 } = place;
  const claims = await listClaims(place);
  if (!claims.ok) return claims;
  const last = claims.value.at(-1);
  if (last !== undefined) {
    const claim = await readClaim(place, last.key);
    if (!claim.ok) return claim;
    const free = claim.value === undefined || claim.value.until <= clock.now();
    const own = claim.value?.holder === holder;
    if (!free && !own) return ok(false);
    if (own && claim.value!.until > clock.now() + leaseMs / 2) return ok(true);
  }
  const next = last === undefined ? 1 : Number(last.key.slice(-16)) + 1;
  const claim: Claim = { holder, until: clock.now() + leaseMs };
  const put = await store.put(keyOf(place, next), encode(claim), { ifAbsent: true });
  if (!put.ok) return put.error.code === "CONFLICT" ? ok(false) : put;
  const old = await store.delete(claims.value.map(({ key }) => key));
  return old.ok ? ok(true) : old;
}

/** Lets go of the claim, where this holder has it. */
export async function releaseJobs(
  place: JobPlace,
  { holder }: { holder: string },
): Promise<Result<void>> {
  const claims = await listClaims(place);
  if (!claims.ok) return claims;
  const last = claims.value.at(-1);
  if (last === undefined) return ok(undefined);
  const claim = await readClaim(place, last.key);
  if (!claim.ok) return claim;
  return claim.value?.holder === holder ? await place.store.delete([last.key]) : ok(undefined);
}

async function listClaims({ store, prefix }: JobPlace): Promise<Result<readonly ObjectInfo[]>> {
  const page = await store.list(`${prefix}/claims/`);
  return page.ok ? ok(page.value.objects) : page;
}

/** A claim; undefined where it is gone meanwhile or damaged. */
async function readClaim({ store }: JobPlace, key: string): Promise<Result<Claim | undefined>> {
  const body = await store.get(key);
  if (!body.ok) return body.error.code === "NOT_FOUND" ? ok(undefined) : body;
  const claim = decode<Claim>(body.value, key);
  return ok(claim.ok ? claim.value : undefined);
}

function keyOf({ prefix }: JobPlace, claim: number): string {
  return `${prefix}/claims/${String(claim).padStart(16, "0")}`;
}
