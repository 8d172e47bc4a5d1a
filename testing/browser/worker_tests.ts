import { type BrowserTestOutcome, registered, runTest } from "../_register_browser.ts";
import { test } from "../test.ts";

/** What a page asks of a worker. */
type Question = { readonly list: true } | { readonly run: number };

/**
 * Registers the tests of a worker as tests of this page. What is to be tested in a worker stands in
 * a module that registers its tests as usual and then calls {@linkcode serveTests}.
 *
 * @param worker The worker that has loaded it.
 */
export async function testInWorker(worker: Worker): Promise<void> {
  const names: readonly string[] = await ask(worker, { list: true });
  for (const [i, name] of names.entries()) {
    test(name, async () => {
      const { error }: BrowserTestOutcome = await ask(worker, { run: i });
      if (error !== undefined) throw new Error(error);
    });
  }
}

/** Runs this worker's tests as its page asks for them. */
export function serveTests(): void {
  // Deno's types know no worker's scope.
  const scope = globalThis as unknown as Worker;
  scope.onmessage = async ({ data, ports: [port] }: MessageEvent<Question>) => {
    port!.postMessage(
      "list" in data ? registered.map(({ name }) => name) : await runTest(registered[data.run]!),
    );
  };
}

function ask<T>(worker: Worker, question: Question): Promise<T> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve, reject) => {
    port1.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(question, [port2]);
  });
}
