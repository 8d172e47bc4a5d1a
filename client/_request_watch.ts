import { LakeSyncError, type Scheduler, toLakeSyncError } from "@lakesync/core";

/** Stops a request that the caller gives up or that shows no sign of life. */
export class Watch {
  readonly #controller: AbortController = new AbortController();
  readonly #scheduler: Scheduler;
  readonly #ms: number;
  readonly #url: string;
  readonly #caller: AbortSignal | undefined;
  #timer: AbortController = new AbortController();
  #timedOut = false;

  constructor(
    scheduler: Scheduler,
    options: { ms: number; url: string; signal: AbortSignal | undefined },
  ) {
    this.#scheduler = scheduler;
    this.#ms = options.ms;
    this.#url = options.url;
    this.#caller = options.signal;
    if (this.#caller?.aborted === true) this.#controller.abort();
    this.#caller?.addEventListener("abort", this.#abort);
    this.#restart();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(): void {
    this.#timer.abort();
    this.#caller?.removeEventListener("abort", this.#abort);
  }

  /** Ends the request, where its body is not wanted any more. */
  cancel(): void {
    this.stop();
    this.#controller.abort();
  }

  /** Passes a body on; each chunk is a sign of life. */
  async *heartbeat(
    body: ReadableStream<Uint8Array>,
    came: (bytes: number) => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#restart();
      came(value.length);
      yield value;
    }
  }

  /** What a failure really was. */
  explain(thrown: unknown): LakeSyncError {
    if (this.#caller?.aborted === true) {
      return new LakeSyncError("ABORTED", "The request was stopped", { cause: thrown });
    }
    if (this.#timedOut) {
      return new LakeSyncError(
        "TIMEOUT",
        `The gateway did not answer within ${this.#ms} ms: try again later`,
        { cause: thrown },
      );
    }
    if (thrown instanceof LakeSyncError) return thrown;
    const { message } = toLakeSyncError(thrown, "OFFLINE");
    return new LakeSyncError(
      "OFFLINE",
      `Cannot reach the gateway at ${this.#url}: ${message}; check the URL and the network`,
      { cause: thrown },
    );
  }

  readonly #abort = (): void => this.#controller.abort();

  #restart(): void {
    this.#timer.abort();
    const timer = new AbortController();
    this.#timer = timer;
    void this.#scheduler.delay(this.#ms, { signal: timer.signal }).then(() => {
      if (timer.signal.aborted) return;
      this.#timedOut = true;
      this.#controller.abort();
    });
  }
}

/** Ends the watch with the rows, and says what broke them off. */
export async function* guard<T>(
  rows: AsyncIterable<T>,
  watch: Watch,
): AsyncGenerator<T, void, undefined> {
  let whole = false;
  try {
    yield* rows;
    whole = true;
  } catch (thrown) {
    throw watch.explain(thrown);
  } finally {
    if (whole) watch.stop();
    else watch.cancel();
  }
}
