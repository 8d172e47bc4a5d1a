import { type Clock, LakeSyncError, type Scheduler } from "@lakesync/core";
import type { Caller } from "./caller.ts";
import { expiredError, whenExpired } from "./expiry.ts";
import { errorBody } from "./http_form.ts";
import { pageToJson } from "./page_form.ts";
import type { Pages } from "./service.ts";

/** A stream that has nothing to say sends a comment so often: proxies cut off what is silent. */
const HEARTBEAT_MS = 15_000;

/** What a stream of events is made with. */
export interface LiveOptions {
  /** Who reads it: it ends when their token runs out. */
  readonly caller: Caller;
  /** Physical time. */
  readonly clock: Clock;
  /** Measures the silence. */
  readonly scheduler: Scheduler;
  /** Named in an error. */
  readonly requestId: string;
  /** Ends the stream: the request's own. */
  readonly signal: AbortSignal;
  /** Called with the error that ends the stream. */
  readonly onError: (error: LakeSyncError) => void;
  /** Called once when it has ended, for whatever reason. */
  readonly onEnd: () => void;
}

/**
 * The events of a stream (Server-Sent Events): one for each page, its cursor as the event's id. After
 * a failure comes an event `error`, and the end. A page is read only when the one before was taken.
 *
 * @param reader The pages.
 * @param options How it is kept alive.
 * @returns The texts of whole events. Returning from it ends it at once, also while it waits.
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html | Server-sent events}
 */
export function liveEvents(reader: Pages, options: LiveOptions): AsyncGenerator<string> {
  const ends = new AbortController();
  const stop = () => {
    if (ends.signal.aborted) return;
    ends.abort();
    options.signal.removeEventListener("abort", stop);
    options.onEnd();
  };
  options.signal.addEventListener("abort", stop);
  if (options.signal.aborted) stop();
  const events = generateEvents(reader, { ...options, signal: ends.signal });
  const next = events.next.bind(events);
  const end = events.return.bind(events);
  events.next = async () => {
    const event = await next();
    if (event.done === true) stop();
    return event;
  };
  events.return = (value) => {
    // A generator that waits does not hear of it otherwise.
    stop();
    return end(value);
  };
  return events;
}

async function* generateEvents(
  reader: Pages,
  options: LiveOptions,
): AsyncGenerator<string> {
  const { caller, scheduler, requestId, signal, onError } = options;
  const expired = new AbortController();
  void whenExpired(caller, options).then((isSo) => {
    if (isSo) expired.abort();
  });
  // The first page comes at once, also an empty one: from its cursor the client can go on.
  let page = await reader.next();
  let isNews = true;
  while (page.ok && !signal.aborted && !expired.signal.aborted) {
    if (isNews) yield `id: ${page.value.cursor}\ndata: ${pageToJson(page.value)}\n\n`;
    else if (reader.closing) return;
    else yield ":\n\n";
    page = await nextWithin(reader, {
      scheduler,
      signal: AbortSignal.any([signal, expired.signal]),
      ms: HEARTBEAT_MS,
    });
    isNews = page.ok &&
      (page.value.items.length > 0 || page.value.hasMore || page.value.schema !== undefined);
  }
  if (signal.aborted) return;
  const error = page.ok ? expiredError() : page.error;
  onError(error);
  yield `event: error\ndata: ${JSON.stringify(errorBody(error, requestId))}\n\n`;
}

async function nextWithin(
  reader: Pages,
  { scheduler, signal, ms }: { scheduler: Scheduler; signal: AbortSignal; ms: number },
): ReturnType<Pages["next"]> {
  const answered = new AbortController();
  const over = new AbortController();
  const ends = AbortSignal.any([answered.signal, signal]);
  void scheduler.delay(ms, { signal: ends }).then(() => over.abort());
  try {
    return await reader.next({ over: over.signal });
  } finally {
    answered.abort();
  }
}
