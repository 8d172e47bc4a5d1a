import type { Logger, Random } from "@lakesync/core";
import { Link, type LinkOptions, REFUSED } from "./_link.ts";
import { onOnline } from "./_online.ts";
import type { TokenSource } from "./_token.ts";

const MIN_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;

/** How long the first try is waited for; it may take longer. */
const FIRST_TRY_MS = 2_000;

/** What {@linkcode Connector} works with. */
export interface ConnectorOptions extends Omit<LinkOptions, "protocols"> {
  readonly protocol: string;
  readonly token: TokenSource;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Keeps a link to the gateway open from the first time that one is wanted until it is stopped: one
 * that breaks is opened again after a pause that is chosen anew from 0 up to 1 s, 2 s, 4 s … 60 s
 * (exponential backoff with full jitter: who lost the same gateway at once does not come back at once).
 */
export class Connector {
  readonly #options: ConnectorOptions;
  #run: AbortController | undefined;
  #link: Link | undefined;
  #firstTry: Promise<void> = Promise.resolve();
  #hurry: AbortController = new AbortController();
  readonly #waiting: Set<() => void> = new Set();

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** The link, where it is open. */
  get link(): Link | undefined {
    return this.#link;
  }

  /** The link, where it is open or soon will be; begins to keep one open. */
  async wanted(): Promise<Link | undefined> {
    if (this.#run === undefined) {
      const run = new AbortController();
      this.#run = run;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#firstTry = promise;
      void this.#keepOpen(run.signal, resolve);
      void this.#options.scheduler.delay(FIRST_TRY_MS, { signal: run.signal }).then(resolve);
    }
    await this.#firstTry;
    return this.#link;
  }

  /** Calls back once when a link has been opened; returns how to stop that. */
  onOpen(listener: () => void): () => void {
    this.#waiting.add(listener);
    return () => this.#waiting.delete(listener);
  }

  /** Closes the link; the next time that one is wanted it begins anew. */
  stop(): void {
    this.#run?.abort();
    this.#run = undefined;
    this.#link?.close("it is not used any more");
    this.#link = undefined;
  }

  async #keepOpen(stopped: AbortSignal, tried: () => void): Promise<void> {
    const { scheduler, logger } = this.#options;
    const offOnline = onOnline({ online: () => this.#hurry.abort() });
    stopped.addEventListener("abort", () => this.#hurry.abort());
    for (let failures = 0; !stopped.aborted; failures++) {
      const link = await this.#connect(stopped);
      if (link !== undefined) {
        this.#link = link;
        for (const listener of [...this.#waiting]) listener();
        this.#waiting.clear();
        tried();
        logger.log("debug", "socket.open");
        const code = await link.closed;
        if (this.#link === link) this.#link = undefined;
        if (link.lasted) failures = 0;
        logger.log("debug", "socket.closed", { code });
      }
      tried();
      if (stopped.aborted) break;
      this.#hurry = new AbortController();
      await scheduler.delay(this.#pauseMs(failures), { signal: this.#hurry.signal });
    }
    offOnline();
  }

  async #connect(stopped: AbortSignal): Promise<Link | undefined> {
    const { token: source, protocol, ...options } = this.#options;
    let token: string | undefined;
    try {
      token = await source.get();
    } catch {
      // Requests over HTTP tell of it.
      return undefined;
    }
    if (stopped.aborted) return undefined;
    const protocols = token === undefined ? [protocol] : [protocol, `bearer.${token}`];
    const link = new Link({ ...options, protocols });
    void link.closed.then((code) => code === REFUSED ? source.renew(token) : undefined);
    const stop = () => link.close("it is not used any more");
    stopped.addEventListener("abort", stop);
    const opened = await link.opened;
    stopped.removeEventListener("abort", stop);
    return opened && !stopped.aborted ? link : undefined;
  }

  #pauseMs(failures: number): number {
    const most = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(failures, 10));
    const [high = 0, low = 0] = this.#options.random.bytes(2);
    return Math.floor((most * (high * 256 + low)) / 65_536);
  }
}
