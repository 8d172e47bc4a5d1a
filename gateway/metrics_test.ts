import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { Metrics } from "./metrics.ts";

const linesOf = (text: string) => text.split("\n").filter((line) => !line.startsWith("#"));

test("requests are counted by route, method and status", async () => {
  const metrics = new Metrics();
  const request = { route: "/v1/sync/:gw/push", method: "POST", status: 200, ms: 3 };
  metrics.answered(request);
  metrics.answered(request);
  metrics.answered({ ...request, status: 413 });
  const lines = linesOf(await metrics.text({ gateways: [], bodyBytes: 0 }));
  const name = 'lakesync_http_requests_total{route="/v1/sync/:gw/push",method="POST"';
  assert(lines.includes(`${name},status="200"} 2`));
  assert(lines.includes(`${name},status="413"} 1`));
  assert(
    lines.includes('lakesync_http_request_seconds_bucket{le="0.005",route="/v1/sync/:gw/push"} 3'),
  );
});

test("a thousand made-up methods are one label", async () => {
  const metrics = new Metrics();
  for (let i = 0; i < 1000; i++) {
    metrics.answered({ route: "/health", method: `M${i}`, status: 405, ms: 0 });
  }
  const lines = linesOf(await metrics.text({ gateways: [], bodyBytes: 0 })).filter((line) =>
    line.includes("requests_total")
  );
  assertEquals(lines, [
    'lakesync_http_requests_total{route="/health",method="OTHER",status="405"} 1000',
  ]);
});

test("a gateway's log and a router's shards are gauges, and pushes add up by outcome", async () => {
  const metrics = new Metrics();
  const rejected = { index: 0, deltaId: "d", code: "STALE", message: "why" } as const;
  metrics.pushed("a", { accepted: 3, duplicates: 1, rejected: [] });
  metrics.pushed("a", { accepted: 2, duplicates: 0, rejected: [rejected] });
  const seqs = { head: 9, flushedSeq: 5, trimmedSeq: 0, clients: 2 };
  const plain = { id: "a", connections: 3, stats: seqs };
  const shards = { x: 4, y: 6 };
  const stats = { head: shards, flushedSeq: shards, trimmedSeq: shards, clients: 1 };
  const routed = { id: "b", connections: 0, stats };
  const lines = linesOf(await metrics.text({ gateways: [plain, routed], bodyBytes: 7 }));
  for (
    const line of [
      'lakesync_pushed_deltas_total{gateway="a",outcome="accepted"} 5',
      'lakesync_pushed_deltas_total{gateway="a",outcome="duplicate"} 1',
      'lakesync_pushed_deltas_total{gateway="a",outcome="rejected"} 1',
      'lakesync_log_head{gateway="a"} 9',
      'lakesync_log_flushed{gateway="a"} 5',
      'lakesync_log_head{gateway="b",shard="y"} 6',
      'lakesync_clients{gateway="b"} 1',
      'lakesync_connections{gateway="a"} 3',
      'lakesync_gateway_up{gateway="a"} 1',
      "lakesync_bodies_bytes 7",
    ]
  ) assert(lines.includes(line), line);
});

test("a gateway that cannot be asked is down, and what it said before is gone", async () => {
  const metrics = new Metrics();
  const stats = { head: 9, flushedSeq: 5, trimmedSeq: 0, clients: 2 };
  await metrics.text({ gateways: [{ id: "a", connections: 0, stats }], bodyBytes: 0 });
  const down = { id: "a", connections: 0, stats: undefined };
  const lines = linesOf(await metrics.text({ gateways: [down], bodyBytes: 0 }));
  assert(lines.includes('lakesync_gateway_up{gateway="a"} 0'));
  assert(!lines.some((line) => line.startsWith("lakesync_log_head")));
});
