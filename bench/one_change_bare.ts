/** A device of the one-change benchmark's floor: `one_change_bare.ts ROLE URL DATABASE`. */
import process from "node:process";
import { BareLog } from "./_bare_sqlite.ts";
import { serveDevice } from "./one_change_loop.ts";

const [, url, database] = process.argv.slice(2) as [string, string, string];
const log = new BareLog(database);
const socket = new WebSocket(url.replace(/^http/, "ws"));
await new Promise((resolve) => socket.onopen = resolve);
// As long as a change's delta in JSON.
const padding = "x".repeat(300);
await serveDevice({
  change(n) {
    const payload = JSON.stringify({ n, padding });
    log.append([payload]);
    socket.send(payload);
    return Promise.resolve();
  },
  onShown(listener) {
    socket.onmessage = ({ data }) => {
      const payload = String(data);
      log.append([payload]);
      listener((JSON.parse(payload) as { n: number }).n);
    };
  },
});
