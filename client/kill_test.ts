import { unwrapOrThrow } from "@lakesync/core";
import { FakeGateway, Prng, spawnScript, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "./mod.ts";
import { todos } from "./testdata/bench.ts";

const WRITER = new URL("./testdata/writer.ts", import.meta.url);
const KILLS = 8;

/** Serves a `fetch` handler on a free port of the loopback. */
async function serve(handler: (request: Request) => Promise<Response>): Promise<Server> {
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const response = await handler(
      new Request(`http://gateway.test${incoming.url}`, {
        method: incoming.method ?? "GET",
        ...(chunks.length > 0 && { body: Buffer.concat(chunks).toString() }),
      }),
    );
    outgoing.writeHead(response.status);
    outgoing.end(Buffer.from(await response.arrayBuffer()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

test({
  name: "a device that is killed again and again loses no answered write and doubles none",
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (dir) => {
    const gateway = new FakeGateway({ tables: [todos.schema], clock: { now: () => Date.now() } });
    const server = await serve(gateway.fetch);
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const database = `${dir}/device.db`;
    const prng = new Prng(42);
    const answered: number[] = [];
    try {
      let next = 1;
      for (let kill = 0; kill < KILLS; kill++) {
        await using writer = spawnScript(WRITER, { args: [database, url, String(next)] });
        const writes = prng.int(1, 40);
        for (let i = 0; i < writes; i++) {
          const line = await writer.nextJson();
          assert(typeof line === "number", writer.stderr);
          answered.push(line);
        }
        await writer.kill();
        for (
          let line = await writer.nextJson();
          line !== undefined;
          line = await writer.nextJson()
        ) {
          answered.push(line as number);
        }
        // One more may have been committed and not been answered any more.
        next = answered.at(-1)! + 2;
      }
      assert(gateway.head > 0, "the devices have synced");
      const client = unwrapOrThrow(
        await createClient({ tables: [todos], database, url, sync: { auto: false } }),
      );
      unwrapOrThrow(await client.syncOnce());
      assertEquals(unwrapOrThrow(await client.pending()), 0);
      assertEquals(unwrapOrThrow(await client.rejected.list()), []);
      const visible = gateway.visible("todos");
      for (const i of answered) {
        const row = visible.get(`${i}`);
        assertEquals(row?.get("title"), `t${i}`);
        if (i % 3 === 0) assertEquals(row?.get("rank"), i);
        if (i % 10 === 0) assert(visible.has(`${i}b`));
      }
      const ids = gateway.accepted.map(({ deltaId }) => deltaId);
      assertEquals(new Set(ids).size, ids.length);
      const shown = unwrapOrThrow(
        await client.query<{ id: string; rank: number | null }>("SELECT id, rank FROM todos"),
      );
      assertEquals(
        shown.map(({ id, rank }) => [id, rank]).sort(),
        [...visible].map(([id, row]) => [id, row.get("rank") ?? null]).sort(),
      );
      await client.close();
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }));
