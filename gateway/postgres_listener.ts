import type { Scheduler } from "@lakesync/core";
import type { PgClient } from "./postgres_driver.ts";
import { Subscribers } from "./subscribers.ts";

/** The first wait before it connects again, and the longest. */
const MIN_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
/** So often it sees whether its connection still answers: it may break without a sign. */
const HEARTBEAT_MS = 30_000;

/** What a listener is made of. */
export interface ListenerParts {
  /** Makes a connection, not yet connected. */
  readonly connect: () => PgClient;
  /** Waiting. */
  readonly scheduler: Scheduler;
}

/**
 * One connection that hears notifications. Where it is lost it is made again, and all that listen
 * are called, since something may have been missed.
 */
export class PostgresListener {
  readonly #parts: ListenerParts;
  readonly #channels = new Map<string, Subscribers>();
  readonly #closing = new AbortController();
  #client: PgClient | undefined;
  #connected = false;
  #running: Promise<void> | undefined;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
  }

  /**
   * Listens to a channel.
   *
   * @param channel Its name.
   * @param listener Called after each notification, and whenever one may have been missed.
   * @returns Ends it.
   */
  listen(channel: string, listener: () => void): () => void {
    let subscribers = this.#channels.get(channel);
    if (subscribers === undefined) {
      subscribers = new Subscribers();
      this.#channels.set(channel, subscribers);
      if (this.#connected) this.#listenTo([channel]).catch(() => {});
    }
    // A channel stays, once it is heard: few are left, and all are with the connection.
    const end = subscribers.add(listener);
    this.#running ??= this.#run();
    return end;
  }

  async #run(): Promise<void> {
    const { scheduler, connect } = this.#parts;
    const { signal } = this.#closing;
    let delay = MIN_DELAY_MS;
    while (!signal.aborted) {
      const client = connect();
      this.#client = client;
      const lost = new AbortController();
      client.on("error", () => lost.abort());
      client.on("end", () => lost.abort());
      client.on("notification", ({ channel }) => this.#channels.get(channel)?.notify());
      try {
        await client.connect();
        this.#connected = true;
        await this.#listenTo([...this.#channels.keys()]);
        delay = MIN_DELAY_MS;
        const ends = AbortSignal.any([signal, lost.signal]);
        while (!ends.aborted) {
          await scheduler.delay(HEARTBEAT_MS, { signal: ends });
          if (!ends.aborted) await client.query({ text: "SELECT 1" });
        }
      } catch {
        // The server is away: it is asked again until it answers.
      }
      this.#connected = false;
      await client.end().catch(() => {});
      await scheduler.delay(delay, { signal });
      delay = Math.min(2 * delay, MAX_DELAY_MS);
    }
  }

  async #listenTo(channels: readonly string[]): Promise<void> {
    for (const channel of channels) {
      await this.#client?.query({ text: `LISTEN "${channel.replaceAll('"', '""')}"` });
      this.#channels.get(channel)?.notify();
    }
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#closing.abort();
    // It may be connecting to a server that does not answer.
    await this.#client?.end().catch(() => {});
    await this.#running;
  }
}
