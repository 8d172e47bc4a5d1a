import {
  type Clock,
  decodePushRequest,
  type LakeSyncError,
  ok,
  type PushAnswer,
  type Result,
  type Scheduler,
} from "@lakesync/core";
import type { Caller } from "./caller.ts";
import type { Connections } from "./connections.ts";
import type { GatewayService } from "./service.ts";
import type { Answer } from "./http_answer.ts";
import { readBody, type ReadBodyOptions } from "./http_body.ts";
import {
  checkpointAnswer,
  type Form,
  jsonAnswer,
  pageAnswer,
  pushAnswer,
  tagsHeld,
  unchangedAnswer,
} from "./http_form.ts";
import { liveEvents } from "./live.ts";
import { pagesWithNews, SchemaNews } from "./schema_news.ts";
import type { WsUpgrade } from "./ws_upgrade.ts";

/** What a route is run with. */
export interface RouteContext {
  /** The request. */
  readonly request: Request;
  /** Its query. */
  readonly query: URLSearchParams;
  /** Its id. */
  readonly requestId: string;
  /** The form of its answer. */
  readonly form: Form;
  /** Who sent it. */
  readonly caller: Caller;
  /** The gateway that it names. */
  readonly gateway: GatewayService;
  /** Aborts when the caller has gone, or has waited long enough for its answer. */
  readonly signal: AbortSignal;
  /** How its body is read. */
  readonly bodies: Omit<ReadBodyOptions, "limit" | "decode">;
  /** Waits for no one: refuses a client whose turn it is not. */
  readonly takeTurn: (client: string) => Promise<Result<void>>;
  /** Physical time. */
  readonly clock: Clock;
  /** Waiting. */
  readonly scheduler: Scheduler;
  /** Counts the connections that stay. */
  readonly connections: Connections;
  /** Opens a WebSocket. */
  readonly upgrade: () => Result<WsUpgrade>;
  /** Counts what became of a push. */
  readonly onPush: (answer: PushAnswer) => void;
  /** Logs an error that comes after the answer has begun. */
  readonly onError: (error: LakeSyncError) => void;
}

/** What a route does for a method. */
export type Run = (context: RouteContext) => Promise<Result<Answer>>;

/** PROTOCOL's routes, section 4. */
export const ROUTES: readonly {
  readonly path: string;
  readonly runs: { readonly [method: string]: Run };
}[] = [
  { path: "/v1/sync/:gw/push", runs: { POST: push } },
  { path: "/v1/sync/:gw/pull", runs: { GET: pull } },
  { path: "/v1/sync/:gw/live", runs: { GET: live } },
  { path: "/v1/sync/:gw/ws", runs: { GET: ws } },
  { path: "/v1/sync/:gw/checkpoint", runs: { GET: checkpoint } },
  { path: "/v1/admin/:gw/flush", runs: { POST: flush } },
  { path: "/v1/admin/:gw/schema", runs: { GET: getSchema, PUT: putSchema } },
  { path: "/v1/admin/:gw/rules", runs: { GET: getRules, PUT: putRules } },
  { path: "/v1/admin/:gw/stats", runs: { GET: stats } },
];

async function push(context: RouteContext): Promise<Result<Answer>> {
  const { request, gateway, caller, form, bodies, takeTurn } = context;
  const body = await readBody(request, {
    ...bodies,
    limit: gateway.limits.bodyBytes,
    decode: decodePushRequest,
  });
  if (!body.ok) return body;
  if (caller.sub === undefined) {
    // Only now is it known who pushes.
    const turn = await takeTurn(clientIdOf(body.value));
    if (!turn.ok) return turn;
  }
  const answer = await gateway.push(body.value, caller);
  if (!answer.ok) return answer;
  context.onPush(answer.value);
  return ok(pushAnswer(answer.value, form));
}

/** The client that a push names; `""` where it names none. */
function clientIdOf(body: unknown): string {
  const { clientId } = (body ?? {}) as { clientId?: unknown };
  return typeof clientId === "string" ? clientId : "";
}

async function pull({ signal, query, gateway, caller, form }: RouteContext): Promise<
  Result<Answer>
> {
  const page = await gateway.pull(query, { caller, signal });
  if (!page.ok) return page;
  return ok(pageAnswer(await new SchemaNews(gateway, query, caller).with(page.value), form));
}

async function live(context: RouteContext): Promise<Result<Answer>> {
  const { request, query, requestId, gateway, caller, connections, onError } = context;
  const lastEventId = request.headers.get("last-event-id");
  if (lastEventId !== null) query.set("cursor", lastEventId);
  const reader = await gateway.follow(query, { caller });
  if (!reader.ok) return reader;
  const slot = connections.open(gateway);
  if (!slot.ok) return slot;
  const { clock, scheduler } = context;
  const pages = pagesWithNews(reader.value, new SchemaNews(gateway, query, caller));
  const body = liveEvents(pages, {
    caller,
    clock,
    scheduler,
    requestId,
    signal: request.signal,
    onError,
    onEnd: slot.value,
  });
  return ok({ status: 200, type: "text/event-stream", body });
}

function ws({ upgrade }: RouteContext): Promise<Result<Answer>> {
  const accepted = upgrade();
  // Where a WebSocket is opened, this answer is not the one that goes out.
  return Promise.resolve(accepted.ok ? ok(jsonAnswer(null)) : accepted);
}

async function checkpoint(context: RouteContext): Promise<Result<Answer>> {
  const { request, signal, query, gateway, caller, form } = context;
  for (const tag of tagsHeld(request, form)) {
    const unchanged = await gateway.hasCheckpoint(query, { caller, tag });
    if (!unchanged.ok) return unchanged;
    if (unchanged.value) return ok(unchangedAnswer(tag, form));
  }
  const stream = await gateway.checkpoint(query, { caller, signal });
  return stream.ok ? ok(checkpointAnswer(stream.value, form)) : stream;
}

/** How long who asks for a flush waits for destinations behind the first. */
const FLUSH_WAIT_MS = 5_000;

async function flush({ gateway, form }: RouteContext): Promise<Result<Answer>> {
  const report = await gateway.flush({ waitMs: FLUSH_WAIT_MS });
  return report.ok ? ok(jsonAnswer(report.value, form)) : report;
}

async function getSchema({ gateway, form }: RouteContext): Promise<Result<Answer>> {
  const tables = await gateway.schema();
  return tables.ok ? ok(jsonAnswer({ tables: tables.value }, form)) : tables;
}

async function putSchema(context: RouteContext): Promise<Result<Answer>> {
  const { request, gateway, form, bodies } = context;
  const body = await readBody(request, { ...bodies, limit: gateway.limits.bodyBytes });
  if (!body.ok) return body;
  const tables = await gateway.putSchema(body.value);
  return tables.ok ? ok(jsonAnswer({ tables: tables.value }, form)) : tables;
}

async function getRules({ gateway, form }: RouteContext): Promise<Result<Answer>> {
  const rules = await gateway.rules();
  return rules.ok ? ok(jsonAnswer(rules.value ?? null, form)) : rules;
}

async function putRules(context: RouteContext): Promise<Result<Answer>> {
  const { request, gateway, form, bodies } = context;
  const body = await readBody(request, { ...bodies, limit: gateway.limits.bodyBytes });
  if (!body.ok) return body;
  const rules = await gateway.putRules(body.value);
  return rules.ok ? ok(jsonAnswer(rules.value, form)) : rules;
}

async function stats({ gateway, form }: RouteContext): Promise<Result<Answer>> {
  const stats = await gateway.stats();
  return stats.ok ? ok(jsonAnswer(stats.value, form)) : stats;
}
