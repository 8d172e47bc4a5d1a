import { LakeSyncError, type Scheduler } from "@lakesync/core";
import type { TabHost } from "./_tab_host.ts";

/** How long a tab may take to give a token before the next one is asked. */
const TOKEN_MS = 5_000;

/** A token from the first tab that gives one: those that are hung or frozen do not answer. */
export async function askForToken(
  tabs: Iterable<Pick<TabHost, "hello" | "token">>,
  scheduler: Scheduler,
): Promise<string> {
  let failure: unknown;
  for (const host of [...tabs].filter(({ hello }) => hello.hasToken)) {
    const over = new AbortController();
    try {
      const late = scheduler.delay(TOKEN_MS, { signal: over.signal }).then(() => {
        throw new LakeSyncError("TIMEOUT", `The tab gave no token within ${TOKEN_MS} ms`);
      });
      late.catch(() => {});
      return await Promise.race([host.token(), late]);
    } catch (thrown) {
      failure = thrown;
    } finally {
      over.abort();
    }
  }
  throw failure ??
    new LakeSyncError("UNAUTHENTICATED", "No tab could be asked for a token: open the app");
}
