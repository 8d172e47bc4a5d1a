import { gzipSync } from "node:zlib";
import { type ErrorBody, httpStatus, isRequestErrorCode, LakeSyncError } from "@lakesync/core";

/** Below this many characters an answer is not worth packing. */
const PACK_FROM = 1_024;

/** An answer before it is packed for its caller. */
export interface Answer {
  /** Its status. */
  readonly status: number;
  /** Its media type. */
  readonly type: "application/json" | "application/x-ndjson";
  /** Its body, whole or in parts. */
  readonly body: string | AsyncGenerator<string>;
  /** More headers. */
  readonly headers?: { readonly [name: string]: string };
}

/**
 * An answer of JSON.
 *
 * @param value What it says, or its text where that is made already.
 * @returns Status 200.
 */
export function json(value: unknown): Answer {
  const body = typeof value === "string" ? value : JSON.stringify(value);
  return { status: 200, type: "application/json", body };
}

/**
 * The answer to a request that failed.
 *
 * @param error Why.
 * @param requestId The request's id.
 * @returns Its status and body. A code that is none of the protocol's is told as `INTERNAL`, without
 * its message: that is for the log.
 */
export function errorAnswer(error: LakeSyncError, requestId: string): Answer {
  const known = isRequestErrorCode(error.code) && error.code !== "INTERNAL";
  const body: ErrorBody = {
    error: {
      code: known ? error.code : "INTERNAL",
      message: known
        ? error.message
        : `The gateway failed: its log has the cause under request id ${requestId}`,
      requestId,
      ...(known && error.details !== undefined && { details: error.details }),
    },
  };
  const retry = error.code === "BACKPRESSURE" || error.code === "RATE_LIMITED" ||
    error.code === "SHUTTING_DOWN";
  return {
    status: httpStatus(error.code),
    type: "application/json",
    body: JSON.stringify(body),
    ...(retry && { headers: { "retry-after": "1" } }),
  };
}

/** What an answer is packed for. */
export interface RespondContext {
  /** The request. */
  readonly request: Request;
  /** Its id. */
  readonly requestId: string;
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
  const { request, requestId, ends, onEnd } = context;
  const headers = new Headers({
    ...answer.headers,
    "content-type": answer.type,
    "cache-control": "no-store",
    "x-request-id": requestId,
  });
  const { body } = answer;
  const pack = acceptsGzip(request) && (typeof body !== "string" || body.length >= PACK_FROM);
  if (pack) {
    headers.set("content-encoding", "gzip");
    headers.set("vary", "accept-encoding");
  }
  if (typeof body === "string") {
    onEnd();
    if (!pack) return new Response(body, { status: answer.status, headers });
    // A page hardly grows at this level, and packing it takes two thirds of the time.
    const packed = new Uint8Array(gzipSync(body, { level: 3 }));
    return new Response(packed, { status: answer.status, headers });
  }
  if (request.method === "HEAD") {
    onEnd();
    void body.return(undefined);
    return new Response(null, { status: answer.status, headers });
  }
  const stream = textStream(body, { ends, onEnd });
  return new Response(pack ? stream.pipeThrough(gzip()) : stream, {
    status: answer.status,
    headers,
  });
}

function gzip(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  return new CompressionStream("gzip") as unknown as TransformStream<
    Uint8Array<ArrayBuffer>,
    Uint8Array<ArrayBuffer>
  >;
}

function acceptsGzip(request: Request): boolean {
  const accepted = request.headers.get("accept-encoding") ?? "";
  return accepted.split(",").some((item) => {
    const [coding, ...params] = item.split(";").map((part) => part.trim().toLowerCase());
    return coding === "gzip" && !params.some((param) => /^q=0(\.0*)?$/.test(param));
  });
}

/**
 * A stream that asks for the next text only when there is room for it. It breaks off with `ends`,
 * also while nobody reads it.
 */
function textStream(
  texts: AsyncGenerator<string>,
  context: Pick<RespondContext, "ends" | "onEnd">,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { ends } = context;
  const encoder = new TextEncoder();
  let breakOff = (): void => {};
  const onEnd = (failure?: unknown) => {
    ends.removeEventListener("abort", breakOff);
    context.onEnd(failure);
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      breakOff = () => {
        onEnd();
        controller.error(ends.reason);
        void texts.return(undefined);
      };
      if (ends.aborted) breakOff();
      else ends.addEventListener("abort", breakOff);
    },
    async pull(controller) {
      try {
        const next = await texts.next();
        if (ends.aborted) return;
        if (next.done === true) {
          onEnd();
          controller.close();
        } else {
          controller.enqueue(encoder.encode(next.value));
        }
      } catch (thrown) {
        onEnd(ends.aborted ? undefined : thrown);
        controller.error(thrown);
      }
    },
    async cancel() {
      onEnd();
      await texts.return(undefined);
    },
  }, { highWaterMark: 1 });
}
