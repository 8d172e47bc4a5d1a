import { LakeSyncError, type Scheduler } from "@lakesync/core";
import { MAX_MS } from "./time_limit.ts";

/** A part of a body that was made as a whole. */
const PART = 64 * 1024;

/** Options of {@linkcode whileRead}. */
export interface ReaderWatchOptions {
  /** A reader that takes nothing for so many ms is cut off. */
  readonly idleMs: number;
  /** Measures them. */
  readonly scheduler: Scheduler;
  /**
   * Called once, when the body was taken, given up or cut off.
   *
   * @default {() => {}}
   */
  readonly onEnd?: () => void;
}

/**
 * A body that is made only as fast as it is read, and that a reader who stops reading cannot hold on
 * to: it is broken off and its source let go.
 *
 * @param source The body.
 * @param options How long a reader may pause.
 * @returns The same bytes.
 */
export function whileRead(
  source: ReadableStream<Uint8Array<ArrayBuffer>>,
  options: ReaderWatchOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { idleMs, scheduler, onEnd = () => {} } = options;
  const reader = source.getReader();
  let reading = new AbortController();
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    reading.abort();
    onEnd();
  };
  /** From here on until the next `pull` it is the reader's turn. */
  const readersTurn = (controller: ReadableStreamDefaultController) => {
    const turn = reading = new AbortController();
    void scheduler.delay(Math.min(idleMs, MAX_MS), { signal: turn.signal }).then(() => {
      if (turn.signal.aborted || ended) return;
      end();
      const reason = tooSlow(idleMs);
      controller.error(reason);
      // Whether it ends well is nobody's business any more.
      reader.cancel(reason).catch(() => {});
    });
  };
  return new ReadableStream({
    start: readersTurn,
    async pull(controller) {
      reading.abort();
      try {
        const next = await reader.read();
        if (ended) return;
        if (next.done) {
          end();
          controller.close();
          return;
        }
        readersTurn(controller);
        controller.enqueue(next.value);
      } catch (thrown) {
        end();
        controller.error(thrown);
      }
    },
    async cancel(reason) {
      end();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}

/**
 * A body that was made as a whole, in parts: so its reader shows that it reads.
 *
 * @param bytes The body.
 * @returns Its bytes.
 */
export function inParts(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at += PART));
    },
  }, { highWaterMark: 0 });
}

function tooSlow(idleMs: number): LakeSyncError {
  return new LakeSyncError("TIMEOUT", `The answer was not read for ${idleMs} ms: ask again`);
}
