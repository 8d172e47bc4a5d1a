import { type KvContext, readHead } from "./kv_head.ts";
import { Subscribers } from "./subscribers.ts";

/**
 * Tells subscribers that the head has changed, by whichever instance. KV's own watch is quick but
 * may break off, and sees no other process on a local file: so the head is looked at as well.
 */
export class KvWatch {
  readonly #context: KvContext;
  readonly #pollMs: number;
  readonly #subscribers = new Subscribers();
  #count = 0;
  #watching: AbortController | undefined;

  /**
   * Watches while somebody has subscribed.
   *
   * @param context The store.
   * @param pollMs How often the head is looked at, in ms.
   */
  constructor(context: KvContext, pollMs: number) {
    this.#context = context;
    this.#pollMs = pollMs;
  }

  /** Adds a subscriber; what is returned takes it out again. */
  subscribe(listener: () => void): () => void {
    const remove = this.#subscribers.add(listener);
    if (this.#count++ === 0) this.#start();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      remove();
      if (--this.#count === 0) this.stop();
    };
  }

  /** Tells them of a change that this instance has made itself. */
  notify(): void {
    this.#subscribers.notify();
  }

  /** Watches no longer. */
  stop(): void {
    this.#watching?.abort();
    this.#watching = undefined;
  }

  #start(): void {
    const watching = new AbortController();
    this.#watching = watching;
    let seen: string | null | undefined;
    const see = (stamp: string | null): void => {
      if (stamp === seen || watching.signal.aborted) return;
      seen = stamp;
      this.#subscribers.notify();
    };
    void this.#watch(see, watching.signal);
    void this.#poll(see, watching.signal);
  }

  async #watch(see: (stamp: string | null) => void, signal: AbortSignal): Promise<void> {
    const { kv, keys, scheduler } = this.#context;
    while (!signal.aborted) {
      let cancel = () => {};
      try {
        const reader = kv.watch([keys.head]).getReader();
        cancel = () => void reader.cancel().catch(() => {});
        signal.addEventListener("abort", cancel);
        for (let read = await reader.read(); !read.done; read = await reader.read()) {
          see(read.value[0]!.versionstamp);
        }
      } catch {
        // It broke off: looking goes on meanwhile.
      }
      signal.removeEventListener("abort", cancel);
      await scheduler.delay(this.#pollMs, { signal });
    }
  }

  async #poll(see: (stamp: string | null) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        see((await readHead(this.#context)).stamp);
      } catch {
        // The next look may succeed; who pushes or pulls is told of the failure.
      }
      await this.#context.scheduler.delay(this.#pollMs, { signal });
    }
  }
}
