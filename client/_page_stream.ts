import type { LakeSyncError, PullAnswer, PullRequest, Result } from "@lakesync/core";
import { err, ok } from "@lakesync/core";

/** How many bytes of pages may wait to be taken; a single page may have more. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

/** Items of the pages that are given out as one. */
const MAX_ITEMS = 1_000;

/**
 * The pages that a gateway pushes after one pull, in order, until they are taken. Each follows on the
 * cursor of the one before.
 */
export class PageStream {
  /** What its pages carry. */
  readonly id: string;
  /** Resolves with its first page, or its end. */
  readonly answered: Promise<void>;
  readonly #view: string;
  // Where who takes pages stands.
  #cursor: string;
  #pages: { readonly page: PullAnswer; readonly bytes: number }[] = [];
  #bytes = 0;
  #end: LakeSyncError | undefined;
  #wake: () => void = () => {};
  readonly #answer: () => void;

  constructor(id: string, request: PullRequest) {
    this.id = id;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.answered = promise;
    this.#answer = resolve;
    this.#view = viewOf(request);
    this.#cursor = request.cursor;
  }

  /** Whether the next page is what a pull asks for. */
  follows(request: PullRequest): boolean {
    // Why it ended was told to who waited: asked anew, the gateway may say something else.
    if (this.#end !== undefined && this.#pages.length === 0) return false;
    return this.#cursor === request.cursor && this.#view === viewOf(request);
  }

  /** Takes a page in; false where nobody keeps up with them. */
  add(page: PullAnswer, bytes: number): boolean {
    this.#pages.push({ page, bytes });
    this.#bytes += bytes;
    this.#answer();
    this.#wake();
    return this.#pages.length === 1 || this.#bytes <= MAX_WAITING_BYTES;
  }

  /** Ends it, after the pages that wait. */
  end(error: LakeSyncError): void {
    this.#end ??= error;
    this.#answer();
    this.#wake();
  }

  /**
   * The next page, once it is there: all that wait, as one, so that a burst of small ones is applied
   * in one transaction.
   *
   * @returns The page; why there is none any more; undefined where the signal aborted.
   */
  async take(signal: AbortSignal): Promise<Result<PullAnswer> | undefined> {
    while (this.#pages.length === 0) {
      if (this.#end !== undefined) return err(this.#end);
      if (signal.aborted) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#wake = wake;
      signal.addEventListener("abort", wake);
      await promise;
      signal.removeEventListener("abort", wake);
    }
    const page = joinPages(this.#shift());
    this.#cursor = page.cursor;
    return ok(page);
  }

  #shift(): readonly PullAnswer[] {
    const taken: PullAnswer[] = [];
    for (let items = 0; this.#pages.length > 0;) {
      const { page, bytes } = this.#pages[0]!;
      items += page.deltas.length;
      if (taken.length > 0 && items > MAX_ITEMS) break;
      taken.push(page);
      this.#pages.shift();
      this.#bytes -= bytes;
    }
    return taken;
  }
}

/** What a pull asks for, without where it stands and how long it waits. */
function viewOf({ clientId, limit, tables, own, schemaVersion, tell }: PullRequest): string {
  return JSON.stringify([clientId, limit, tables, own, schemaVersion, tell]);
}

function joinPages(pages: readonly PullAnswer[]): PullAnswer {
  const last = pages.at(-1)!;
  if (pages.length === 1) return last;
  const schema = pages.findLast((page) => page.schema !== undefined)?.schema;
  const deltas = pages.flatMap(({ deltas }) => deltas);
  return { ...last, deltas, ...(schema !== undefined && { schema }) };
}
