/** A device of the floor under the `client` benchmark: bare SQLite and a bare WebSocket. */
import { Prng } from "@lakesync/testing";
import { type BareRow, BareTodos } from "./_bare_sqlite.ts";
import { now, serveCommands } from "./_commands.ts";

let table: BareTodos;
let socket: WebSocket;
let shown: Promise<number>;
const random = new Prng(7);

await serveCommands({
  async open({ url, database }: { url: string; database: string }) {
    table = new BareTodos(database);
    socket = new WebSocket(url.replace(/^http/, "ws"));
    await new Promise((resolve) => socket.onopen = resolve);
  },
  watch(id: string) {
    const { promise, resolve } = Promise.withResolvers<number>();
    shown = promise;
    socket.onmessage = ({ data }) => {
      const rows = JSON.parse(String(data)) as BareRow[];
      table.insert(rows);
      if (rows.at(-1)![0] === id) resolve(now());
    };
  },
  shown: () => shown,
  move({ last, steps, rows }: { last: string; steps: number; rows: number }) {
    const batches = Array.from(
      { length: steps },
      (_, step) =>
        Array.from({ length: rows }, (_, i): BareRow => {
          const isLast = step === steps - 1 && i === rows - 1;
          return [isLast ? last : random.uuid(), `Task number ${i}`, 0, i];
        }),
    );
    const began = now();
    for (const batch of batches) {
      table.insert(batch);
      socket.send(JSON.stringify(batch));
    }
    return [began, now()];
  },
  close() {
    table.close();
    socket.close();
  },
});
