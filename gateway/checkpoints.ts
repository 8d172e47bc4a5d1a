import { type LogSnapshot, type LogStore, ok, type Result } from "@lakesync/core";
import type { CheckpointCache } from "./checkpoint_cache.ts";
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
}

/** What a caller may see and asks for. */
export interface CheckpointView {
  /** The digest of it that its cursors carry. */
  readonly digest: string;
  /** What else its content depends on: text that can stand in a header. */
  readonly variant: string;
  /** Makes its lines. */
  lines(
    snapshot: LogSnapshot,
    options: { cursor: string; signal: AbortSignal },
  ): Promise<Result<AsyncGenerator<string>>>;
}

/** What checkpoints are made from. */
export interface CheckpointsOptions {
  /** The log. */
  readonly store: LogStore;
  /** Where they are kept; undefined where they are not. */
  readonly cache: CheckpointCache | undefined;
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

/** Gives checkpoints (PROTOCOL, section 6): made anew, or as they were made for somebody else. */
export class Checkpoints {
  readonly #options: CheckpointsOptions;

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
    if (position.ok) return ok(position.value.seq >= floor.value);
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
    if (cache === undefined || cache.resting) {
      const { signal = closing } = options;
      const made = await this.#make(view, AbortSignal.any([closing, signal]));
      return made.ok ? ok({ ...made.value, gzip: undefined }) : made;
    }
    const floor = await this.#floor(options);
    if (!floor.ok) return floor;
    const opened = await cache.open(`${view.digest}-${view.variant}`, {
      atLeast: floor.value,
      make: async () => {
        const made = await this.#make(view, closing);
        return made.ok ? ok({ ...made.value, bytes: packLines(made.value.lines) }) : made;
      },
    });
    if (!opened.ok) return opened;
    const { bytes, tag } = opened.value;
    return ok({ tag, lines: unpackLines(bytes), gzip: bytes });
  }

  async #make(
    view: CheckpointView,
    signal: AbortSignal,
  ): Promise<Result<{ seq: number; tag: string; lines: AsyncGenerator<string> }>> {
    const { store } = this.#options;
    const snapshot = await store.snapshot();
    if (!snapshot.ok) return snapshot;
    const { position } = snapshot.value;
    const cursor = formatCursor({ epoch: store.epoch, position, digest: view.digest });
    const lines = await view.lines(snapshot.value, { cursor, signal });
    if (lines.ok) {
      return ok({ seq: position.seq, tag: `${cursor}-${view.variant}`, lines: lines.value });
    }
    await snapshot.value.close();
    return lines;
  }

  /** The least seq that will do; never above the head. */
  async #floor({ atLeast }: Freshness): Promise<Result<number>> {
    const { store, maxLag } = this.#options;
    const head = await store.head();
    if (!head.ok) return head;
    const { seq } = head.value;
    const floor = Math.max(atLeast ?? seq, seq - maxLag);
    if (floor >= seq) return ok(seq);
    // Pulls must be able to go on from there.
    const hash = await store.hashAt(floor);
    if (!hash.ok) return hash;
    return ok(hash.value === undefined ? seq : floor);
  }
}
