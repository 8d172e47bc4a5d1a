import { LakeSyncError, type Logger, type Scheduler } from "@lakesync/core";
import type { LeaderFinder } from "./_remote_database.ts";
import type {
  ControlMessage,
  HelloBody,
  LeaderCalls,
  LeaderNews,
  TabCalls,
  TabNews,
  Welcome,
  WelcomeMessage,
  WorkerMessage,
} from "./_tab_messages.ts";
import { unpackErrors } from "./_tab_pack.ts";
import { type Port, Rpc, type RpcHandlers } from "./_tab_rpc.ts";

/** So often a tab that knows no leader asks who leads. */
const ASK_MS = 500;

/** After so many ms without a leader, or one that is about to be, what waits for one fails. */
const PATIENCE_MS = 10_000;

type Facts = Parameters<Logger["log"]>[2];

/** The line to a leader. */
export type Line = Rpc<LeaderCalls, LeaderNews, TabCalls, TabNews>;

/** What {@linkcode TabLink} works with. */
export interface TabLinkOptions {
  /** The tab's name. */
  readonly tab: string;
  /** What the tab says about itself by now. */
  readonly hello: () => HelloBody;
  /** The channel of all tabs. */
  readonly control: Port;
  /** The channel on which another tab's worker leads this one. */
  readonly own: Port;
  /** The tab's own worker. */
  readonly worker: Port;
  readonly scheduler: Scheduler;
  /** Gets the lines of the worker's log. */
  readonly logger: Logger;
  readonly handlers: RpcHandlers<TabCalls, TabNews>;
  /** Told about each leader that has taken the tab in. */
  readonly welcomed: (welcome: Welcome) => void;
  /** Told that the tab has no place here any more. */
  readonly ended: (error: LakeSyncError) => void;
}

/** A tab's way to whichever worker leads. */
export class TabLink implements LeaderFinder {
  readonly #options: TabLinkOptions;
  readonly #over: AbortController = new AbortController();
  #term: string | undefined;
  #line: Line | undefined;
  #port: Port | undefined;
  #failure: LakeSyncError | undefined;
  /** Whether its own worker is opening the database. */
  #opening = false;
  /** How often another tab has said that its worker is. */
  #openings = 0;
  #end: Error | undefined;
  #found = Promise.withResolvers<Line>();
  #lost: AbortController = new AbortController();
  #wiping: PromiseWithResolvers<LakeSyncError | undefined> | undefined;

  constructor(options: TabLinkOptions) {
    const { control, own, worker, logger } = options;
    this.#options = options;
    control.listen((message) => this.#hear(message as ControlMessage));
    own.listen((message) => this.#take(own, message));
    worker.listen((message) => {
      const said = message as WorkerMessage;
      if ("failed" in said) this.#failed(unpackErrors(said.failed) as LakeSyncError);
      else if ("opening" in said) this.#opening = true;
      else if ("log" in said) logger.log(said.log[0], said.log[1], said.log[2] as Facts);
      else this.#take(worker, message);
    });
    this.#found.promise.catch(() => {});
    void this.#seek();
  }

  /** Whether a leader has taken the tab in. */
  get line(): Line | undefined {
    return this.#line;
  }

  async leader(): Promise<Line> {
    if (this.#end !== undefined) throw this.#end;
    if (this.#line !== undefined) return this.#line;
    const late = new AbortController();
    const tooLate = this.#beTooLate(late.signal);
    tooLate.catch(() => {});
    try {
      return await Promise.race([this.#found.promise, tooLate]);
    } finally {
      late.abort();
    }
  }

  /** Has the data removed; the clients of all tabs end. */
  async wipe(): Promise<LakeSyncError | undefined> {
    this.#wiping ??= Promise.withResolvers();
    // A leader that comes later is asked by the next announcement.
    if (this.#term !== undefined) this.#post({ wipe: true });
    return await this.#wiping.promise;
  }

  /** Ends it: what waits fails with this error. */
  end(error: Error): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#over.abort();
    this.#lose();
    this.#found.reject(error);
    const { control, own } = this.#options;
    control.close();
    own.close();
  }

  /** Rejects when nobody leads and nobody is about to, for as long as one waits for that. */
  async #beTooLate(signal: AbortSignal): Promise<never> {
    let heard: number;
    do {
      heard = this.#openings;
      await this.#options.scheduler.delay(PATIENCE_MS, { signal });
    } while (
      !signal.aborted && this.#failure === undefined &&
      (this.#opening || this.#openings !== heard)
    );
    throw this.#failure ?? new LakeSyncError(
      "TIMEOUT",
      `No tab of this app answered within ${PATIENCE_MS} ms: reload the page`,
    );
  }

  #post(message: ControlMessage): void {
    this.#options.control.post(message);
  }

  #hear(said: ControlMessage): void {
    if ("leads" in said && said.leads !== this.#term) {
      const { tab, hello, own, worker } = this.#options;
      this.#opening = false;
      this.#lose();
      this.#term = said.leads;
      this.#port = said.tab === tab ? worker : own;
      // Its own worker hears it by its messages, others by the channel of all.
      const message = { hello: hello(), term: said.leads } satisfies ControlMessage;
      if (this.#port === worker) worker.post(message);
      else this.#post(message);
      if (this.#wiping !== undefined) this.#post({ wipe: true });
    } else if ("wiped" in said) this.#wiped(said.wiped);
    else if ("opening" in said) this.#openings++;
    else if ("who" in said && this.#opening) this.#post({ opening: this.#options.tab });
  }

  #wiped(outcome: unknown): void {
    const wiping = this.#wiping;
    this.#wiping = undefined;
    if (outcome !== true) return wiping?.resolve(unpackErrors(outcome) as LakeSyncError);
    wiping?.resolve(undefined);
    this.#options.ended(
      new LakeSyncError("CLOSED", "The data of this client was removed: create another client"),
    );
  }

  #take(port: Port, message: unknown): void {
    const said = message as WelcomeMessage;
    if (port !== this.#port || said.term !== this.#term) return;
    if ("welcome" in said) this.#welcomed(said.term, unpackErrors(said.welcome) as Welcome);
    else if ("refused" in said) this.#options.ended(unpackErrors(said.refused) as LakeSyncError);
    else this.#line?.take(message);
  }

  #welcomed(term: string, welcome: Welcome): void {
    // A second hello was answered: the leader has begun anew with this tab.
    if (this.#line !== undefined) this.#lose();
    const line: Line = new Rpc(this.#port!, term, this.#options.handlers);
    this.#line = line;
    this.#term = term;
    this.#failure = undefined;
    this.#options.welcomed(welcome);
    this.#found.resolve(line);
    this.#lost = new AbortController();
  }

  /** The leader is gone, or has another term. */
  #lose(): void {
    const line = this.#line;
    this.#line = undefined;
    if (line === undefined) return;
    this.#found = Promise.withResolvers();
    this.#found.promise.catch(() => {});
    this.#lost.abort();
    line.end();
  }

  #failed(error: LakeSyncError): void {
    this.#failure = error;
    this.#opening = false;
    // Nobody has ever led this tab: whoever opens it is told at once.
    if (this.#term === undefined) this.#options.ended(error);
  }

  /** Asks who leads, from time to time while nobody is known to. */
  async #seek(): Promise<void> {
    const { scheduler, tab } = this.#options;
    while (!this.#over.signal.aborted) {
      if (this.#line === undefined) {
        this.#post({ who: tab });
        await scheduler.delay(ASK_MS, { signal: this.#over.signal });
        continue;
      }
      const { signal } = this.#lost;
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve());
      });
    }
  }
}
