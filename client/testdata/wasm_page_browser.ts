import type { WriterOrder, WriterReport } from "./wasm_writer_browser.ts";

/** What the test calls in this page, and what this page calls in the test. */
interface Hooks {
  /** Starts a writer, of whose answers so many are told; it writes on when they are. */
  startWriter?: (order: WriterOrder, answers?: number) => void;
  tellTest?: (name: string, report: WriterReport) => Promise<void>;
}

const hooks: Hooks = globalThis as Hooks;
/** By the names of their databases. */
const workers = new Map<string, Worker>();

hooks.startWriter = (order, answers = Infinity) => {
  const { name } = order;
  let left = answers;
  let worker = workers.get(name);
  if (worker === undefined) {
    worker = new Worker(new URL("./wasm_writer_browser.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<WriterReport>) => {
      if ("confirmed" in data && --left < 0) return;
      void hooks.tellTest!(name, data);
    };
    worker.onerror = ({ message }) => hooks.tellTest!(name, { failed: message, code: "error" });
    workers.set(name, worker);
  }
  worker.postMessage(order);
};
