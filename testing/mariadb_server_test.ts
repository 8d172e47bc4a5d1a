import { connect } from "node:net";
import { assert, assertEquals } from "@std/assert";
import { findMariadb, startMariadb } from "./mariadb_server.ts";
import { test } from "./test.ts";

const { programs, skip } = await findMariadb();

/** The protocol's version that the server greets with; undefined where none listens. */
function greeting(url: string): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => resolve(undefined));
    socket.once("data", (data) => {
      socket.destroy();
      resolve((data as Uint8Array)[4]);
    });
  });
}

test({
  name: "startMariadb() gives a server that can be killed, stopped and started again",
  skip,
}, async () => {
  assert(programs !== undefined);
  const server = await startMariadb({ programs });
  assertEquals(await greeting(server.url), 10);
  for (const end of ["kill", "stop"] as const) {
    await server[end]();
    assertEquals(await greeting(server.url), undefined);
    await server.start();
    assertEquals(await greeting(server.url), 10);
  }
  await server[Symbol.asyncDispose]();
  assertEquals(await greeting(server.url), undefined);
});
