import {
  type Logger,
  type ObjectStore,
  ok,
  type Random,
  type Result,
  type Scheduler,
} from "@lakesync/core";
import { Spool } from "./checkpoint_spool.ts";

/** Where checkpoints are kept to be sent again. */
export interface CheckpointCacheOptions {
  /**
   * Takes their bytes. A directory on the gateway's own disk is best; nothing in it is needed after a
   * restart.
   */
  readonly store: ObjectStore;
  /**
   * The most bytes of them. A single one that is larger is kept while somebody reads it.
   *
   * @default {1_073_741_824}
   */
  readonly maxBytes?: number;
  /**
   * The most checkpoints.
   *
   * @default {64}
   */
  readonly maxCheckpoints?: number;
}

/** What a {@linkcode CheckpointCache} works with. */
export interface CheckpointCacheContext {
  /** Where its keys begin: the gateway's id, since several may share a store. */
  readonly prefix: string;
  /** Names its entries. */
  readonly random: Random;
  /** Waiting. */
  readonly scheduler: Scheduler;
  /** For what went wrong. */
  readonly logger: Logger;
}

/** A checkpoint's bytes, and what they show. */
export interface CheckpointBytes<Bytes> {
  /** The position of the log that it shows. */
  readonly seq: number;
  /** Names it. */
  readonly tag: string;
  /** The bytes. */
  readonly bytes: Bytes;
}

interface Entry extends Omit<CheckpointBytes<never>, "bytes"> {
  readonly spool: Spool;
}

/** So long it rests after a failure. */
const REST_MS = 60_000;

/**
 * Checkpoints that were made, the newest one for each thing that callers may see and ask for: so many
 * clients that come at once cost one scan of the rows, and a slow one holds no snapshot open.
 */
export class CheckpointCache {
  readonly #options: Required<CheckpointCacheOptions>;
  readonly #context: CheckpointCacheContext;
  /** Those first that were not asked for for longest. */
  readonly #entries: Map<string, Entry> = new Map();
  readonly #making: Map<string, Promise<unknown>> = new Map();
  #swept: Promise<void> | undefined;
  #rests = 0;

  constructor(options: CheckpointCacheOptions, context: CheckpointCacheContext) {
    this.#options = { maxBytes: 2 ** 30, maxCheckpoints: 64, ...options };
    this.#context = context;
  }

  /** Whether it failed a short while ago: then checkpoints had better go past it. */
  get resting(): boolean {
    return this.#rests > 0;
  }

  /**
   * Opens the checkpoint under a key where it is new enough; else a new one, which all who ask
   * meanwhile share.
   *
   * @param key What it shows, and in which form.
   * @param options The least seq that will do, and how one is made.
   * @returns The checkpoint, whose bytes must be read to their end or returned from; or why none
   * could be made.
   */
  async open(
    key: string,
    options: {
      atLeast: number;
      make: () => Promise<Result<CheckpointBytes<AsyncIterable<Uint8Array>>>>;
    },
  ): Promise<Result<CheckpointBytes<AsyncGenerator<Uint8Array<ArrayBuffer>>>>> {
    for (;;) {
      const present = this.#entries.get(key);
      if (present !== undefined && present.seq >= options.atLeast && !present.spool.lost) {
        this.#entries.delete(key);
        this.#entries.set(key, present);
        return ok({ seq: present.seq, tag: present.tag, bytes: present.spool.read() });
      }
      const making = this.#making.get(key);
      if (making === undefined) break;
      await making;
    }
    const making = this.#make(key, options.make);
    this.#making.set(key, making);
    try {
      return await making;
    } finally {
      this.#making.delete(key);
    }
  }

  async #make(
    key: string,
    make: () => Promise<Result<CheckpointBytes<AsyncIterable<Uint8Array>>>>,
  ): Promise<Result<CheckpointBytes<AsyncGenerator<Uint8Array<ArrayBuffer>>>>> {
    await (this.#swept ??= this.#sweep());
    const made = await make();
    if (!made.ok) return made;
    const { seq, tag, bytes } = made.value;
    const { prefix, random } = this.#context;
    const spool = new Spool({
      store: this.#options.store,
      prefix: `${prefix}/${random.uuid()}`,
      source: bytes,
    });
    this.#remove(key);
    this.#entries.set(key, { seq, tag, spool });
    const opened = spool.read();
    this.#evict();
    void spool.written.then(() => this.#written(key, spool));
    return ok({ seq, tag, bytes: opened });
  }

  #written(key: string, spool: Spool): void {
    const { failure } = spool;
    if (failure === undefined) return this.#evict();
    if (this.#entries.get(key)?.spool === spool) this.#remove(key);
    if (failure.code === "SHUTTING_DOWN" || failure.code === "ABORTED") return;
    const { scheduler, logger } = this.#context;
    this.#rests++;
    void scheduler.delay(REST_MS).then(() => this.#rests--);
    logger.log("error", "checkpoint.not-kept", { code: failure.code, message: failure.message });
  }

  /** Lets go of all of them; those that are being read are read on. */
  async close(): Promise<void> {
    const spools = [...this.#entries.values()].map(({ spool }) => spool);
    for (const key of [...this.#entries.keys()]) this.#remove(key);
    await Promise.all(spools.map(({ written }) => written));
  }

  #evict(): void {
    const { maxBytes, maxCheckpoints } = this.#options;
    let bytes = 0;
    for (const { spool } of this.#entries.values()) bytes += spool.bytes;
    for (const [key, { spool }] of this.#entries) {
      if (bytes <= maxBytes && this.#entries.size <= maxCheckpoints) return;
      bytes -= spool.bytes;
      this.#remove(key);
    }
  }

  #remove(key: string): void {
    this.#entries.get(key)?.spool.drop();
    this.#entries.delete(key);
  }

  /** Removes what an earlier process left behind. */
  async #sweep(): Promise<void> {
    const { store } = this.#options;
    for (;;) {
      const page = await store.list(`${this.#context.prefix}/`);
      if (!page.ok || page.value.objects.length === 0) return;
      const removed = await store.delete(page.value.objects.map(({ key }) => key));
      if (!removed.ok) return;
    }
  }
}
