import {
  type Logger,
  type LogSnapshot,
  type LogStore,
  type ObjectStore,
  type Random,
  type Result,
  toLakeSyncError,
} from "@lakesync/core";
import { type CheckpointPart, readParts, writeParts } from "./checkpoint_parts.ts";

const LEASE = "checkpoint";

/** Longer than one is written, as a rule. Two that are written at once do no harm. */
const LEASE_MS = 600_000;

/** So many of the newest ones are kept: who reads the last but one reads on. */
const KEPT = 2;

/** What {@linkcode CheckpointObjects} works with. */
export interface CheckpointObjectsOptions {
  /** Where they are: a store that all instances share. */
  readonly objects: ObjectStore;
  /** What their keys begin with: the gateway's id, since several may share a store. */
  readonly prefix: string;
  /** The log that they show. */
  readonly log: LogStore;
  /** Names them. */
  readonly random: Random;
  /** Tells of them. */
  readonly logger: Logger;
  /** Ends the writing. */
  readonly closing: AbortSignal;
}

/** What names a checkpoint's parts. Written last: without it there is none. */
interface Manifest {
  readonly version: 1;
  readonly seq: number;
  readonly hash: string;
  readonly parts: readonly CheckpointPart[];
}

/**
 * Checkpoints of all visible rows, whoever may see them, as objects that never change in a store that a
 * gateway's instances share. Each instance serves them filtered for its callers; so a first sync costs
 * the log nothing, also where another instance has written the objects.
 *
 * ```text
 * PREFIX/EPOCH/manifests/SEQ-ID.json    { version, seq, hash, parts }
 * PREFIX/EPOCH/parts/SEQ-ID/000000.ndjson.gz …
 * ```
 */
export class CheckpointObjects {
  readonly #options: CheckpointObjectsOptions;
  readonly #root: string;
  readonly #holder: string;
  /** Manifests that were found to be no good. */
  readonly #bad: Set<string> = new Set();
  #writing: Promise<void> | undefined;

  constructor(options: CheckpointObjectsOptions) {
    this.#options = options;
    this.#root = `${options.prefix}/${options.log.epoch}`;
    this.#holder = options.random.uuid();
  }

  /**
   * Opens the newest one.
   *
   * @param atLeast The least seq that will do.
   * @returns It; undefined where there is none from which pulls could go on.
   */
  async open(atLeast: number): Promise<LogSnapshot | undefined> {
    const { objects, log, logger } = this.#options;
    try {
      for (const key of (await this.#manifests()).reverse()) {
        if (seqOf(key) < atLeast) return undefined;
        if (this.#bad.has(key)) continue;
        const bytes = orThrow(await objects.get(key));
        const { seq, hash, parts } = JSON.parse(new TextDecoder().decode(bytes)) as Manifest;
        // A log that was restored has another history, one that was trimmed begins behind it.
        if (orThrow(await log.hashAt(seq)) !== hash) return undefined;
        logger.log("info", "checkpoint.found", { seq, parts: parts.length });
        return this.#snapshot(key, { version: 1, seq, hash, parts });
      }
    } catch (thrown) {
      this.#failed(thrown);
    }
    return undefined;
  }

  /** Writes one of the present rows, in the background, unless that is under way. */
  write(): void {
    this.#writing ??= this.#write().catch((thrown) => this.#failed(thrown))
      .finally(() => this.#writing = undefined);
  }

  /** Resolves when none is being written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  #snapshot(key: string, { seq, hash, parts }: Manifest): LogSnapshot {
    const { objects: store } = this.#options;
    const bad = this.#bad;
    return {
      position: { seq, hash },
      async *rows(tables) {
        try {
          yield* readParts(parts, { store, tables });
        } catch (thrown) {
          // Whoever comes next is served from another one, or from the log.
          bad.add(key);
          throw toLakeSyncError(thrown, "STORAGE_ERROR");
        }
      },
      close: () => Promise.resolve(),
    };
  }

  async #write(): Promise<void> {
    const { log, objects, random, logger, closing } = this.#options;
    const lease = { holder: this.#holder, ttlMs: LEASE_MS };
    if (!orThrow(await log.acquireLease(LEASE, lease))) return;
    try {
      const snapshot = orThrow(await log.snapshot());
      try {
        const { seq, hash } = snapshot.position;
        const name = `${String(seq).padStart(16, "0")}-${random.uuid()}`;
        const parts = await writeParts(snapshot.rows(), {
          store: objects,
          prefix: `${this.#root}/parts/${name}`,
          signal: closing,
        });
        // Whoever took over meanwhile removes parts that no manifest names, and these are some.
        if (!orThrow(await log.acquireLease(LEASE, lease))) return;
        const manifest: Manifest = { version: 1, seq, hash, parts };
        const bytes = new TextEncoder().encode(JSON.stringify(manifest));
        orThrow(await objects.put(`${this.#root}/manifests/${name}.json`, bytes));
        const rows = parts.reduce((sum, part) => sum + part.rows, 0);
        logger.log("info", "checkpoint.written", { seq, rows, parts: parts.length });
        await this.#clearUp(seq);
      } finally {
        await snapshot.close();
      }
    } finally {
      // One that cannot be let go of runs out by itself.
      await log.releaseLease(LEASE, lease);
    }
  }

  /** Removes what is older than the newest ones, whole or not, and what is of another log. */
  async #clearUp(seq: number): Promise<void> {
    const { objects, prefix } = this.#options;
    const kept = new Set((await this.#manifests()).slice(-KEPT).map(nameOf));
    const old: string[] = [];
    for await (const key of this.#keys(`${prefix}/`)) {
      if (key.startsWith(`${this.#root}/`) && (kept.has(nameOf(key)) || seqOf(key) > seq)) continue;
      old.push(key);
    }
    // Manifests first: what they name is there for as long as they are.
    old.sort((a, b) => Number(b.includes("/manifests/")) - Number(a.includes("/manifests/")));
    if (old.length > 0) orThrow(await objects.delete(old));
  }

  /** The keys of the manifests, the oldest first. */
  async #manifests(): Promise<string[]> {
    const keys: string[] = [];
    for await (const key of this.#keys(`${this.#root}/manifests/`)) keys.push(key);
    return keys;
  }

  async *#keys(prefix: string): AsyncGenerator<string> {
    const { objects } = this.#options;
    let page = orThrow(await objects.list(prefix));
    for (;;) {
      for (const { key } of page.objects) yield key;
      if (page.next === undefined) return;
      page = orThrow(await objects.list(prefix, { after: page.next }));
    }
  }

  #failed(thrown: unknown): void {
    const { closing, logger } = this.#options;
    if (closing.aborted) return;
    const { code, message } = toLakeSyncError(thrown, "STORAGE_ERROR");
    logger.log("error", "checkpoint.objects-failed", { code, message });
  }
}

/** `SEQ-ID` in a key. */
function nameOf(key: string): string {
  return /\/(\d{16}-[0-9a-f-]{36})[./]/.exec(key)?.[1] ?? "";
}

/** The seq in a key. */
function seqOf(key: string): number {
  return Number(nameOf(key).slice(0, 16));
}

function orThrow<T>(result: Result<T>): T {
  if (!result.ok) throw result.error;
  return result.value;
}
