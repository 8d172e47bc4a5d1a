import { type SqlDatabase, systemScheduler, type Table, unwrapOrThrow } from "@lakesync/core";
import type { Client } from "../client.ts";
import { type ClientOptions, createClient } from "../create_client.ts";
import { FAILED_MS, Lease, UNMOUNTED_MS } from "./_lease.ts";

/** Options for any tables. */
export type AnyOptions = ClientOptions<readonly Table[]>;

/** What tells databases apart. Those in memory have no name: there it is the options that do. */
export type DatabaseKey = string | SqlDatabase | AnyOptions;

/** Options are another object at each render, mostly. */
export function keyOf(options: AnyOptions): DatabaseKey {
  return options.database === ":memory:" ? options : options.database;
}

const openings: Map<DatabaseKey, Opening> = new Map();

/** A client that providers open and close. */
export class Opening {
  /** The client; rejects with a `LakeSyncError` where it cannot be opened. */
  readonly client: Promise<Client>;
  readonly #key: DatabaseKey;
  readonly #lease: Lease;
  #ended = false;

  constructor(options: AnyOptions) {
    this.#key = keyOf(options);
    this.client = createClient(options).then(unwrapOrThrow);
    this.#lease = new Lease(systemScheduler, () => {
      this.#end();
      void this.client.then((client) => client.close(), () => {});
    });
    void this.client.then((client) => {
      this.#lease.expire(UNMOUNTED_MS);
      // The app may close it, or wipe it: who comes then gets another one.
      client.on("status", ({ state }) => {
        if (state === "closed") this.#end();
      });
    }, () => this.#lease.expire(FAILED_MS));
  }

  /** Whether it was closed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Keeps it open; returns how to end that. */
  hold(): () => void {
    return this.#lease.hold();
  }

  #end(): void {
    this.#ended = true;
    if (openings.get(this.#key) === this) openings.delete(this.#key);
  }
}

/** The client of some options: that of the same database where one is open. */
export function openingOf(options: AnyOptions): Opening {
  const key = keyOf(options);
  let opening = openings.get(key);
  if (opening === undefined) openings.set(key, opening = new Opening(options));
  return opening;
}
