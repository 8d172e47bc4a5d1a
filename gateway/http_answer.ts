import type { PROTOBUF_TYPE, Scheduler } from "@lakesync/core";
import { chooseCoding, type Coding, pack } from "./http_coding.ts";
import { inParts, type ReaderWatchOptions, whileRead } from "./reader_watch.ts";

/** Below this many characters or bytes an answer is not worth packing. */
const PACK_FROM = 1_024;

/** An answer before it is packed for its caller. */
export interface Answer {
  /** Its status. */
  readonly status: number;
  /** Its media type. */
  readonly type:
    | "application/json"
    | "application/x-ndjson"
    | "text/event-stream"
    | "text/plain; version=0.0.4; charset=utf-8"
    | typeof PROTOBUF_TYPE;
  /** Its body, whole or in parts. */
  readonly body: string | Uint8Array<ArrayBuffer> | AsyncGenerator<string | Uint8Array>;
  /** The same as it is kept in gzip: to be read in its place. */
  readonly gzip?: AsyncGenerator<Uint8Array<ArrayBuffer>>;
  /** What it may be known by; its coding is added. Without it nobody keeps it. */
  readonly etag?: string;
  /** More headers. */
  readonly headers?: { readonly [name: string]: string };
  /** Called when it has gone out, where that is of interest. */
  readonly onSent?: () => void;
}

/** What an answer is packed for. */
export interface RespondContext {
  /** The request. */
  readonly request: Request;
  /** Its id. */
  readonly requestId: string;
  /** Headers that its answer has whatever it says. */
  readonly headers: { readonly [name: string]: string };
  /** A caller that reads nothing for so many ms is cut off. */
  readonly idleMs: number;
  /** Measures that. */
  readonly scheduler: Scheduler;
  /** Breaks off a body that is being streamed. */
  readonly ends: AbortSignal;
  /** Called when the body has gone out or broken off; with the failure where one made it break off. */
  readonly onEnd: (failure?: unknown) => void;
}

/**
 * Packs an answer for its caller.
 *
 * @param answer The answer.
 * @param context The request, and what happens with the answer.
 * @returns The response.
 */
export function respond(
  answer: Answer,
  context: RespondContext,
): Response {
  const { request, requestId, onEnd } = context;
  const { status, body } = answer;
  const headers = new Headers({
    ...answer.headers,
    "content-type": answer.type,
    "cache-control": answer.etag === undefined ? "no-store" : "private, no-cache",
    "x-request-id": requestId,
    ...context.headers,
  });
  const coding = codingFor(answer, request);
  if (answer.etag !== undefined) {
    headers.set("etag", `"${answer.etag}${coding === undefined ? "" : `-${coding}`}"`);
    headers.append("vary", "accept, accept-encoding, authorization");
  } else if (coding !== undefined) headers.append("vary", "accept-encoding");
  if (status === 204) headers.delete("content-type");
  if (status === 204 || status === 304) {
    onEnd();
    return new Response(null, { status, headers });
  }
  if (coding !== undefined) headers.set("content-encoding", coding);
  if (request.method === "HEAD") {
    onEnd();
    letGo(answer);
    return new Response(null, { status, headers });
  }
  if (typeof body === "string" || body instanceof Uint8Array) {
    onEnd();
    const packed = coding === undefined ? body : pack(body, coding);
    const { onSent } = answer;
    if (onSent === undefined) return new Response(packed, { status, headers });
    const bytes = typeof packed === "string" ? new TextEncoder().encode(packed) : packed;
    const watched = whileRead(inParts(bytes), { ...context, onEnd: onSent });
    return new Response(watched, { status, headers });
  }
  if (answer.type === "text/event-stream") {
    // A proxy that packs or gathers what it passes on would hold events back.
    headers.set("cache-control", "no-store, no-transform");
    headers.set("x-accel-buffering", "no");
    const events = partStream(body, { ...context, clean: true });
    return new Response(whileRead(events, watching(context)), { status, headers });
  }
  const kept = coding === "gzip" ? answer.gzip : undefined;
  const stream = partStream(kept ?? body, { ...context, clean: false });
  const coded = coding === undefined || kept !== undefined ? stream : stream.pipeThrough(gzip());
  return new Response(whileRead(coded, watching(context)), { status, headers });
}

function watching({ idleMs, scheduler }: RespondContext): ReaderWatchOptions {
  return { idleMs, scheduler };
}

function codingFor(answer: Answer, request: Request): Coding | undefined {
  const { body, type } = answer;
  const accepted = request.headers.get("accept-encoding");
  if (typeof body === "string" || body instanceof Uint8Array) {
    return body.length < PACK_FROM ? undefined : chooseCoding(accepted);
  }
  // An event must not wait in a packer until enough others have come.
  return type === "text/event-stream" ? undefined : chooseCoding(accepted, ["gzip"]);
}

function gzip(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  return new CompressionStream("gzip") as unknown as TransformStream<
    Uint8Array<ArrayBuffer>,
    Uint8Array<ArrayBuffer>
  >;
}

/** What a {@linkcode partStream} ends with. */
interface PartStreamContext extends Pick<RespondContext, "ends" | "onEnd"> {
  /** Whether `ends` closes it, as its own end does, and breaks nothing off. */
  readonly clean: boolean;
}

/**
 * A stream that asks for the next part only when it is read. It ends with `ends`, also while nobody
 * reads it.
 */
function partStream(
  parts: AsyncGenerator<string | Uint8Array>,
  context: PartStreamContext,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { ends, clean } = context;
  const encoder = new TextEncoder();
  let breakOff = (): void => {};
  let left = false;
  const onEnd = (failure?: unknown) => {
    ends.removeEventListener("abort", breakOff);
    context.onEnd(failure);
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      breakOff = () => {
        onEnd();
        if (clean) controller.close();
        else controller.error(ends.reason);
        void giveUp(parts);
      };
      if (ends.aborted) breakOff();
      else ends.addEventListener("abort", breakOff);
    },
    async pull(controller) {
      try {
        const next = await parts.next();
        if (ends.aborted || left) return;
        if (next.done === true) {
          onEnd();
          controller.close();
        } else {
          const part = next.value;
          controller.enqueue(
            typeof part === "string" ? encoder.encode(part) : part as Uint8Array<ArrayBuffer>,
          );
        }
      } catch (thrown) {
        if (left) return;
        onEnd(ends.aborted ? undefined : thrown);
        controller.error(thrown);
      }
    },
    async cancel() {
      left = true;
      onEnd();
      await giveUp(parts);
    },
  }, { highWaterMark: 0 });
}

/** Lets go of an answer whose body nobody reads. */
function letGo({ body, gzip, onSent }: Answer): void {
  onSent?.();
  if (typeof body !== "string" && !(body instanceof Uint8Array)) void giveUp(gzip ?? body);
}

/** Lets go of parts that nobody reads. Whether they end well is nobody's business any more. */
async function giveUp(parts: AsyncGenerator<unknown>): Promise<void> {
  await parts.return(undefined).catch(() => {});
}
