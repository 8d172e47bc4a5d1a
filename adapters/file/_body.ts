import { LakeSyncError } from "@lakesync/core";

/** What an aborted operation fails with. */
export function aborted(what: string, signal: AbortSignal): LakeSyncError {
  return new LakeSyncError("ABORTED", `Stopped ${what}: its signal was aborted`, {
    cause: signal.reason,
  });
}

/**
 * The chunks of a body, up to its end or to the signal's abort, which also interrupts a wait for
 * the next chunk. The body is told when it is not read to its end.
 */
export async function* chunksOf(
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
  const onAbort = (): void => abort.reject(aborted("a put", signal));
  signal.addEventListener("abort", onAbort);
  let ended = false;
  try {
    for (;;) {
      if (signal.aborted) throw aborted("a put", signal);
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
