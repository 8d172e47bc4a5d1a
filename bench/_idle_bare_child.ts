/** The floor of idle sockets: what one says, all are told. A line on stdin asks what that costs. */
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { listen } from "@lakesync/deploy";
import type { WsSocket } from "@lakesync/gateway";

const sockets = new Set<WsSocket>();
const listener = unwrapOrThrow(
  await listen(() => Promise.resolve(new Response()), {
    upgrade: () =>
      Promise.resolve({
        protocol: "lakesync.v1",
        open(socket) {
          sockets.add(socket);
          return {
            // The first word of each is its own.
            receive: (frame) => {
              for (const each of frame === "hello" ? [socket] : sockets) each.send(frame);
            },
            drained() {},
            closed: () => sockets.delete(socket),
          };
        },
        abandon() {},
      }),
  }),
);
console.log(JSON.stringify({ url: listener.url }));
process.stdin.on("data", () => console.log(JSON.stringify({ rss: process.memoryUsage().rss })));
