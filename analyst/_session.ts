import { type LakeSyncError, systemScheduler } from "@lakesync/core";
import type { DuckDb, DuckDbConnection } from "./_duckdb.ts";
import { aborted, closed, duckDbError } from "./_errors.ts";

/**
 * A DuckDB connection for one query: what it makes as TEMP is its own. Work on it goes through
 * `run`, one at a time, and stops when the signal aborts or the session is closed.
 */
export class Session {
  readonly #connection: DuckDbConnection;
  readonly #signal: AbortSignal | undefined;
  readonly #onClose: (session: Session) => void;
  readonly #cleanUps: (() => Promise<void>)[] = [];
  #work: Promise<unknown> | undefined;
  #closed = false;

  private constructor(
    connection: DuckDbConnection,
    signal: AbortSignal | undefined,
    onClose: (session: Session) => void,
  ) {
    this.#connection = connection;
    this.#signal = signal;
    this.#onClose = onClose;
  }

  /** Opens a session; `onClose` hears of its end once. */
  static async open(
    duckDb: DuckDb,
    options: { signal: AbortSignal | undefined; onClose: (session: Session) => void },
  ): Promise<Session> {
    return new Session(await duckDb.connect(), options.signal, options.onClose);
  }

  /** Does something on the connection; throws a `LakeSyncError`. */
  async run<T>(work: (connection: DuckDbConnection) => Promise<T>): Promise<T> {
    this.check();
    const running = work(this.#connection);
    this.#work = running;
    const interrupt = () => this.#interrupt(running);
    this.#signal?.addEventListener("abort", interrupt);
    try {
      return await running;
    } catch (thrown) {
      this.check();
      throw thrown instanceof TypeError ? thrown : duckDbError(thrown);
    } finally {
      this.#work = undefined;
      this.#signal?.removeEventListener("abort", interrupt);
    }
  }

  /** Throws where the session is closed or its signal has aborted. */
  check(): void {
    if (this.#closed) throw closed();
    if (this.#signal?.aborted === true) throw aborted();
  }

  /** Does something when the session ends. */
  defer(cleanUp: () => Promise<void>): void {
    this.#cleanUps.push(cleanUp);
  }

  /** Stops what runs, waits for its end and lets go of the connection. May be called twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#work !== undefined) await this.#interrupt(this.#work);
    await this.#connection.close();
    for (const cleanUp of this.#cleanUps) await cleanUp();
    this.#onClose(this);
  }

  /** Stops what runs and waits for its end. */
  async #interrupt(work: Promise<unknown>): Promise<void> {
    const ended = new AbortController();
    const end = work.then(() => ended.abort(), () => ended.abort());
    // A statement that has not quite begun does not hear an interrupt, so it is told again.
    while (!ended.signal.aborted) {
      this.#connection.interrupt();
      await systemScheduler.delay(5, { signal: ended.signal });
    }
    await end;
  }
}

/** Turns what was thrown into a failure; a programmer's error goes on as it is. */
export function caught(thrown: unknown): LakeSyncError {
  if (thrown instanceof TypeError) throw thrown;
  return duckDbError(thrown);
}
