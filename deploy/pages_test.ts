import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type LogLevel, unwrapOrThrow } from "@lakesync/core";
import { spawnScript, test, withTempDir } from "@lakesync/testing";
import { loadPages } from "./pages.ts";
import { startServer } from "./server.ts";

const PAGES = `export default async (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/hello") return new Response("hello from a page");
};`;

test("a server asks its pages first, but never for what is below /v1/", () =>
  withTempDir(async (data) => {
    const asked: string[] = [];
    const logged: [LogLevel, string][] = [];
    const server = unwrapOrThrow(
      await startServer({
        data,
        pages: (request) => {
          const { pathname } = new URL(request.url);
          asked.push(pathname);
          if (pathname === "/broken") return Promise.reject(new Error("a secret of the inside"));
          return Promise.resolve(pathname === "/hello" ? new Response("hello") : undefined);
        },
        logger: { log: (level, event) => logged.push([level, event]) },
      }),
    );
    const get = async (path: string) => {
      const response = await fetch(server.url + path);
      return [response.status, await response.text()] as const;
    };
    try {
      assertEquals(await get("/hello"), [200, "hello"]);
      assertEquals((await get("/v1/admin/default/stats"))[0], 200);
      assertEquals((await get("/health"))[0], 200);
      assertEquals((await get("/nothing"))[0], 404);
      const [status, body] = await get("/broken");
      assertEquals([status, body.includes("secret")], [500, false]);
      assertEquals(asked, ["/hello", "/health", "/nothing", "/broken"]);
      assert(logged.some(([level, event]) => level === "error" && event === "page.failed"));
    } finally {
      await server.stop();
    }
  }));

test("serve --pages serves a module's pages, and says what is wrong with one that has none", () =>
  withTempDir(async (directory) => {
    const file = join(directory, "pages.mjs");
    await writeFile(file, PAGES);
    const args = ["--port", "0", "--data", join(directory, "data"), "--pages", file];
    await using server = spawnScript(new URL("./serve.ts", import.meta.url), { args });
    const line = await server.nextJson() as { url: string } | undefined;
    assert(line !== undefined, server.stderr);
    assertEquals(await (await fetch(`${line.url}/hello`)).text(), "hello from a page");
    assertEquals((await server.kill("SIGTERM")).code, 0);
    await writeFile(join(directory, "none.mjs"), "export const pages = 1;");
    const none = await loadPages(join(directory, "none.mjs"));
    assert(!none.ok);
    assertStringIncludes(none.error.message, "default export is no function");
    const missing = await loadPages(join(directory, "missing.mjs"));
    assert(!missing.ok);
    assertStringIncludes(missing.error.message, "Cannot load");
  }));
