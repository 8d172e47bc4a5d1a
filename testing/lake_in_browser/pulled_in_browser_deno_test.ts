import { join } from "node:path";
import { createClient } from "@lakesync/client";
import { boolean, defineTable, string, unwrapOrThrow } from "@lakesync/core";
import { fileObjectStore } from "@lakesync/adapter-file";
import { startServer } from "@lakesync/deploy";
import { signToken } from "@lakesync/gateway";
import { findChromium, servePages, startChromium, test, withTempDir } from "@lakesync/testing";
import { assertEquals } from "@std/assert";

const { program, skip } = await findChromium();
const todos = defineTable("todos", { title: string(), done: boolean() });
const secret = "the-secret-of-the-pulled-lake's-test-32b";

test({
  name: "a page asks the lake and a gateway together: what is written is in the next answer, once",
  skip,
  timeoutMs: 240_000,
}, () =>
  withTempDir(async (directory) => {
    const data = join(directory, "data");
    await using pages = await servePages({
      async handler(request) {
        const { pathname } = new URL(request.url);
        if (!pathname.startsWith("/lake/")) return undefined;
        const lake = fileObjectStore({ directory: join(data, "lake/default") });
        const object = await lake.get(pathname.slice("/lake/".length));
        return object.ok
          ? new Response(new Uint8Array(object.value))
          : new Response("none", { status: 404 });
      },
    });
    const gateway = unwrapOrThrow(
      await startServer({
        data,
        tables: [todos.schema],
        auth: { secrets: [secret] },
        origins: [pages.url],
        // Only when it is asked to.
        flushEvery: 86_400,
      }),
    );
    const client = unwrapOrThrow(
      await createClient({
        tables: [todos],
        database: ":memory:",
        url: gateway.url,
        clientId: "ann:desk",
        getToken: () => signToken({ sub: "ann", gw: "default" }, { secret }),
        sync: { auto: false },
      }),
    );
    const write = async (change: () => Promise<unknown>): Promise<void> => {
      await change();
      unwrapOrThrow(await client.syncOnce());
    };
    const { tables: { todos: rows } } = client;
    await write(() => rows.insert({ id: "a", title: "before", done: false }));
    const browser = await startChromium(program!);
    try {
      const page = await browser.newPage();
      await page.goto(`${pages.url}/blank`);
      const setUp = JSON.stringify({
        url: gateway.url,
        clientId: "eve:analyst",
        token: await signToken({ sub: "eve", gw: "default", role: "admin" }, { secret }),
      });
      await page.evaluate(`(async () => {
        globalThis.m = await import("/testing/lake_in_browser/page_browser.ts");
        globalThis.analyst = await m.openOverHttp({ tables: ["todos_changes"], pull: ${setUp} });
      })()`);
      const ask = (sql: string): Promise<unknown> =>
        page.evaluate(`m.ask(analyst, ${JSON.stringify(sql)})`);
      const all = "SELECT id, title, done FROM todos ORDER BY id";

      // The lake had nothing before the gateway was asked for the first time.
      assertEquals(await ask(all), [{ id: "a", title: "before", done: false }]);
      await write(() => rows.insert({ id: "b", title: "after", done: false }));
      await write(() => rows.update("a", { done: true }));
      assertEquals(await ask(all), [
        { id: "a", title: "before", done: true },
        { id: "b", title: "after", done: false },
      ]);
      const pending = "SELECT count(*) AS n, count(_seq) AS flushed FROM todos_changes";
      assertEquals(await ask(pending), [{ n: 3, flushed: 1 }]);
      await write(() => rows.delete("a"));
      assertEquals(await ask(all), [{ id: "b", title: "after", done: false }]);

      // What is flushed meanwhile counts once.
      unwrapOrThrow(await gateway.gateways[0]!.flush());
      await write(() => rows.insert({ id: "a", title: "again", done: false }));
      assertEquals(await ask(all), [
        { id: "a", title: "again", done: false },
        { id: "b", title: "after", done: false },
      ]);
      assertEquals(await ask(pending), [{ n: 5, flushed: 4 }]);
    } finally {
      await browser.close();
      await client.close();
      await gateway.stop();
    }
  }));
