/** The middle of the one-change benchmark's floor: commits a message, then passes it on. */
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { listen } from "@lakesync/deploy";
import { BareLog } from "./_bare_sqlite.ts";

const log = new BareLog(process.argv[2]!);
const sockets = new Set<{ send(frame: string | Uint8Array): void }>();
const listener = unwrapOrThrow(
  await listen(() => Promise.resolve(new Response(null, { status: 404 })), {
    upgrade: () =>
      Promise.resolve({
        protocol: undefined,
        open(socket) {
          sockets.add(socket);
          return {
            receive(frame) {
              log.append([String(frame)]);
              for (const other of sockets) if (other !== socket) other.send(frame);
            },
            drained() {},
            closed: () => void sockets.delete(socket),
          };
        },
        abandon() {},
      }),
  }),
);
console.log(JSON.stringify({ url: listener.url }));
