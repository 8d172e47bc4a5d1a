import type { WriterOrder, WriterReport } from "./wasm_writer_browser.ts";

/** What the test calls in this page, and what this page calls in the test. */
interface Hooks {
  startWriter?: (order: WriterOrder) => void;
  tellTest?: (report: WriterReport) => Promise<void>;
}

const hooks: Hooks = globalThis as Hooks;
let worker: Worker | undefined;

hooks.startWriter = (order) => {
  if (worker === undefined) {
    worker = new Worker(new URL("./wasm_writer_browser.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<WriterReport>) => hooks.tellTest!(data);
    worker.onerror = ({ message }) => hooks.tellTest!({ failed: message, code: "error" });
  }
  worker.postMessage(order);
};
