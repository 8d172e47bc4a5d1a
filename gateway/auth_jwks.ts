import {
  createLocalJWKSet,
  type CryptoKey,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from "jose";
import { type Clock, LakeSyncError, type Scheduler } from "@lakesync/core";

/** What {@linkcode Jwks} works with. */
export interface JwksOptions {
  readonly url: string;
  readonly fetch: (request: Request) => Promise<Response>;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
}

/** Keys are fetched again once they are so old. */
const MAX_AGE_MS = 600_000;
/** Where that fails they are good for so long. */
const MAX_STALE_MS = 86_400_000;
/** The least time between fetches, whatever key ids tokens name. */
const COOLDOWN_MS = 30_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 262_144;

type FindKey = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>;

/** An issuer's public keys: fetched when they are needed, kept, and fetched again within bounds. */
export class Jwks {
  readonly #options: JwksOptions;
  #keys: { readonly find: FindKey; readonly at: number } | undefined;
  #triedAt = -Infinity;
  #failure: unknown;
  #fetching: Promise<void> | undefined;

  constructor(options: JwksOptions) {
    this.#options = options;
  }

  /**
   * The key that a token is signed with. A key id that is not there makes it fetch the set again.
   *
   * @throws What jose throws where no key fits; `OFFLINE` where there are no keys to look among.
   */
  async keyFor(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const age = this.#options.clock.now() - (this.#keys?.at ?? -Infinity);
    if (!(age < MAX_AGE_MS)) await this.#refresh();
    try {
      return await this.#find(header, token);
    } catch (thrown) {
      if (!(thrown instanceof errors.JWKSNoMatchingKey)) throw thrown;
      const before = this.#keys;
      await this.#refresh();
      if (this.#keys === before) throw thrown;
      return await this.#find(header, token);
    }
  }

  #find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const keys = this.#keys;
    if (keys === undefined || this.#options.clock.now() - keys.at > MAX_STALE_MS) {
      throw new LakeSyncError(
        "OFFLINE",
        "Cannot check tokens: the key set was not fetched, see that its URL answers",
        { cause: this.#failure },
      );
    }
    return keys.find(header, token);
  }

  /** Fetches the set, unless that was tried a moment ago; together with whoever else waits for it. */
  #refresh(): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching;
    const now = this.#options.clock.now();
    if (now - this.#triedAt < COOLDOWN_MS && now >= this.#triedAt) return Promise.resolve();
    this.#triedAt = now;
    this.#fetching = this.#fetch().then((set) => {
      this.#keys = { find: createLocalJWKSet(set), at: now };
    }).catch((thrown: unknown) => {
      // The keys there are go on; without any, `#find` says why.
      this.#failure = thrown;
    }).finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<JSONWebKeySet> {
    const { url, scheduler } = this.#options;
    const late = new AbortController();
    const done = new AbortController();
    const timer = scheduler.delay(TIMEOUT_MS, { signal: done.signal }).then(() => late.abort());
    try {
      const request = new Request(url, {
        headers: { accept: "application/json" },
        redirect: "error",
        signal: late.signal,
      });
      const response = await this.#options.fetch(request);
      const text = await readBounded(response);
      if (!response.ok) throw new TypeError(`Status ${response.status}`);
      return JSON.parse(text) as JSONWebKeySet;
    } finally {
      done.abort();
      await timer;
    }
  }
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the body.
    if (bytes > MAX_BYTES) throw new TypeError(`More than ${MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
