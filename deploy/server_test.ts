import { connect } from "node:net";
import { setImmediate } from "node:timers";
import { once } from "node:events";
import { assertEquals } from "@std/assert";
import { unwrapOrThrow } from "@lakesync/core";
import { openSqliteLogStore } from "@lakesync/gateway";
import { ManualClock, test, withTempDir } from "@lakesync/testing";
import { gatewayPaths } from "./gateway_paths.ts";
import { startServer } from "./server.ts";

test("stop() waits five seconds for a body that does not come, then flushes and closes", () =>
  withTempDir(async (data) => {
    const clock = new ManualClock();
    const server = unwrapOrThrow(await startServer({ data, scheduler: clock }));
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {}); // it may be reset in the end
    socket.write(
      "POST /v1/sync/default/push HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    );
    // The gateway has the request once it has answered one that came later.
    for (let i = 0; i < 2; i++) await (await fetch(`${server.url}/health`)).text();
    let stopped = false;
    const stopping = server.stop().then(() => {
      stopped = true;
    });
    await clock.advance(4_999);
    assertEquals(stopped, false);
    await clock.advance(1);
    // Where the runtime keeps the connection, the client has as long again to read the answer.
    while (!stopped) {
      await clock.advance(5_000);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await stopping;
    // Its log is closed: somebody else can have it.
    const store = await openSqliteLogStore({ path: gatewayPaths(data, "default").log });
    await unwrapOrThrow(store).close();
    const closed = once(socket, "close");
    socket.destroy();
    await closed;
  }));
