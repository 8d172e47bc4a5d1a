import { err, LakeSyncError, ok, type Result } from "@lakesync/core";

/** Bodies of requests: measured as they are read, and again as they are unpacked. */

/**
 * Reads a JSON body.
 *
 * @param request The request; `Content-Encoding: gzip` is unpacked.
 * @param options The most bytes, packed and unpacked, and what ends the reading with its reason.
 * @returns The parsed JSON; `PAYLOAD_TOO_LARGE` as soon as the limit is passed, `VALIDATION_ERROR`
 * where it is not JSON in UTF-8.
 */
export async function readJson(
  request: Request,
  options: { limit: number; signal: AbortSignal },
): Promise<Result<unknown>> {
  const { limit, signal } = options;
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > limit) return tooLarge(limit);
  const encoding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  if (encoding !== "identity" && encoding !== "gzip") {
    return invalid(`Content-Encoding "${encoding.slice(0, 32)}" is not known: send gzip or none`);
  }
  if (request.body === null) return invalid("The body is empty: send a JSON object");
  let stream: ReadableStream<Uint8Array> = request.body.pipeThrough(measured(limit), {
    signal,
  });
  if (encoding === "gzip") {
    const unpack = new DecompressionStream("gzip") as unknown as TransformStream<
      Uint8Array,
      Uint8Array
    >;
    stream = stream.pipeThrough(unpack).pipeThrough(measured(limit));
  }
  let text: string;
  try {
    text = await decodeUtf8(stream);
  } catch (cause) {
    if (cause instanceof LakeSyncError) return err(cause);
    if (request.signal.aborted) {
      return err(new LakeSyncError("ABORTED", "The request broke off", { cause }));
    }
    return invalid("The body cannot be read: it is not UTF-8, or not gzip, or incomplete", cause);
  }
  try {
    return ok(JSON.parse(text));
  } catch (cause) {
    return invalid("The body is not JSON", cause);
  }
}

async function decodeUtf8(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

/** Passes bytes on and breaks off with `PAYLOAD_TOO_LARGE` behind the limit. */
function measured(limit: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > limit) throw sizeError(limit);
      controller.enqueue(chunk);
    },
  });
}

function sizeError(limit: number): LakeSyncError {
  return new LakeSyncError(
    "PAYLOAD_TOO_LARGE",
    `The body is larger than ${limit} bytes: send it in parts`,
  );
}

function tooLarge(limit: number): Result<never> {
  return err(sizeError(limit));
}

function invalid(message: string, cause?: unknown): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message, { cause }));
}
