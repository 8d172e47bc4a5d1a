import { Buffer } from "node:buffer";
import { ok, type Result } from "@lakesync/core";
import type { NextPageOptions, PageAnswer, PageReader } from "./page_source.ts";
import { formatRouterCursor } from "./router_cursor.ts";
import type { Shards } from "./router_shards.ts";
import { serverStamp } from "./server_clock.ts";
import type { Pages } from "./service.ts";
import { type Wakeups, wokenOr } from "./wakeups.ts";

/** What {@linkcode RouterPages} reads. */
export interface RouterPagesOptions {
  /** The shards. */
  readonly shards: Shards;
  /** A reader of each shard; undefined where the caller asks for none of its tables. */
  readonly readers: readonly (PageReader | undefined)[];
  /** Where the caller stands in each. */
  readonly cursors: readonly string[];
  /** The shard to read first. */
  readonly turn: number;
  /** The most items of a page. */
  readonly limit: number;
  /** The most bytes of a page. */
  readonly maxBytes: number;
  /** Whether pages tell where the logs end. */
  readonly tellHead: boolean;
  /** Tells that a shard's log has grown. */
  readonly wakeups: Wakeups;
}

/**
 * The pages of all shards as one stream. No transaction is in two shards, so the shards' pages, which
 * end between transactions, stand in any order; each page begins with the shard after the last one's.
 */
export class RouterPages implements Pages {
  readonly #options: RouterPagesOptions;
  readonly #cursors: string[];
  #turn: number;

  constructor(options: RouterPagesOptions) {
    this.#options = options;
    this.#cursors = [...options.cursors];
    this.#turn = options.turn;
  }

  /** Whether streams are to end. */
  get closing(): boolean {
    return this.#options.readers.some((reader) => reader?.closing === true);
  }

  /** The next page. */
  async next({ over }: NextPageOptions = {}): Promise<Result<PageAnswer>> {
    const { wakeups } = this.#options;
    for (;;) {
      // Taken before the logs are read, so that nothing is missed between the two.
      const wakeup = wakeups.next();
      try {
        const page = await this.#read();
        if (!page.ok) return page;
        const something = page.value.items.length > 0 || page.value.hasMore;
        if (something || over === undefined || over.aborted || this.closing) return page;
        await wokenOr(over, wakeup);
      } finally {
        wakeup.forget();
      }
    }
  }

  async #read(): Promise<Result<PageAnswer>> {
    const { shards, readers, limit, maxBytes } = this.#options;
    const count = readers.length;
    const items: string[] = [];
    const places: number[] = [];
    const heads: number[] = [];
    let room = maxBytes;
    let hasMore = false;
    for (let i = 0; i < count; i++) {
      const index = (this.#turn + i) % count;
      const reader = readers[index];
      if (reader === undefined) {
        // Nothing of it is asked for: the caller has all of that.
        const head = await shards.gateways[index]!.store.head();
        if (!head.ok) return head;
        heads[index] = places[index] = head.value.seq;
        continue;
      }
      if (items.length >= limit || room <= 0) {
        places[index] = reader.position.seq;
        hasMore = true;
        const head = await shards.gateways[index]!.store.head();
        if (!head.ok) return head;
        heads[index] = head.value.seq;
        continue;
      }
      const page = await reader.next({
        size: { limit: limit - items.length, maxBytes: room },
      });
      if (!page.ok) return page;
      items.push(...page.value.items);
      for (const item of page.value.items) room -= Buffer.byteLength(item);
      places[index] = reader.position.seq;
      heads[index] = page.value.head as number | undefined ?? places[index];
      this.#cursors[index] = page.value.cursor;
      hasMore ||= page.value.hasMore;
    }
    this.#turn = (this.#turn + 1) % count;
    const serverHlc = await serverStamp(shards.rest.store);
    if (!serverHlc.ok) return serverHlc;
    const cursor = formatRouterCursor({ shards: this.#cursors, turn: this.#turn }, shards);
    return ok({
      items,
      cursor,
      seq: shards.seq(places),
      hasMore,
      serverHlc: serverHlc.value,
      ...(this.#options.tellHead && { head: shards.seq(heads) }),
    });
  }
}
