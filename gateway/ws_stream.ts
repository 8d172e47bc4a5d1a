import { type LakeSyncError, toLakeSyncError } from "@lakesync/core";
import type { PageAnswer } from "./page_source.ts";
import type { Pages } from "./service.ts";
import type { WsFrame } from "./ws_message.ts";
import type { WsOutlet } from "./ws_outlet.ts";

/** What a {@linkcode WsStream} sends by. */
export interface WsStreamOptions {
  /** Where the pages go. */
  readonly outlet: WsOutlet;
  /** Makes a frame of a page. */
  readonly encode: (page: PageAnswer) => WsFrame;
  /** Called with the error that ends the stream. */
  readonly onError: (error: LakeSyncError) => void;
}

/** The pages that a WebSocket is sent, from its pull on: the first at once, others as they come. */
export class WsStream {
  readonly #reader: Pages;
  readonly #options: WsStreamOptions;
  readonly #stopped = new AbortController();
  readonly #done: Promise<void>;

  /** Starts it. */
  constructor(reader: Pages, options: WsStreamOptions) {
    this.#reader = reader;
    this.#options = options;
    this.#done = this.#run();
  }

  /** Ends it; resolves when nothing more of it is sent. */
  stop(): Promise<void> {
    this.#stopped.abort();
    return this.#done;
  }

  async #run(): Promise<void> {
    const { outlet, encode, onError } = this.#options;
    const { signal } = this.#stopped;
    try {
      // The first page does not wait for anything to be in it.
      for (let over: { over?: AbortSignal } = {};; over = { over: signal }) {
        const page = await this.#reader.next(over);
        if (signal.aborted) return;
        if (!page.ok) return onError(page.error);
        // Without news a wait ends only where streams do.
        const { items, hasMore } = page.value;
        if (over.over !== undefined && items.length === 0 && !hasMore) return;
        outlet.send(encode(page.value));
        await outlet.room();
        if (signal.aborted) return;
      }
    } catch (thrown) {
      onError(toLakeSyncError(thrown, "INTERNAL"));
    }
  }
}
