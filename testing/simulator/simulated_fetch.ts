/**
 * `fetch` of addresses that are in this process only: what talks to a server by the runtime's own
 * `fetch` talks to the simulation without knowing. Any other address is asked as ever.
 */

/** Answers a request; rejects where the connection breaks. */
export type Answerer = (request: Request) => Promise<Response>;

const HOST = "catalogue.simulated";
const served: Map<string, Answerer> = new Map();
const others = globalThis.fetch;
let count = 0;

globalThis.fetch = (input, init) => {
  const request = new Request(input, init);
  const { host, pathname } = new URL(request.url);
  if (host !== HOST) return others(input, init);
  const answer = served.get(pathname.split("/", 2)[1]!);
  return answer?.(request) ?? Promise.reject(new TypeError("the connection was refused"));
};

/** An address that is answered until it is closed. */
export function serveAt(answer: Answerer): { readonly url: string; close(): void } {
  const name = String(++count);
  served.set(name, answer);
  return { url: `http://${HOST}/${name}`, close: () => void served.delete(name) };
}
