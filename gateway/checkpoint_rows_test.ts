import { type Rules, unwrapOrThrow } from "@lakesync/core";
import { insertTodo, makeDelta, memoryObjectStore, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { createRouter } from "./router.ts";
import { ANYONE, deleteTodo, openGateway, push } from "./testdata/fixture.ts";
import { type Served, serveGateway } from "./testdata/http_fixture.ts";

/** What a checkpoint says at its beginning and at its end: how many rows it has. */
async function rowsOf(served: Served, query = "clientId=bob"): Promise<[string | null, number]> {
  const response = await served.ask(`/v1/sync/default/checkpoint?${query}`);
  const last = (await response.text()).trimEnd().split("\n").at(-1)!;
  const { end } = JSON.parse(last) as { end: { rows: number } };
  return [response.headers.get("x-checkpoint-rows"), end.rows];
}

test("a checkpoint without rules says at its beginning how many rows it has, kept or not", async () => {
  for (const checkpointCache of [undefined, { store: memoryObjectStore() }]) {
    await using served = await serveGateway(checkpointCache && { checkpointCache });
    assertEquals(await rowsOf(served), ["0", 0]);
    await push(served.gateway, [insertTodo("a", 1), insertTodo("b", 2), insertTodo("c", 3)]);
    await push(served.gateway, [deleteTodo("b", 4)]);
    assertEquals(await rowsOf(served), ["2", 2]);
    assertEquals(await rowsOf(served), ["2", 2]);
    assertEquals(await rowsOf(served, "clientId=bob&tables=__proto__"), ["0", 0]);
  }
});

test("a packed checkpoint and one in protobuf say it too", async () => {
  await using served = await serveGateway();
  await push(served.gateway, [insertTodo("a", 1)]);
  for (const accept of ["application/x-ndjson", "application/x-protobuf"]) {
    const response = await served.ask("/v1/sync/default/checkpoint?clientId=bob", {
      headers: { accept, "accept-encoding": "gzip" },
    });
    assertEquals(response.headers.get("x-checkpoint-rows"), "1");
    await response.body?.cancel();
  }
});

test("a checkpoint that rules cut says what was counted for the same view, never what they hide", async () => {
  await using served = await serveGateway();
  const rules: Rules = {
    version: 1,
    buckets: [{
      name: "open",
      tables: ["todos"],
      filters: [{ column: "done", op: "eq", value: false }],
    }],
  };
  const done = makeDelta({
    ...insertTodo("z", 9),
    columns: [{ column: "title", value: "z" }, { column: "done", value: true }],
  });
  await push(served.gateway, [insertTodo("a", 1), insertTodo("b", 2), done]);
  unwrapOrThrow(await served.gateway.putRules(rules));
  const [first, visible] = await rowsOf(served);
  assertEquals([first, visible], [null, 2]);
  assertEquals(await rowsOf(served), [String(visible), visible]);
  assertEquals((await rowsOf(served, "clientId=bob&tables=__proto__"))[0], null, "another view");
});

test("a router's checkpoint says how many rows its shards' have together", async () => {
  const shard = await openGateway({ id: "a" });
  const rest = await openGateway({ id: "rest" });
  const router = createRouter({
    id: "default",
    shards: [{ tables: ["todos"], gateway: shard }],
    default: rest,
  });
  const query = new URLSearchParams({ clientId: "bob" });
  await push(shard, [insertTodo("a", 1), insertTodo("b", 2)]);
  const { rows, lines } = unwrapOrThrow(await router.checkpoint(query, { caller: ANYONE }));
  await lines.return(undefined);
  assertEquals(rows, 2);
  await router.close();
});
