import { type LogSnapshot, type LogStore, ok, type Result } from "@lakesync/core";
import type { CheckpointCache } from "./checkpoint_cache.ts";
import type { CheckpointObjects } from "./checkpoint_objects.ts";
import { packLines, unpackLines } from "./checkpoint_packed.ts";
import { formatCursor, resolveCursor } from "./cursor.ts";

/** A checkpoint that is being streamed. */
export interface CheckpointStream {
  /** The same where its content is the same: what an ETag says. */
  readonly tag: string;
  /** Texts of whole NDJSON lines. Must be read to the end or returned from. */
  readonly lines: AsyncGenerator<string>;
  /** The same in gzip, where it is kept so. To be read in the place of `lines`, not beside it. */
  readonly gzip: AsyncGenerator<Uint8Array<ArrayBuffer>> | undefined;
  /** How many rows it has, or about as many; undefined where that is not known before its end. */
  readonly rows: number | undefined;
}

/** What a caller may see and asks for. */
export interface CheckpointView {
  /** The digest of it that its cursors carry. */
  readonly digest: string;
  /** What else its content depends on: text that can stand in a header. */
  readonly variant: string;
  /** The tables of which its caller sees all rows; undefined where rules look at rows. */
  readonly whole: readonly string[] | undefined;
  /** Makes its lines. */
  lines(
    snapshot: LogSnapshot,
    options: { cursor: string; signal: AbortSignal; counted: (rows: number) => void },
  ): Promise<Result<AsyncGenerator<string>>>;
}

/** What checkpoints are made from. */
export interface CheckpointsOptions {
  /** The log. */
  readonly store: LogStore;
  /** Where they are kept; undefined where they are not. */
  readonly cache: CheckpointCache | undefined;
  /** Those that all instances share; undefined where there are none. */
  readonly objects: CheckpointObjects | undefined;
  /** How many entries one that is kept may lie behind the head, where its caller allows any. */
  readonly maxLag: number;
  /** Ends those under way. */
  readonly closing: AbortSignal;
}

/** How new a checkpoint must be. */
export interface Freshness {
  /**
   * The least seq that will do: one that the caller has seen, 0 where it has seen nothing. Undefined
   * for the present head.
   */
  readonly atLeast: number | undefined;
}

/** Of so many views it is remembered how many rows their last checkpoints had. */
const MAX_COUNTS = 1_000;

/** Gives checkpoints (PROTOCOL, section 6): made anew, or as they were made for somebody else. */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #counts: Map<string, number> = new Map();

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /**
   * Tells whether a caller that still has a checkpoint needs no other one.
   *
   * @param view What it may see and asks for.
   * @param options The tag of what it has, and how new that must be.
   * @returns Whether it does.
   */
  async isUnchanged(
    view: CheckpointView,
    options: Freshness & { tag: string },
  ): Promise<Result<boolean>> {
    const { store } = this.#options;
    const end = `-${view.variant}`;
    if (!options.tag.endsWith(end)) return ok(false);
    const cursor = options.tag.slice(0, -end.length);
    if (cursor === "") return ok(false);
    const floor = await this.#floor(options);
    if (!floor.ok) return floor;
    const position = await resolveCursor(cursor, { store, digest: view.digest });
    if (position.ok) return ok(position.value.seq >= floor.value.floor);
    return position.error.code === "CHECKPOINT_REQUIRED" ? ok(false) : position;
  }

  /**
   * Opens a checkpoint.
   *
   * @param view What its caller may see and asks for.
   * @param options How new it must be, and what ends it early.
   * @returns The checkpoint.
   */
  async open(
    view: CheckpointView,
    options: Freshness & { signal: AbortSignal | undefined },
  ): Promise<Result<CheckpointStream>> {
    const { cache, closing } = this.#options;
    const floor = await this.#floor(options);
    if (!floor.ok) return floor;
    const fresh = { atLeast: floor.value.least, lags: options.atLeast !== undefined };
    if (cache === undefined || cache.resting) {
      const { signal = closing } = options;
      const made = await this.#make(view, { ...fresh, signal: AbortSignal.any([closing, signal]) });
      if (!made.ok) return made;
      return ok({ ...made.value, gzip: undefined, rows: await this.#rowsOf(view) });
    }
    const opened = await cache.open(`${view.digest}-${view.variant}`, {
      atLeast: floor.value.floor,
      make: async () => {
        const made = await this.#make(view, { ...fresh, signal: closing });
        return made.ok ? ok({ ...made.value, bytes: packLines(made.value.lines) }) : made;
      },
    });
    if (!opened.ok) return opened;
    const { bytes, tag } = opened.value;
    return ok({ tag, lines: unpackLines(bytes), gzip: bytes, rows: await this.#rowsOf(view) });
  }

  /**
   * About how many rows a view's checkpoint has, where that is known without a scan. Where rules hide some
   * only what was counted for the same view is told: all would tell of those.
   */
  async #rowsOf({ digest, variant, whole }: CheckpointView): Promise<number | undefined> {
    if (whole === undefined) return this.#counts.get(`${digest}-${variant}`);
    const stats = await this.#options.store.stats();
    if (!stats.ok) return undefined;
    return whole.reduce((sum, table) => sum + (stats.value.rows.get(table) ?? 0), 0);
  }

  #remember({ digest, variant }: CheckpointView, rows: number): void {
    const key = `${digest}-${variant}`;
    this.#counts.delete(key);
    this.#counts.set(key, rows);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > MAX_COUNTS) this.#counts.delete(oldest!);
  }

  async #make(
    view: CheckpointView,
    { atLeast, lags, signal }: { atLeast: number; lags: boolean; signal: AbortSignal },
  ): Promise<Result<{ seq: number; tag: string; lines: AsyncGenerator<string> }>> {
    const { store, objects } = this.#options;
    const found = await objects?.open(atLeast);
    const snapshot = found === undefined ? await store.snapshot() : ok(found);
    if (!snapshot.ok) return snapshot;
    // For those to come who do not need the newest one either.
    if (found === undefined && lags && snapshot.value.position.seq > 0) objects?.write();
    const { position } = snapshot.value;
    const cursor = formatCursor({ epoch: store.epoch, position, digest: view.digest });
    const lines = await view.lines(snapshot.value, {
      cursor,
      signal,
      counted: (rows) => this.#remember(view, rows),
    });
    if (lines.ok) {
      return ok({ seq: position.seq, tag: `${cursor}-${view.variant}`, lines: lines.value });
    }
    await snapshot.value.close();
    return lines;
  }

  /** The least seq that will do, never above the head; of one that is kept here, `floor`. */
  async #floor({ atLeast }: Freshness): Promise<Result<{ least: number; floor: number }>> {
    const { store, maxLag } = this.#options;
    const head = await store.head();
    if (!head.ok) return head;
    const { seq } = head.value;
    const least = Math.min(seq, Math.max(atLeast ?? seq, seq - maxLag));
    if (least === seq) return ok({ least, floor: seq });
    // Pulls must be able to go on from there.
    const hash = await store.hashAt(least);
    if (!hash.ok) return hash;
    return ok({ least, floor: hash.value === undefined ? seq : least });
  }
}
