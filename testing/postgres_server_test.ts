import { connect } from "node:net";
import { assert, assertEquals } from "@std/assert";
import { findPostgres, startPostgres } from "./postgres_server.ts";
import { test } from "./test.ts";

const { bin, skip } = await findPostgres();

/** What the server answers to the question whether it speaks TLS: `N`; undefined where none listens. */
function ask(url: string): Promise<string | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => resolve(undefined));
    socket.write(Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47));
    socket.once("data", (data) => {
      socket.destroy();
      resolve(String(data));
    });
  });
}

test({
  name: "startPostgres() gives a server that can be killed, stopped and started again",
  skip,
}, async () => {
  assert(bin !== undefined);
  const server = await startPostgres({ bin });
  assertEquals(await ask(server.url), "N");
  for (const end of ["kill", "stop"] as const) {
    await server[end]();
    assertEquals(await ask(server.url), undefined);
    await server.start();
    assertEquals(await ask(server.url), "N");
  }
  await server[Symbol.asyncDispose]();
  assertEquals(await ask(server.url), undefined);
});
