import {
  type CheckpointLine,
  encodeCheckpointFrame,
  encodeErrorBody,
  encodeJsonBody,
  encodePullAnswer,
  encodePushAnswer,
  type ErrorBody,
  httpStatus,
  isRequestErrorCode,
  type LakeSyncError,
  PROTOBUF_TYPE,
  type PushAnswer,
} from "@lakesync/core";
import type { CheckpointStream } from "./checkpoints.ts";
import type { Answer } from "./http_answer.ts";
import { isProtobuf } from "./http_body.ts";
import { pageToAnswer, pageToJson } from "./page_form.ts";
import type { PageAnswer } from "./page_source.ts";

/** The form of an answer: the same for all routes, errors too. */
export type Form = "json" | "protobuf";

/**
 * Finds the form that a caller wants its answer in.
 *
 * @param request The request.
 * @returns What its `Accept` names; where that names neither, the form of its own body.
 */
export function formOf(request: Request): Form {
  const accepted = (request.headers.get("accept") ?? "").toLowerCase();
  if (accepted.includes(PROTOBUF_TYPE)) return "protobuf";
  if (accepted.includes("json")) return "json";
  return isProtobuf(request) ? "protobuf" : "json";
}

/** The answer to a push. */
export function pushAnswer(answer: PushAnswer, form: Form): Answer {
  return form === "protobuf" ? protobuf(encodePushAnswer(answer)) : json(JSON.stringify(answer));
}

/** The answer to a pull. */
export function pageAnswer(page: PageAnswer, form: Form): Answer {
  return form === "protobuf"
    ? protobuf(encodePullAnswer(pageToAnswer(page)))
    : json(pageToJson(page));
}

/** The answer of a route whose body has no message of its own. */
export function jsonAnswer(value: unknown, form: Form = "json"): Answer {
  const text = JSON.stringify(value);
  return form === "protobuf" ? protobuf(encodeJsonBody(text)) : json(text);
}

/** A checkpoint on its way. */
export function checkpointAnswer(checkpoint: CheckpointStream, form: Form): Answer {
  const { tag, lines, gzip, rows } = checkpoint;
  const etag = `${tag}-${form}`;
  const known = rows !== undefined && { headers: { "x-checkpoint-rows": String(rows) } };
  return form === "protobuf"
    ? { status: 200, type: PROTOBUF_TYPE, body: checkpointFrames(lines), etag, ...known }
    : {
      status: 200,
      type: "application/x-ndjson",
      body: lines,
      etag,
      ...(gzip && { gzip }),
      ...known,
    };
}

/** What is answered to a caller that has this checkpoint. */
export function unchangedAnswer(tag: string, form: Form): Answer {
  return { status: 304, type: "application/x-ndjson", body: "", etag: `${tag}-${form}` };
}

/** The tags of checkpoints that a caller has in a form: what its `If-None-Match` names. */
export function tagsHeld(request: Request, form: Form): string[] {
  const named = (request.headers.get("if-none-match") ?? "").matchAll(/"([^"]*)"/g);
  // Behind the form stands the coding, which changes nothing in what the bytes say.
  const end = new RegExp(`-${form}(-[a-z]+)?$`);
  return [...named].map(([, etag]) => etag!).filter((etag) => end.test(etag))
    .map((etag) => etag.replace(end, ""));
}

async function* checkpointFrames(lines: AsyncGenerator<string>): AsyncGenerator<Uint8Array> {
  for await (const text of lines) {
    const frames = text.trimEnd().split("\n")
      .map((line) => encodeCheckpointFrame(JSON.parse(line) as CheckpointLine));
    yield new Uint8Array(await new Blob(frames).arrayBuffer());
  }
}

/**
 * The body that tells of an error.
 *
 * @param error The error.
 * @param requestId The request's id.
 * @returns The body. A code that is none of the protocol's is told as `INTERNAL`, without its message:
 * that is for the log.
 */
export function errorBody(error: LakeSyncError, requestId: string): ErrorBody {
  const { code, message, details } = error;
  if (isRequestErrorCode(code) && code !== "INTERNAL") {
    return { error: { code, message, requestId, ...(details !== undefined && { details }) } };
  }
  const where = `its log has the cause under request id ${requestId}`;
  return { error: { code: "INTERNAL", message: `The gateway failed: ${where}`, requestId } };
}

/** The answer to a request that failed. */
export function errorAnswer(
  error: LakeSyncError,
  { requestId, form }: { requestId: string; form: Form },
): Answer {
  const body = errorBody(error, requestId);
  const answer = form === "protobuf" ? protobuf(encodeErrorBody(body)) : json(JSON.stringify(body));
  const retry = error.code === "BACKPRESSURE" || error.code === "RATE_LIMITED" ||
    error.code === "SHUTTING_DOWN";
  const seconds = Math.max(1, Math.ceil(Number(error.details?.retryAfterMs ?? 0) / 1000));
  return {
    ...answer,
    status: httpStatus(error.code),
    ...(retry && { headers: { "retry-after": String(seconds) } }),
    ...(error.code === "UNAUTHENTICATED" && { headers: { "www-authenticate": "Bearer" } }),
  };
}

function json(body: string): Answer {
  return { status: 200, type: "application/json", body };
}

function protobuf(body: Uint8Array<ArrayBuffer>): Answer {
  return { status: 200, type: PROTOBUF_TYPE, body };
}
