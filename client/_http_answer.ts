import {
  err,
  isLogSeq,
  isRequestErrorCode,
  type JsonValue,
  LakeSyncError,
  ok,
  parseTableSchemas,
  type PullAnswer,
  type PushAnswer,
  type RequestErrorCode,
  type Result,
} from "@lakesync/core";

const CODES_BY_STATUS: ReadonlyMap<number, RequestErrorCode> = new Map([
  [400, "VALIDATION_ERROR"],
  [401, "UNAUTHENTICATED"],
  [403, "FORBIDDEN"],
  [404, "NOT_FOUND"],
  [405, "METHOD_NOT_ALLOWED"],
  [409, "CONFLICT"],
  [410, "CHECKPOINT_REQUIRED"],
  [413, "PAYLOAD_TOO_LARGE"],
  [429, "RATE_LIMITED"],
  [503, "BACKPRESSURE"],
  [504, "TIMEOUT"],
]);

/** The error of an answer, also of one that a proxy gave in the gateway's place. */
export async function readError(response: Response): Promise<LakeSyncError> {
  let error: { code?: unknown; message?: unknown; details?: unknown } | undefined;
  try {
    error = (await response.json() as { error?: typeof error } | null)?.error;
  } catch {
    error = undefined;
  }
  const known = typeof error?.code === "string" && isRequestErrorCode(error.code)
    ? error.code
    : undefined;
  const code = known ?? CODES_BY_STATUS.get(response.status) ?? "INTERNAL";
  const message = typeof error?.message === "string"
    ? error.message
    : `The gateway answered ${response.status}: see its logs`;
  const details: { [key: string]: JsonValue } = { status: response.status };
  if (typeof error?.details === "object" && error.details !== null) {
    Object.assign(details, error.details);
  }
  const retryAfter = response.headers.get("Retry-After");
  if (retryAfter !== null && /^\d+$/.test(retryAfter)) {
    details.retryAfterMs = Number(retryAfter) * 1000;
  }
  return new LakeSyncError(code, message, { details });
}

/** The JSON of an answer of a route, by its content type. */
export function parseJson(
  text: string,
  { route, type }: { route: string; type: string | null },
): Result<unknown> {
  try {
    return ok(JSON.parse(text));
  } catch (cause) {
    if (type === null || !/^application\/json\b/i.test(type)) return err(foreign(route));
    // Where a connection breaks, a runtime may take what had come for the whole body.
    return err(
      new LakeSyncError("OFFLINE", `The answer to a ${route} broke off: try again later`, {
        cause,
      }),
    );
  }
}

/** The answer to a push. */
export function readPushAnswer(value: unknown): Result<PushAnswer> {
  const answer = value as Partial<PushAnswer> | null;
  const valid = typeof answer?.accepted === "number" && typeof answer.duplicates === "number" &&
    Array.isArray(answer.rejected) && isLogSeq(answer.seq) &&
    typeof answer.serverHlc === "string";
  return valid ? ok(value as PushAnswer) : err(foreign("push"));
}

/** The answer to a pull. */
export function readPullAnswer(value: unknown): Result<PullAnswer> {
  const answer = value as Partial<PullAnswer> | null;
  const valid = Array.isArray(answer?.deltas) && typeof answer.cursor === "string" &&
    isLogSeq(answer.seq) && typeof answer.hasMore === "boolean" &&
    typeof answer.serverHlc === "string";
  if (!valid) return err(foreign("pull"));
  const { schema, ...page } = value as PullAnswer;
  if (schema === undefined) return ok(value as PullAnswer);
  // What a later version says in another way is not learned.
  const tables = parseTableSchemas(schema?.tables, "schema");
  const known = tables.ok && typeof schema.tag === "string";
  return ok(known ? { ...page, schema: { tag: schema.tag, tables: tables.value } } : page);
}

function foreign(route: string): LakeSyncError {
  return new LakeSyncError(
    "INTERNAL",
    `Cannot read the answer to a ${route}: it is not a gateway's, check the URL`,
  );
}
