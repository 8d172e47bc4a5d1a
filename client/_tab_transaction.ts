import {
  LakeSyncError,
  type Result,
  type Scheduler,
  type SqlDatabase,
  type SqlTransaction,
  unwrapOrThrow,
} from "@lakesync/core";

/** After so many ms without a word from its tab a transaction is rolled back. */
const SILENCE_MS = 5_000;

type Step = (tx: SqlTransaction) => Promise<void>;
type Next = { readonly step: Step } | { readonly end: "commit" | LakeSyncError };

/** A transaction of the leader's database that a tab leads through by messages. */
export class TabTransaction {
  readonly #scheduler: Scheduler;
  readonly #queue: Next[] = [];
  readonly #done: Promise<Result<void>>;
  #wake: () => void = () => {};

  constructor(database: SqlDatabase, scheduler: Scheduler) {
    this.#scheduler = scheduler;
    this.#done = database.transaction((tx) => this.#lead(tx));
  }

  /** Runs one statement, or what else is part of it. */
  step<T>(work: (tx: SqlTransaction) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#push({ step: (tx) => work(tx).then(resolve, reject) });
    // Where it ends before this step's turn comes, nobody else answers.
    void this.#done.then((done) => reject(done.ok ? ended() : done.error));
    return promise;
  }

  /** Commits; rejects where that failed. */
  async commit(): Promise<void> {
    this.#push({ end: "commit" });
    unwrapOrThrow(await this.#done);
  }

  /** Rolls back: its tab asked for that, or is gone. */
  async rollback(): Promise<void> {
    this.#push({ end: ended() });
    await this.#done;
  }

  #push(next: Next): void {
    this.#queue.push(next);
    this.#wake();
  }

  async #lead(tx: SqlTransaction): Promise<void> {
    for (;;) {
      const next = this.#queue.shift() ?? await this.#next();
      if ("step" in next) await next.step(tx);
      else if (next.end === "commit") return;
      else throw next.end;
    }
  }

  /** Waits for a word from the tab, but not for ever: all others wait behind it. */
  async #next(): Promise<Next> {
    const heard = new AbortController();
    this.#wake = () => heard.abort();
    await this.#scheduler.delay(SILENCE_MS, { signal: heard.signal });
    this.#wake = () => {};
    return this.#queue.shift() ?? {
      end: new LakeSyncError(
        "TIMEOUT",
        `The transaction was rolled back after ${SILENCE_MS} ms without a statement: ` +
          "fetch what it needs before it begins, and try again",
      ),
    };
  }
}

function ended(): LakeSyncError {
  return new LakeSyncError("CLOSED", "The transaction has ended: begin another one");
}
