import { createServer, type Socket } from "node:net";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { type Result, type SqlServer, unwrapOrThrow } from "@lakesync/core";
import { assertEquals } from "@std/assert";
import { test } from "../test.ts";

/** Listens, takes connections, and says nothing. */
async function withSilentServer(body: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  const listening = Promise.withResolvers<number>();
  silent.listen(0, "127.0.0.1", () => {
    listening.resolve((silent.address() as { port: number }).port);
  });
  try {
    await body(await listening.promise);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => silent.close(() => resolve()));
  }
}

const kinds: readonly [
  name: string,
  connect: (port: number) => Promise<Result<SqlServer>>,
][] = [
  [
    "Postgres",
    (port) => postgresServer({ url: `postgres://a@127.0.0.1:${port}/b`, connectMs: 200 }),
  ],
  ["MySQL", (port) => mysqlServer({ url: `mysql://a@127.0.0.1:${port}/b`, connectMs: 200 })],
];

for (const [name, connect] of kinds) {
  test(`a ${name} server that says nothing is OFFLINE after connectMs`, () =>
    withSilentServer(async (port) => {
      const server = unwrapOrThrow(await connect(port));
      const asked = await server.transaction((work) =>
        work.run({ text: "SELECT 1", parameters: [] })
      );
      assertEquals(asked.ok || asked.error.code, "OFFLINE");
      await server.close();
    }));
}
