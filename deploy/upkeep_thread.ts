import type { Logger } from "@lakesync/core";
import type { UpkeepLakes, UpkeepNews, UpkeepOrder } from "./upkeep_messages.ts";

/** The server's side of the thread that sees to its lakes. It ends with {@linkcode UpkeepThread.end}. */
export class UpkeepThread {
  readonly #worker = new Worker(new URL("./upkeep_worker.ts", import.meta.url), { type: "module" });
  #done: PromiseWithResolvers<boolean | undefined> | undefined;
  #broken: string | undefined;

  /** Starts it. */
  constructor(lakes: UpkeepLakes, logger: Logger) {
    this.#worker.onmessage = ({ data: news }: { readonly data: UpkeepNews }) => {
      if (news.type === "log") logger.log(news.level, news.event, news.facts);
      else this.#done?.resolve(news.well);
    };
    this.#worker.onerror = (event: Event) => {
      event.preventDefault();
      this.#broken = "message" in event ? String(event.message) : "it ended";
      logger.log("error", "maintain.failed", { message: this.#broken });
      this.#done?.resolve(false);
    };
    this.#say(lakes);
  }

  /**
   * Sees to one lake. Not to be called again before it has.
   *
   * @param gateway Whose.
   * @param signal Makes it leave off.
   * @returns Whether all went well; undefined where it left off.
   */
  async maintain(gateway: string, signal: AbortSignal): Promise<boolean | undefined> {
    if (this.#broken !== undefined) return false;
    this.#done = Promise.withResolvers();
    const stop = () => this.#say({ type: "stop" });
    this.#say({ type: "begin", gateway });
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    try {
      return await this.#done.promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Ends it at once, whatever it is at: every step may be broken off. */
  end(): void {
    this.#done?.resolve(undefined);
    this.#worker.terminate();
  }

  #say(order: UpkeepOrder): void {
    this.#worker.postMessage(order);
  }
}
