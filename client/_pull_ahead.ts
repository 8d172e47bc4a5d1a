import type { PullAnswer, PullRequest, Result, SyncTransport } from "@lakesync/core";

/** A page that is on its way, by what it was asked with. */
interface Coming {
  readonly request: string;
  readonly page: Promise<Result<PullAnswer>>;
  readonly controller: AbortController;
}

/** Pulls page after page, the next one while the last is applied. */
export class PullAhead {
  readonly #transport: SyncTransport;
  readonly #signal: AbortSignal;
  #coming: Coming | undefined;

  constructor(transport: SyncTransport, signal: AbortSignal) {
    this.#transport = transport;
    this.#signal = signal;
  }

  /** The page that is asked for; where it was asked for ahead, that one. */
  pull(request: PullRequest): Promise<Result<PullAnswer>> {
    const coming = this.#coming;
    if (coming?.request === JSON.stringify(request)) {
      this.#coming = undefined;
      return coming.page;
    }
    this.stop();
    return this.#transport.pull(request, { signal: this.#signal });
  }

  /** Asks for a page that will be wanted where the one before is applied. */
  ahead(request: PullRequest): void {
    this.stop();
    const controller = new AbortController();
    const signal = AbortSignal.any([this.#signal, controller.signal]);
    const page = this.#transport.pull(request, { signal });
    // Who has been told to stop looks at no failure.
    page.catch(() => {});
    this.#coming = { request: JSON.stringify(request), page, controller };
  }

  /** Gives up what was asked for ahead. */
  stop(): void {
    this.#coming?.controller.abort();
    this.#coming = undefined;
  }
}
