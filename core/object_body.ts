import { LakeSyncError } from "./errors.ts";

/**
 * What an operation of an `ObjectStore` fails with when its signal aborts. For implementations.
 *
 * @param what The operation, say `"a put"`.
 * @param signal Its signal.
 * @returns An `ABORTED` error with the signal's reason as its cause.
 *
 * @example An aborted put
 * ```ts
 * import { abortedError } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(abortedError("a put", AbortSignal.abort()).code, "ABORTED");
 * ```
 */
export function abortedError(what: string, signal: AbortSignal): LakeSyncError {
  return new LakeSyncError("ABORTED", `Stopped ${what}: its signal was aborted`, {
    cause: signal.reason,
  });
}

/**
 * The chunks of an object's body, up to its end or to the signal's abort, which also interrupts a
 * wait for the next chunk. The body is told when it is not read to its end. For implementations of
 * `ObjectStore`.
 *
 * @param body The body.
 * @param signal Stops it.
 * @returns The chunks.
 * @throws {LakeSyncError} `ABORTED`, or whatever the body throws.
 *
 * @example A body in one piece
 * ```ts
 * import { bodyChunks } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const chunks = await Array.fromAsync(bodyChunks(new Uint8Array([1, 2]), undefined));
 * assertEquals(chunks, [new Uint8Array([1, 2])]);
 * ```
 */
export async function* bodyChunks(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) {
    yield body;
    return;
  }
  if (signal === undefined) return yield* body;
  const iterator = body[Symbol.asyncIterator]();
  const abort = Promise.withResolvers<never>();
  abort.promise.catch(() => {});
  const onAbort = (): void => abort.reject(abortedError("a put", signal));
  signal.addEventListener("abort", onAbort);
  let ended = false;
  try {
    for (;;) {
      if (signal.aborted) throw abortedError("a put", signal);
      const next = await Promise.race([iterator.next(), abort.promise]);
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    // Not awaited: a body that hangs would hang its end too.
    if (!ended) iterator.return?.()?.then(undefined, () => {});
  }
}
