import {
  type Checkpoint,
  err,
  type ErrorBody,
  httpStatus,
  LakeSyncError,
  type PushRequest,
  type Result,
  type SyncTransport,
} from "@lakesync/core";

/** Serves the sync routes of a gateway `default` in JSON (PROTOCOL, sections 4 and 6). */
export async function serveGateway(
  request: Request,
  gateway: SyncTransport,
  tables: readonly string[],
): Promise<Response> {
  const url = new URL(request.url);
  const query = url.searchParams;
  const clientId = query.get("clientId") ?? "";
  const schemaVersion = query.has("schemaVersion")
    ? { schemaVersion: Number(query.get("schemaVersion")) }
    : {};
  const only = query.has("tables") ? { tables: query.get("tables")!.split(",") } : {};
  switch (`${request.method} ${url.pathname}`) {
    case "POST /v1/sync/default/push":
      return answerJson(await gateway.push(await request.json() as PushRequest));
    case "GET /v1/sync/default/pull":
      return answerJson(
        await gateway.pull({
          clientId,
          cursor: query.get("cursor") ?? "",
          ...(query.has("limit") && { limit: Number(query.get("limit")) }),
          ...(query.has("wait") && { wait: Number(query.get("wait")) }),
          ...(query.get("own") === "ids" && { own: "ids" }),
          ...only,
          ...schemaVersion,
        }, { signal: request.signal }),
      );
    case "GET /v1/sync/default/checkpoint": {
      const checkpoint = await gateway.checkpoint({ clientId, ...only, ...schemaVersion });
      return checkpoint.ok
        ? new Response(ndjson(checkpoint.value, tables))
        : answerJson(checkpoint);
    }
    default:
      return answerJson(err(new LakeSyncError("NOT_FOUND", `No route ${url.pathname}`)));
  }
}

function ndjson(checkpoint: Checkpoint, tables: readonly string[]): ReadableStream<Uint8Array> {
  const { seq, cursor, rows } = checkpoint;
  const encoder = new TextEncoder();
  const line = (value: unknown) => `${JSON.stringify(value)}\n`;
  async function* lines(): AsyncGenerator<Uint8Array, void, undefined> {
    yield encoder.encode(line({ checkpoint: { seq, cursor, tables } }));
    let count = 0;
    for await (const chunk of rows) {
      count += chunk.length;
      yield encoder.encode(chunk.map(line).join(""));
    }
    yield encoder.encode(line({ end: { rows: count } }));
  }
  const iterator = lines();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
}

function answerJson(result: Result<unknown>): Response {
  if (result.ok) return Response.json(result.value);
  const { code, message, details } = result.error;
  const body: ErrorBody = {
    error: { code, message, requestId: "test", ...(details !== undefined && { details }) },
  };
  const headers = new Headers();
  const retry = details?.retryAfterMs;
  if (typeof retry === "number") headers.set("Retry-After", String(Math.ceil(retry / 1000)));
  return Response.json(body, { status: httpStatus(code), headers });
}
