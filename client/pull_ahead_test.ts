import { ok, type PullAnswer, type PullRequest, type SyncTransport } from "@lakesync/core";
import { test } from "@lakesync/testing";
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
  const { asked, stopped, transport } = recorder();
  const pages = new PullAhead(transport, new AbortController().signal);
  await pages.pull({ clientId: "a", cursor: "1" });
  pages.ahead({ clientId: "a", cursor: "2" });
  assertEquals(asked, ["1", "2"]);
  const page = await pages.pull({ clientId: "a", cursor: "2" });
  assertEquals(page.ok && page.value.cursor, "2+");
  pages.stop();
  assertEquals([asked, stopped], [["1", "2"], []]);
});

test("a page that was asked for ahead is given up where another one is wanted, or none", async () => {
  const { asked, stopped, transport } = recorder();
  const pages = new PullAhead(transport, new AbortController().signal);
  pages.ahead({ clientId: "a", cursor: "2" });
  await pages.pull({ clientId: "a", cursor: "2", schema: "other" });
  assertEquals([asked, stopped], [["2", "2"], ["2"]]);
  pages.ahead({ clientId: "a", cursor: "3" });
  pages.stop();
  assertEquals(stopped, ["2", "3"]);
});

test("who stops a sync stops the page that was asked for ahead", () => {
  const { stopped, transport } = recorder();
  const sync = new AbortController();
  new PullAhead(transport, sync.signal).ahead({ clientId: "a", cursor: "2" });
  sync.abort();
  assertEquals(stopped, ["2"]);
});
