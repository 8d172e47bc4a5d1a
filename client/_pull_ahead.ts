import type { Clock, PullAnswer, PullRequest, SyncTransport } from "@lakesync/core";
import { Coming } from "./_server_time.ts";

/** What pages are asked of, and by whose time they come. */
export interface PullAheadContext {
  readonly transport: SyncTransport;
  readonly clock: Clock;
}

/** A page that is on its way, by what it was asked with. */
interface PageAhead {
  readonly request: string;
  readonly page: Coming<PullAnswer>;
  readonly controller: AbortController;
}

/** Pulls page after page, the next one while the last is applied. */
export class PullAhead {
  readonly #context: PullAheadContext;
  readonly #signal: AbortSignal;
  #coming: PageAhead | undefined;

  constructor(context: PullAheadContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
  }

  /** The page that is asked for; where it was asked for ahead, that one. */
  pull(request: PullRequest): Coming<PullAnswer> {
    const coming = this.#coming;
    if (coming?.request === JSON.stringify(request)) {
      this.#coming = undefined;
      return coming.page;
    }
    this.stop();
    return this.#ask(request, this.#signal);
  }

  /** Asks for a page that will be wanted where the one before is applied. */
  ahead(request: PullRequest): void {
    this.stop();
    const controller = new AbortController();
    const signal = AbortSignal.any([this.#signal, controller.signal]);
    const page = this.#ask(request, signal);
    // Who has been told to stop looks at no failure.
    page.answer.catch(() => {});
    this.#coming = { request: JSON.stringify(request), page, controller };
  }

  #ask(request: PullRequest, signal: AbortSignal): Coming<PullAnswer> {
    const { transport, clock } = this.#context;
    return new Coming(transport.pull(request, { signal }), clock);
  }

  /** Gives up what was asked for ahead. */
  stop(): void {
    this.#coming?.controller.abort();
    this.#coming = undefined;
  }
}
