/**
 * The service worker of an app that opens without a network: it keeps the app's own files, and nothing
 * else. The data is the client's business. `@lakesync/client/app-shell` registers it.
 *
 * @module
 */
import { ACTIVATE, COUNT_WINDOWS } from "./_shell_messages.ts";

/** Options of {@linkcode serveAppShell}. */
export interface AppShellOptions {
  /** Names this version of the app's files: another text means other files. */
  version: string;
  /**
   * All files that the app needs to open, with the page, the client's worker and `sqlite3.wasm`: URLs,
   * relative ones by that of the service worker.
   */
  files: readonly string[];
  /**
   * Which of the files opens for every address in the service worker's scope.
   *
   * @default {"./"}
   */
  page?: string;
}

const CACHE = "lakesync-shell ";

/**
 * Serves an app's files from this device, so that it opens offline: call it at the top of a service
 * worker. A version is loaded whole before any of it is used; it takes over once the old one's last page is
 * closed or loads anew, or when a page asks for it. Requests for anything but the listed files go
 * to the network as if there were no service worker: no answer of a gateway is ever kept.
 *
 * @param options The version and its files.
 *
 * @example An app's service worker
 * ```ts
 * import { serveAppShell } from "@lakesync/client/service-worker";
 *
 * serveAppShell({
 *   version: "2026-11-20",
 *   files: ["./", "app.js", "style.css", "lakesync-worker.js", "sqlite3.wasm"],
 * });
 * ```
 */
export function serveAppShell(options: AppShellOptions): void {
  const { version, page = "./" } = options;
  const scope = globalThis as unknown as ServiceWorkerScope;
  const address = (file: string): string => new URL(file, scope.location.href).href;
  let known: Set<string> | undefined;
  const files = (): Set<string> => known ??= new Set(options.files.map(address));
  // Apps of one origin share the caches.
  const ours = (): string => `${CACHE}${scope.registration.scope} `;
  const open = (): Promise<Cache> => caches.open(ours() + version);

  const load = async (): Promise<void> => {
    const cache = await open();
    // All or nothing, and from the server: the browser's own cache may hold those of another version.
    await cache.addAll([...files()].map((url) => new Request(url, { cache: "reload" })));
  };
  const takeOver = async (): Promise<void> => {
    for (const name of await caches.keys()) {
      if (name.startsWith(ours()) && name !== ours() + version) await caches.delete(name);
    }
    await scope.clients.claim();
  };
  // What a browser has thrown away is still on the server.
  const answer = async (request: Request, url: string): Promise<Response> =>
    await (await open()).match(url) ?? await fetch(request);

  const countWindows = async (): Promise<number> => {
    const all = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
    return all.filter(({ url }) => url.startsWith(scope.registration.scope)).length;
  };

  scope.addEventListener("install", (event) => event.waitUntil(load()));
  scope.addEventListener("activate", (event) => event.waitUntil(takeOver()));
  scope.addEventListener("message", (event) => {
    const { data, ports: [port] } = event;
    if (data === ACTIVATE) event.waitUntil(scope.skipWaiting());
    if (data === COUNT_WINDOWS) {
      event.waitUntil(countWindows().then((count) => port?.postMessage(count)));
    }
  });
  scope.addEventListener("fetch", (event) => {
    const { request } = event;
    if (request.method !== "GET") return;
    const url = request.url.replace(/[?#].*/, "");
    if (files().has(url)) event.respondWith(answer(request, url));
    else if (request.mode === "navigate") event.respondWith(answer(request, address(page)));
  });
}

/** What is used of a service worker's global scope, which the compiler's DOM does not have. */
interface ServiceWorkerScope {
  readonly location: { readonly href: string };
  readonly registration: ServiceWorkerRegistration;
  readonly clients: {
    claim(): Promise<void>;
    matchAll(
      options: { type: "window"; includeUncontrolled: true },
    ): Promise<readonly { readonly url: string }[]>;
  };
  skipWaiting(): Promise<void>;
  addEventListener<Name extends keyof WorkerEvents>(
    name: Name,
    listener: (event: WorkerEvents[Name]) => void,
  ): void;
}

interface Extendable {
  waitUntil(work: Promise<unknown>): void;
}

interface WorkerEvents {
  readonly install: Extendable;
  readonly activate: Extendable;
  readonly message: Extendable & {
    readonly data: unknown;
    readonly ports: readonly MessagePort[];
  };
  readonly fetch: {
    readonly request: Request;
    respondWith(answer: Promise<Response>): void;
  };
}
