import {
  LakeSyncError,
  type PullAnswer,
  type PullRequest,
  type Result,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { codeOf, foreignDelta } from "./testdata/bench.ts";
import { milk, recorded, withSockets } from "./testdata/socket_bench.ts";

const AUTO = { auto: true, intervalMs: 5_000 };

test("the token is a subprotocol, and another is asked for where the gateway refuses it", () =>
  withSockets(async (bench) => {
    let tokens = 0;
    const transport = bench.transport({ getToken: () => `eyJ.t${++tokens}.sig-_` });
    await bench.client({ transport, sync: AUTO });
    await bench.clock.advance(0);
    bench.sockets.last.close(1001);
    await bench.clock.advance(1_000);
    bench.sockets.last.close(1008);
    await bench.clock.advance(2_000);
    bench.sockets.last.say(`{"type":"error","error":{"code":"UNAUTHENTICATED","message":"Old"}}`);
    await bench.clock.advance(4_000);
    assertEquals(bench.sockets.tries.map(({ protocols }) => protocols), [
      ["lakesync.v1", "bearer.eyJ.t1.sig-_"],
      ["lakesync.v1", "bearer.eyJ.t1.sig-_"],
      ["lakesync.v1", "bearer.eyJ.t2.sig-_"],
      ["lakesync.v1", "bearer.eyJ.t3.sig-_"],
    ]);
  }));

test("a push that is refused for its token on the socket goes over HTTP with a new one", () =>
  withSockets(async (bench) => {
    let tokens = 0;
    const seen: (string | null)[] = [];
    const transport = bench.transport({
      getToken: () => `t${++tokens}`,
      fetch: (request) => {
        const token = request.headers.get("Authorization");
        seen.push(token);
        return expired && token === "Bearer t1"
          ? Promise.resolve(new Response(null, { status: 401 }))
          : bench.gateway.fetch(request);
      },
    });
    let expired = false;
    const client = await bench.client({ transport, sync: AUTO });
    await bench.clock.advance(0);
    expired = true;
    seen.length = 0;
    let refused = 0;
    bench.gateway.fault = ({ kind }) =>
      kind === "push" && refused++ === 0
        ? { fault: "error", error: new LakeSyncError("UNAUTHENTICATED", "The token has expired") }
        : undefined;
    unwrapOrThrow(await client.tables.todos.insert(milk("1")));
    await bench.clock.advance(0);
    assertEquals(bench.gateway.head, 1);
    assert(seen.includes("Bearer t1") && seen.includes("Bearer t2"), `${seen}`);
    assertEquals(client.status.error, undefined);
    await bench.clock.advance(2_000);
    assertEquals(bench.sockets.tries.at(-1)?.protocols, ["lakesync.v1", "bearer.t2"]);
  }));

test("a refused pull or push comes back with the gateway's code, and the socket stays", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const pull = (cursor: string): Promise<Result<PullAnswer>> =>
      transport.pull({ clientId: "a", cursor, wait: 30 });
    const { signal } = new AbortController();
    const first = pull("no cursor");
    await bench.clock.advance(0);
    const failure = await first;
    assertEquals(codeOf(failure), "CHECKPOINT_REQUIRED");
    assertEquals(failure.ok ? undefined : failure.error.details, { reason: "foreign" });
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const second = pull(cursor);
    await bench.clock.advance(0);
    const deltas = [foreignDelta({ rowId: "1", columns: { title: "x", done: false } })];
    const push = await transport.push({ clientId: "a", deltas }, { signal });
    assertEquals(codeOf(push), "FORBIDDEN");
    bench.append("2");
    assertEquals(unwrapOrThrow(await second).deltas.length, 1);
    assertEquals(bench.sockets.tries.length, 1);
    transport.disconnect?.();
  }));

test("a pull that was refused is asked anew, from the very same place", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const { gateway, clock } = bench;
    const { cursor } = unwrapOrThrow(await gateway.pull({ clientId: "c", cursor: "" }));
    const pull = () => transport.pull({ clientId: "c", cursor, wait: 30 });
    const busy = new LakeSyncError("BACKPRESSURE", "Busy");
    gateway.fault = () => ({ fault: "error", error: busy });
    const refused = pull();
    await clock.advance(0);
    assertEquals(codeOf(await refused), "BACKPRESSURE");
    gateway.fault = () => undefined;
    bench.append("news");
    const page = pull();
    await clock.advance(0);
    assertEquals(unwrapOrThrow(await page).deltas.length, 1);
    transport.disconnect?.();
  }));

test("a held pull and a push end with ABORTED where their signals abort", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const controller = new AbortController();
    const { signal } = controller;
    const pull = transport.pull({ clientId: "a", cursor, wait: 30 }, { signal });
    await bench.clock.advance(0);
    bench.sockets.last.silent = true;
    const push = transport.push({ clientId: "a", deltas: [] }, { signal });
    await bench.clock.advance(0);
    controller.abort();
    assertEquals([codeOf(await pull), codeOf(await push)], ["ABORTED", "ABORTED"]);
    transport.disconnect?.();
    await bench.clock.advance(0);
    assertEquals([bench.sockets.all.length, bench.clock.pending], [0, 0]);
  }));

test("the gateway's pings are answered with the same", () =>
  withSockets(async (bench) => {
    await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(0);
    const socket = bench.sockets.last;
    const sent: unknown[] = [];
    socket.take = (data) => sent.push(JSON.parse(String(data)));
    socket.say(`{"type":"ping","id":"7"}`);
    socket.say(`{"type":"ping"}`);
    await bench.clock.advance(0);
    assertEquals(sent, [{ type: "ping", id: "7" }, { type: "ping" }]);
  }));

test("a gateway that answers the answers to its pings is hung up on", () =>
  withSockets(async (bench) => {
    await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(0);
    const socket = bench.sockets.last;
    socket.take = (data) => socket.say(String(data));
    socket.say(`{"type":"ping","id":"7"}`);
    await bench.clock.advance(1_000);
    assertEquals([socket.isClosed, bench.sockets.tries.length], [true, 2]);
  }));

test("a client that does not keep up hangs up, and takes what it missed at its own pace", () =>
  withSockets(async (bench) => {
    const { transport, rowIds } = recorded(bench.transport());
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const request: PullRequest = { clientId: "a", cursor, wait: 30, limit: 1 };
    const first = transport.pull(request);
    await bench.clock.advance(0);
    bench.append("first");
    let at = unwrapOrThrow(await first).cursor;
    const title = "x".repeat(1_000_000);
    for (let i = 0; i < 40; i++) {
      bench.gateway.append([foreignDelta({ rowId: `${i}`, columns: { title, done: false } })]);
      await bench.clock.advance(0);
    }
    assertEquals(bench.sockets.all.length, 0, "16 MiB wait, so that it has hung up");
    for (let i = 0; i < 40; i++) {
      at = unwrapOrThrow(await transport.pull({ ...request, cursor: at })).cursor;
    }
    assertEquals(rowIds, ["first", ...Array.from({ length: 40 }, (_, i) => `${i}`)]);
    transport.disconnect?.();
  }));

test("a burst of small pages is given out as one", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const request: PullRequest = { clientId: "a", cursor, wait: 30 };
    const first = transport.pull(request);
    await bench.clock.advance(0);
    bench.append("first");
    const at = unwrapOrThrow(await first).cursor;
    for (let i = 0; i < 1_500; i++) {
      bench.append(`${i}`);
      // Each becomes a page of its own.
      if (i % 100 === 0) await bench.clock.advance(0);
    }
    await bench.clock.advance(0);
    const second = unwrapOrThrow(await transport.pull({ ...request, cursor: at }));
    const third = unwrapOrThrow(await transport.pull({ ...request, cursor: second.cursor }));
    assert(second.deltas.length > 900 && second.deltas.length <= 1_000, `${second.deltas.length}`);
    assertEquals(second.deltas.length + third.deltas.length, 1_500);
    assertEquals(third.seq, 1_501);
    transport.disconnect?.();
  }));

test("a second client on the same transport is told to take one of its own", () =>
  withSockets(async (bench) => {
    const transport = bench.transport();
    const { cursor } = unwrapOrThrow(await transport.pull({ clientId: "a", cursor: "" }));
    const first = transport.pull({ clientId: "a", cursor, wait: 30 });
    await bench.clock.advance(0);
    void transport.pull({ clientId: "b", cursor, wait: 30 });
    const refused = await first;
    assertEquals(codeOf(refused), "CONFLICT");
    assertStringIncludes(refused.ok ? "" : refused.error.message, "transport of its own");
    transport.disconnect?.();
  }));
