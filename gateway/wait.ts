import type { Result, Scheduler } from "@lakesync/core";
import type { PageAnswer } from "./page_source.ts";
import type { Pages } from "./service.ts";

/**
 * The next page of some, which is waited for.
 *
 * @param pages The pages.
 * @param options How long at most, and what ends it early: then what stands is given.
 * @returns The page.
 */
export async function withWait(
  pages: Pages,
  options: { ms: number; scheduler: Scheduler; ends: readonly AbortSignal[] },
): Promise<Result<PageAnswer>> {
  if (options.ms === 0) return await pages.next();
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, ...options.ends]);
  // One delay for the whole wait; it ends early with the answer, the request or the gateway.
  void options.scheduler.delay(options.ms, { signal }).then(() => over.abort());
  try {
    return await pages.next({ over: over.signal });
  } finally {
    over.abort();
  }
}
