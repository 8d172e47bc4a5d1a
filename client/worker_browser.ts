/**
 * The worker that each tab of an app in a browser has: `createClient` starts it. An app whose bundler
 * does not find it by itself bundles this file and gives it as the option `worker`.
 *
 * @module
 */
import { type Logger, systemClock, systemRandom, systemScheduler } from "@lakesync/core";
import { broadcastPort } from "./_broadcast_port_browser.ts";
import { runLeaderWorker } from "./_leader_worker.ts";
import { openWasmSqlite, removeWasmSqlite } from "./_wasm_open.ts";
import { loadSqlite } from "./_wasm_module.ts";
import { webSocketTransport } from "./web_socket_transport.ts";

const scope = globalThis as unknown as Pick<Worker, "postMessage" | "onmessage">;
const logger: Logger = {
  log(level, event, facts) {
    try {
      scope.postMessage({ log: [level, event, facts] });
    } catch {
      // Facts that cannot travel.
      scope.postMessage({ log: [level, event, {}] });
    }
  },
};

runLeaderWorker({
  page: {
    post: (message) => scope.postMessage(message),
    listen: (listener) => scope.onmessage = ({ data }) => listener(data),
    close: () => {},
  },
  channel: broadcastPort,
  locks: navigator.locks,
  // Where it cannot be loaded, opening tells.
  prepare: ({ wasmUrl }) => void loadSqlite(wasmUrl).catch(() => {}),
  open: (name, { storage, wasmUrl }) =>
    openWasmSqlite({
      name,
      logger,
      ...(storage !== undefined && { storage }),
      ...(wasmUrl !== undefined && { wasmUrl }),
    }),
  remove: (name) => removeWasmSqlite(name),
  transport: ({ url, gateway }, getToken) =>
    url === undefined ? undefined : webSocketTransport({
      url,
      logger,
      ...(gateway !== undefined && { gateway }),
      ...(getToken !== undefined && { getToken }),
    }),
  clock: systemClock,
  random: systemRandom,
  scheduler: systemScheduler,
  logger,
});
