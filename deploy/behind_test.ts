// What a client tells of how far it is behind, and of how much a first sync has, as a gateway tells it.
import { join } from "node:path";
import {
  type Client,
  createClient,
  type FirstSync,
  httpTransport,
  webSocketTransport,
} from "@lakesync/client";
import { protobufFrames } from "@lakesync/client/protobuf";
import { defineTable, integer, type SyncTransport, unwrapOrThrow } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { startServer } from "./server.ts";

const todos = defineTable("todos", { n: integer() });

/** So many rows make several pages, and several chunks of a checkpoint. */
const ROWS = 20_000;

function rows(from: number, count: number): { id: string; n: number }[] {
  return Array.from({ length: count }, (_, i) => ({ id: `row ${from + i}`, n: i }));
}

const WAYS: { readonly [way: string]: (url: string) => SyncTransport } = {
  "HTTP": (url) => httpTransport({ url }),
  "a WebSocket": (url) => webSocketTransport({ url }),
  "a WebSocket in protobuf": (url) => webSocketTransport({ url, frames: protobufFrames }),
};

for (const [way, transportOf] of Object.entries(WAYS)) {
  test(`over ${way} a client tells how many entries it is behind, and how much of a first sync is there`, () =>
    withTempDir(async (directory) => {
      const data = join(directory, "data");
      const server = unwrapOrThrow(await startServer({ data, tables: [todos.schema] }));
      const open = async (name: string): Promise<Client<readonly [typeof todos]>> =>
        unwrapOrThrow(
          await createClient({
            tables: [todos],
            database: join(directory, `${name}.db`),
            transport: transportOf(server.url),
            sync: { auto: false },
          }),
        );
      const [a, b] = [await open("a"), await open("b")];
      unwrapOrThrow(await a.import("todos", rows(0, ROWS)));
      unwrapOrThrow(await a.syncOnce());

      const firsts: FirstSync[] = [];
      const behind = new Set<number | undefined>();
      b.on("status", (status) => {
        behind.add(status.behind);
        if (status.firstSync !== undefined) firsts.push(status.firstSync);
      });
      unwrapOrThrow(await b.syncOnce());
      const percents = firsts.filter(({ rows }) => rows > 0 && rows < ROWS)
        .map(({ rows, percent }) => [rows, percent]);
      assert(percents.length > 0);
      for (const [come, percent] of percents) {
        assertEquals(percent, Math.floor(come! / ROWS * 100));
      }

      behind.clear();
      unwrapOrThrow(await a.import("todos", rows(ROWS, 3_000)));
      unwrapOrThrow(await a.syncOnce());
      unwrapOrThrow(await b.syncOnce());
      assertEquals(b.status.behind, 0);
      const between = [...behind].filter((n) => n !== 0);
      assert(between.length > 0, "it came in several pages");
      for (const n of between) assert(n !== undefined && n > 0 && n <= 2_000, `${n}`);
      for (const client of [a, b]) await client.close();
      await server.stop();
    }));
}
