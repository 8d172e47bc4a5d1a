import type { Logger } from "@lakesync/core";

/** Where an app in a browser gives no logger: warnings must be seen, such as that nothing is kept. */
export const consoleLogger: Logger = {
  log(level, event, facts) {
    if (level !== "warn" && level !== "error") return;
    // deno-lint-ignore lakesync/ports -- this is a Logger: a page has nowhere else to write
    console[level](`LakeSync: ${event}`, facts ?? {});
  },
};
