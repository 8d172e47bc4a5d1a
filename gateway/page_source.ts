import {
  err,
  type Hlc,
  type LearnedSchema,
  type LogPosition,
  type LogSeq,
  type LogStore,
  ok,
  type Result,
  toLakeSyncError,
} from "@lakesync/core";
import { CallerView } from "./caller_view.ts";
import { formatCursor, resolveCursor } from "./cursor.ts";
import { readPageFor } from "./joined_page.ts";
import type { Memberships } from "./memberships.ts";
import type { Page, PageSize } from "./page.ts";
import type { PastEffects } from "./past_effects.ts";
import type { PullParams } from "./pull.ts";
import type { RulesRegistry } from "./rules_registry.ts";
import { serverStamp } from "./server_clock.ts";
import { SharedReads } from "./shared_reads.ts";
import { type Wakeups, wokenOr } from "./wakeups.ts";

/** A page as it goes out; JSON or protobuf is made of it where it leaves (`page_form.ts`). */
export interface PageAnswer {
  /** Its items as JSON texts: most pass through as the log has them. */
  readonly items: readonly string[];
  /** Where to go on. */
  readonly cursor: string;
  /** The log position that it brings the caller to. */
  readonly seq: LogSeq;
  /** Whether there is more already. */
  readonly hasMore: boolean;
  /** The gateway's clock. */
  readonly serverHlc: Hlc;
  /** The tables, where the caller asks for them and they are news to it. */
  readonly schema?: LearnedSchema;
  /** Where the log ends, where the caller asks for that. */
  readonly head?: LogSeq;
}

/** What a {@linkcode PageSource} reads from. */
export interface PageSourceParts {
  /** The log. */
  readonly store: LogStore;
  /** The rules, which all pages are judged by. */
  readonly rules: RulesRegistry;
  /** What the log's entries of before the rules did. */
  readonly past: PastEffects;
  /** What rules find in other tables. */
  readonly memberships: Memberships;
  /** Tells that the log has grown, and that the gateway closes. */
  readonly wakeups: Wakeups;
  /** Aborted when streams are to end. */
  readonly closing: AbortSignal;
}

/** Options of {@linkcode PageSource.open}. */
export interface OpenPagesOptions {
  /** The most bytes of a page's items. */
  readonly maxBytes: number;
}

/** Options of {@linkcode PageReader.next}. */
export interface NextPageOptions {
  /**
   * Wait for something until this aborts, then give what stands: an empty page.
   *
   * @default {undefined} do not wait
   */
  readonly over?: AbortSignal;
  /**
   * How large the page may become.
   *
   * @default {undefined} as it was opened
   */
  readonly size?: PageSize;
}

/**
 * The one source of pages. Pull, held pull, SSE and WebSocket all draw from it, so that filter, order
 * and cursor are the same on every way out.
 */
export class PageSource {
  readonly #parts: PageSourceParts;
  readonly #shared: SharedReads<Result<StampedPage>>;

  constructor(parts: PageSourceParts) {
    this.#parts = parts;
    this.#shared = new SharedReads(parts.wakeups);
  }

  /**
   * Begins to read at a cursor.
   *
   * @param params What is asked for.
   * @param options How large a page may become.
   * @returns The pages; `CHECKPOINT_REQUIRED` where the cursor cannot be served.
   */
  async open(params: PullParams, options: OpenPagesOptions): Promise<Result<PageReader>> {
    const { store, rules } = this.#parts;
    const view = await CallerView.open(rules, params);
    if (!view.ok) return view;
    const { digest } = view.value;
    const start = await resolveCursor(params.cursor, { store, digest });
    if (!start.ok) return start;
    const log = await view.value.log(start.value.seq, this.#parts);
    if (!log.ok) return log;
    const { limit, own, tellHead, clientId } = params;
    return ok(
      new PageReader(this.#parts, start.value, {
        view: view.value,
        digest,
        own: own ? clientId : "",
        tellHead,
        size: { limit, maxBytes: options.maxBytes },
        shared: this.#shared,
      }),
    );
  }
}

/** What a {@linkcode PageReader} reads. */
interface PageReaderOptions {
  readonly view: CallerView;
  /** That of the view: it stays the same for as long as the view stands. */
  readonly digest: string;
  /** Whose deltas come as OWN; `""` for nobody's. */
  readonly own: string;
  /** Whether its pages tell where the log ends. */
  readonly tellHead: boolean;
  readonly size: PageSize;
  readonly shared: SharedReads<Result<StampedPage>>;
}

/** A page and the gateway's clock just after it was read. */
interface StampedPage {
  readonly page: Page;
  readonly serverHlc: Hlc;
}

/**
 * Pages for one caller, one after the other. It holds none: a page is read when it is asked for.
 *
 * @example The first page comes at once, also an empty one
 * ```ts
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { createGateway, memoryLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const gateway = unwrapOrThrow(await createGateway({ id: "default", store: memoryLogStore() }));
 * const query = new URLSearchParams({ clientId: "bob" });
 * const pages = unwrapOrThrow(await gateway.follow(query, { caller: { sub: undefined } }));
 * assertEquals(unwrapOrThrow(await pages.next()).items, []);
 * await gateway.close();
 * ```
 */
export class PageReader {
  readonly #parts: PageSourceParts;
  readonly #options: PageReaderOptions;
  #position: LogPosition;

  /** Use {@linkcode PageSource.open}. */
  constructor(parts: PageSourceParts, position: LogPosition, options: PageReaderOptions) {
    this.#parts = parts;
    this.#position = position;
    this.#options = options;
  }

  /** Where the caller stands. */
  get position(): LogPosition {
    return this.#position;
  }

  /** Whether streams are to end: from now on `next` does not wait. */
  get closing(): boolean {
    return this.#parts.closing.aborted;
  }

  /**
   * The next page. Not to be called again before it has come.
   *
   * @param options How long to wait for one with something in it.
   * @returns The page, which may be empty; `CHECKPOINT_REQUIRED` where the log was trimmed beyond it
   * or the caller may see something else now, or the store's error.
   */
  async next(options: NextPageOptions = {}): Promise<Result<PageAnswer>> {
    const { over, size = this.#options.size } = options;
    const { wakeups } = this.#parts;
    for (;;) {
      // Taken before the log is read, so that nothing is missed between the two.
      const wakeup = wakeups.next();
      try {
        // Nobody would wake one who does not wait for what a read begun before has missed.
        const read = over === undefined ? await this.#read(size) : await this.#share(size);
        if (!read.ok) return read;
        const { page } = read.value;
        // Looked at afterwards: nothing goes out that rules put in the meantime hide.
        const stands = await this.#options.view.stands();
        if (!stands.ok) return stands;
        if (!stands.value) continue;
        this.#position = page.position;
        const something = page.items.length > 0 || page.hasMore;
        if (something || over === undefined || over.aborted || this.closing) {
          return await this.#answer(read.value);
        }
        await wokenOr(over, wakeup);
      } catch (thrown) {
        // A stream must be able to tell of it, like of any failure.
        return err(toLakeSyncError(thrown, "INTERNAL"));
      } finally {
        wakeup.forget();
      }
    }
  }

  #share(size: PageSize): Promise<Result<StampedPage>> {
    const { digest, own, shared } = this.#options;
    const { seq, hash } = this.#position;
    const what = `${seq} ${hash} ${digest} ${size.limit} ${size.maxBytes} ${own}`;
    return shared.read(what, () => this.#read(size));
  }

  async #read(size: PageSize): Promise<Result<StampedPage>> {
    const { memberships } = this.#parts;
    const { view } = this.#options;
    const log = await view.log(this.#position.seq, this.#parts);
    if (!log.ok) return log;
    const store = log.value;
    const page = await readPageFor(view, this.#position, { store, memberships, size });
    if (!page.ok) return page;
    const serverHlc = await serverStamp(store);
    return serverHlc.ok ? ok({ page: page.value, serverHlc: serverHlc.value }) : serverHlc;
  }

  async #answer({ page, serverHlc }: StampedPage): Promise<Result<PageAnswer>> {
    const { items, position, hasMore } = page;
    const { store } = this.#parts;
    const { digest, tellHead } = this.#options;
    const cursor = formatCursor({ epoch: store.epoch, position, digest });
    const answer = { items, cursor, seq: position.seq, hasMore, serverHlc };
    if (!tellHead) return ok(answer);
    // A page that is the last one ends where the log did when it was read.
    const head = hasMore ? await store.head() : ok(position);
    return head.ok ? ok({ ...answer, head: head.value.seq }) : head;
  }
}
