import { ok, type PullAnswer, type PullRequest, type SyncTransport } from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { PullAhead } from "./_pull_ahead.ts";

/** A transport that notes what it is asked, and what is given up. */
function recorder(): { asked: string[]; stopped: string[]; transport: SyncTransport } {
  const asked: string[] = [];
  const stopped: string[] = [];
  const pull = ({ cursor }: PullRequest, { signal }: { signal?: AbortSignal } = {}) => {
    asked.push(cursor);
    signal?.addEventListener("abort", () => stopped.push(cursor));
    const page: PullAnswer = {
      deltas: [],
      cursor: `${cursor}+`,
      seq: 1,
      hasMore: true,
      serverHlc: "1",
    };
    return Promise.resolve(ok(page));
  };
  const never = () => Promise.reject(new TypeError("it is not asked for that"));
  return { asked, stopped, transport: { pull, push: never, checkpoint: never } };
}

test("a page that was asked for ahead is not asked for again", async () => {
  const clock = new ManualClock();
  const { asked, stopped, transport } = recorder();
  const pages = new PullAhead({ transport, clock }, new AbortController().signal);
  await pages.pull({ clientId: "a", cursor: "1" }).answer;
  pages.ahead({ clientId: "a", cursor: "2" });
  const cameAt = clock.now();
  assertEquals(asked, ["1", "2"]);
  // As while the page before is applied: it came meanwhile.
  await Promise.resolve();
  await Promise.resolve();
  await clock.advance(800);
  const coming = pages.pull({ clientId: "a", cursor: "2" });
  const answer = await coming.answer;
  assertEquals(answer.ok && answer.value.cursor, "2+");
  assertEquals(coming.receivedAt, cameAt);
  pages.stop();
  assertEquals([asked, stopped], [["1", "2"], []]);
});

test("a page that was asked for ahead is given up where another one is wanted, or none", async () => {
  const clock = new ManualClock();
  const { asked, stopped, transport } = recorder();
  const pages = new PullAhead({ transport, clock }, new AbortController().signal);
  pages.ahead({ clientId: "a", cursor: "2" });
  await pages.pull({ clientId: "a", cursor: "2", schema: "other" }).answer;
  assertEquals([asked, stopped], [["2", "2"], ["2"]]);
  pages.ahead({ clientId: "a", cursor: "3" });
  pages.stop();
  assertEquals(stopped, ["2", "3"]);
});

test("who stops a sync stops the page that was asked for ahead", () => {
  const clock = new ManualClock();
  const { stopped, transport } = recorder();
  const sync = new AbortController();
  new PullAhead({ transport, clock }, sync.signal).ahead({ clientId: "a", cursor: "2" });
  sync.abort();
  assertEquals(stopped, ["2"]);
});
