import { LakeSyncError } from "@lakesync/core";
import type { Answer } from "./http_answer.ts";
import { errorAnswer, formOf } from "./http_form.ts";

/** What is answered to requests that no route is run for. */

/** The answer to a method that a path does not have. */
export function notAllowed(
  request: Request,
  { allow, requestId }: { allow: string; requestId: string },
): Answer {
  const error = new LakeSyncError(
    "METHOD_NOT_ALLOWED",
    `${request.method.slice(0, 16)} is not allowed here: use ${allow}`,
  );
  const answer = errorAnswer(error, { requestId, form: formOf(request) });
  return { ...answer, headers: { allow } };
}

export function noSuchGateway(): LakeSyncError {
  return new LakeSyncError("NOT_FOUND", "There is no gateway of that id here: check the path");
}

export function noSuchRoute(): LakeSyncError {
  return new LakeSyncError("NOT_FOUND", "There is nothing at this path: see PROTOCOL, section 4");
}

export function noWebSockets(): LakeSyncError {
  return new LakeSyncError("VALIDATION_ERROR", "This is the path of a WebSocket: open one");
}

export function shuttingDown(): LakeSyncError {
  return new LakeSyncError("SHUTTING_DOWN", "The gateway is shutting down: try again in a moment");
}
