import {
  decodeClientFrame,
  decodeGatewayFrame,
  decodePullAnswer,
  encodeClientFrame,
  encodeGatewayFrame,
  encodePullAnswer,
  type PullAnswer,
  unwrapOrThrow,
} from "@lakesync/core";
import { insertTodo, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { pageToAnswer } from "./page_form.ts";
import { createRouter } from "./router.ts";
import { ANYONE, openGateway, push } from "./testdata/fixture.ts";
import { serveGateway } from "./testdata/http_fixture.ts";
import { TestSocket } from "./testdata/ws_fixture.ts";

const DELTAS = [insertTodo("a", 1), insertTodo("b", 2), insertTodo("c", 3)];

test("a pull with tell=head says where the log ends, without it nothing of that", async () => {
  await using served = await serveGateway();
  const pull = async (query: string) =>
    await (await served.pull(`clientId=bob&${query}`)).json() as PullAnswer;
  assertEquals((await pull("tell=head")).head, 0);
  await push(served.gateway, DELTAS);
  const first = await pull("tell=head&limit=1");
  assertEquals([first.seq, first.head, first.hasMore], [1, 3, true]);
  // It is no part of a cursor.
  const rest = await pull(`limit=9&cursor=${first.cursor}`);
  assertEquals(Object.keys(rest), ["deltas", "cursor", "seq", "hasMore", "serverHlc"]);
  const again = await pull(`tell=head&cursor=${first.cursor}`);
  assertEquals([again.seq, again.head, again.hasMore], [3, 3, false]);
  const held = await pull(`tell=head&wait=1&cursor=${first.cursor}`);
  assertEquals([held.seq, held.head], [3, 3]);
});

test("the pages of a WebSocket say where the log ends only to who asks", async () => {
  const gateway = await openGateway();
  await push(gateway, DELTAS);
  const socket = new TestSocket(gateway);
  socket.say({ type: "pull", id: "1", clientId: "bob", limit: 2, tell: "head" });
  const pages = [await socket.page(), await socket.page()];
  assertEquals(pages.map(({ seq, head }) => [seq, head]), [[2, 3], [3, 3]]);
  socket.say({ type: "pull", id: "2", clientId: "bob" });
  assertEquals("head" in await socket.page(), false);
  await gateway.close();
});

test("a router's page says where the log of each shard ends", async () => {
  const [shard, rest] = [await openGateway({ id: "a" }), await openGateway({ id: "rest" })];
  const router = createRouter({
    id: "default",
    shards: [{ tables: ["todos"], gateway: shard }],
    default: rest,
  });
  await push(shard, DELTAS);
  const pull = async (query: Record<string, string>) =>
    pageToAnswer(unwrapOrThrow(
      await router.pull(new URLSearchParams({ clientId: "bob", ...query }), { caller: ANYONE }),
    ));
  const first = await pull({ tell: "head", limit: "1" });
  assertEquals([first.seq, first.head], [{ a: 1, rest: 0 }, { a: 3, rest: 0 }]);
  assertEquals("head" in await pull({ limit: "1" }), false);
  await router.close();
});

test("the end of the log, and the wish to be told it, go there and back as protobuf", () => {
  const page = { deltas: [], cursor: "c", seq: 1, hasMore: true, serverHlc: "65536" };
  for (const head of [0, 7, { a: 3, rest: 0 }]) {
    const told = { ...page, head };
    assertEquals(unwrapOrThrow(decodePullAnswer(encodePullAnswer(told))), told);
    const frame = { type: "page", id: "1", ...told } as const;
    assertEquals(unwrapOrThrow(decodeGatewayFrame(encodeGatewayFrame(frame))), frame);
  }
  for (const asked of [{}, { tell: "head" } as const]) {
    const pull = { type: "pull", clientId: "a", cursor: "c", ...asked } as const;
    assertEquals(unwrapOrThrow(decodeClientFrame(encodeClientFrame(pull))), pull);
  }
});
