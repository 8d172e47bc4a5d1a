import { LakeSyncError, silentLogger, systemRandom } from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { runLeaderWorker } from "./_leader_worker.ts";
import { TabLink } from "./_tab_link.ts";
import type { Port } from "./_tab_rpc.ts";

const CONFIG = {
  url: undefined,
  gateway: undefined,
  wasmUrl: undefined,
  auto: false,
  intervalMs: 1_000,
  retentionMs: 1e9,
};

function helloOf(tab: string) {
  const clientId = undefined;
  return { tab, tables: [], clientId, was: undefined, paused: false, hasToken: false };
}

/** Channels that all who join one hear. */
function channels(): (name: string) => Port {
  const joined: { name: string; hear: (message: unknown) => void; open: boolean }[] = [];
  return (name) => {
    const self = { name, hear: (_: unknown) => {}, open: true };
    joined.push(self);
    return {
      post: (message) => {
        for (const other of joined) {
          if (other === self || other.name !== name) continue;
          queueMicrotask(() => other.open && other.hear(message));
        }
      },
      listen: (listener) => self.hear = listener,
      close: () => self.open = false,
    };
  };
}

function linkOf(
  tab: string,
  worker: Port,
  world: { clock: ManualClock; channel(n: string): Port },
) {
  const { clock, channel } = world;
  return new TabLink({
    tab,
    hello: () => helloOf(tab),
    control: channel("lakesync:app"),
    own: channel(`lakesync:app:${tab}`),
    worker,
    scheduler: clock,
    logger: silentLogger,
    handlers: {
      asked: { token: () => Promise.resolve(""), judge: () => Promise.resolve([]) },
      told: { changed() {}, refused() {}, status() {}, event() {} },
    },
    welcomed() {},
    ended() {},
  });
}

test("a database that takes minutes to open is waited for by all tabs, while its tab lives", async () => {
  const clock = new ManualClock();
  const channel = channels();
  let toWorker: (message: unknown) => void = () => {};
  let toPage: (message: unknown) => void = () => {};
  runLeaderWorker({
    page: {
      post: (message) => toPage(message),
      listen: (listener) => toWorker = listener,
      close() {},
    },
    channel,
    locks: { request: (_name, _options, hold) => hold() },
    prepare() {},
    open: () => new Promise(() => {}),
    remove: () => Promise.reject(new Error("nothing is removed")),
    transport: () => undefined,
    clock,
    random: systemRandom,
    scheduler: clock,
    logger: silentLogger,
  });
  const worker = { post: toWorker, listen: (hear: typeof toPage) => toPage = hear, close() {} };
  const opening = linkOf("opening", worker, { clock, channel });
  const silent = { post() {}, listen() {}, close() {} };
  const other = linkOf("other", silent, { clock, channel });
  const outcomes: string[] = [];
  for (const link of [opening, other]) {
    link.leader().catch((thrown) => outcomes.push((thrown as LakeSyncError).code));
  }
  toWorker({
    start: { name: "app", storage: undefined, config: CONFIG, hello: helloOf("opening") },
  });
  await clock.advance(180_000);
  assertEquals(outcomes, []);
  opening.end(new LakeSyncError("CLOSED", "The tab was closed"));
  await clock.advance(20_000);
  assertEquals(outcomes, ["CLOSED", "TIMEOUT"]);
  other.end(new LakeSyncError("CLOSED", "The tab was closed"));
});
