import type { Device } from "./device.ts";
import type { Network } from "./network.ts";
import type { SimProcess } from "./process.ts";

/** What {@linkcode bitByBit} works with. */
export interface BitByBitOptions {
  readonly network: Network;
  readonly device: Device;
  readonly from: SimProcess;
  readonly to: SimProcess;
  /** Aborts where the request was given up. */
  readonly signal: AbortSignal;
  /** Called with each text as it leaves. */
  readonly leaves: (text: string) => void;
}

/** A body that comes bit by bit, and perhaps not to its end. */
export function bitByBit(
  body: ReadableStream<Uint8Array>,
  ends: BitByBitOptions,
): ReadableStream<Uint8Array> {
  const { network, device } = ends;
  const { time, trace } = network.options;
  const reader = body.getReader();
  const breaks = network.fault(device.index, "break off") ? 1 + network.draw(device.index, 4) : 0;
  let chunks = 0;
  const later = (run: () => void) => ends.to.at(time.now + network.latency(device.index), run);
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      // As fetch does with the body of a request that was given up.
      ends.signal.addEventListener("abort", () => controller.error(ends.signal.reason));
    },
    pull: (controller) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const fail = (thrown: unknown): void => {
        later(() => {
          controller.error(thrown);
          resolve();
        });
      };
      const peerGone = (): void => fail(reset("connection reset by peer"));
      if (!ends.from.alive) peerGone();
      const forget = ends.from.onKill(peerGone);
      reader.read().then(({ done, value }) => {
        if (!ends.from.alive) return;
        forget();
        const text = value === undefined ? "" : new TextDecoder().decode(value);
        trace.note(device.name, done ? "checkpoint ends" : "gets of a checkpoint", text);
        ends.leaves(text);
        chunks++;
        const last = chunks === breaks;
        later(() => {
          resolve();
          if (ends.signal.aborted) return;
          if (!last) return done ? controller.close() : controller.enqueue(value);
          trace.count("net break off");
          // In the middle of a line, between two, or with an error.
          const kind = network.draw(device.index, 3);
          if (kind === 0 && value !== undefined) {
            controller.enqueue(value.slice(0, value.length >> 1));
          }
          if (kind === 2) controller.error(reset("broken pipe"));
          else controller.close();
          void reader.cancel();
        });
      }, (thrown) => {
        forget();
        fail(thrown);
      });
      return promise;
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

/** What `fetch` rejects with where a connection is gone. */
export function reset(reason: string): TypeError {
  return new TypeError(reason);
}
