import {
  err,
  httpStatus,
  type LakeSyncError,
  ok,
  type Result,
  silentLogger,
  systemClock,
  systemRandom,
  systemScheduler,
  toLakeSyncError,
} from "@lakesync/core";
import { type Context, Hono } from "hono";
import { audit } from "./audit.ts";
import { ANYONE, type Caller } from "./caller.ts";
import { Connections } from "./connections.ts";
import { Cors } from "./cors.ts";
import { type Answer, respond } from "./http_answer.ts";
import { errorAnswer, formOf } from "./http_form.ts";
import { strangerFault, urlFault } from "./http_guard.ts";
import { headersFor } from "./http_headers.ts";
import { operatorPages } from "./http_operator.ts";
import { logFailure, requestIdOf } from "./http_log.ts";
import type { Handler, HandlerOptions } from "./http_options.ts";
import {
  noSuchGateway,
  noSuchRoute,
  notAllowed,
  noWebSockets,
  shuttingDown,
} from "./http_refusals.ts";
import { ROUTES, type Run } from "./http_routes.ts";
import { UnderWay } from "./http_under_way.ts";
import { Metrics } from "./metrics.ts";
import { RequestLimits } from "./request_limits.ts";
import { WsSessions, type WsUpgrade } from "./ws_upgrade.ts";

export type { Handler, HandlerOptions };

/** What comes with a request to its route. */
interface Bindings {
  /** When it came. */
  readonly at: number;
  readonly requestId: string;
  /** Takes the WebSocket that the route grants; undefined where the request cannot open one. */
  readonly grant: ((upgrade: WsUpgrade) => void) | undefined;
}

type RouteOf = Context<{ Bindings: Bindings }>;

/** What a request is answered by. */
interface Served {
  /** The route's pattern. */
  readonly route: string;
  readonly run: () => Promise<Result<Answer>>;
  /** Whether it changes what only admins may change. */
  readonly audited?: boolean;
}

/**
 * Serves gateways over HTTP (PROTOCOL, section 4). It runs wherever there is `fetch`.
 *
 * @param options The gateways.
 * @returns The handler.
 *
 * @example Ask for health
 * ```ts
 * import { createHandler } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const handler = createHandler({ gateways: [] });
 * const response = await handler.fetch(new Request("http://gateway/health"));
 * assertEquals(await response.json(), { status: "ok" });
 * ```
 */
export function createHandler(options: HandlerOptions): Handler {
  const {
    gateways,
    auth,
    clock = systemClock,
    logger = silentLogger,
    random = systemRandom,
    scheduler = systemScheduler,
    allowOrigin = () => true,
    allowHost = () => true,
    https = false,
  } = options;
  const byId = new Map(gateways.map((gateway) => [gateway.id, gateway]));
  const underWay = new UnderWay();
  const streams = new AbortController();
  const bodies = new AbortController();
  const connections = new Connections();
  const requests = new RequestLimits({ ...options, scheduler, gateways: gateways.length });
  const metrics = new Metrics();
  const cors = new Cors(options.origins ?? []);
  const onPush = metrics.pushed.bind(metrics);
  const sockets = new WsSessions({ clock, scheduler, requests, logger, connections, onPush });
  let draining = false;
  const app = new Hono<{ Bindings: Bindings }>();

  const send = (
    answer: Answer,
    options: { request: Request; requestId: string; onEnd?: (failure?: unknown) => void },
  ): Response =>
    respond(answer, {
      onEnd: () => {},
      ...options,
      ...requests.sending,
      headers: headersFor(options.request, { cors, https }),
      ends: streams.signal,
    });

  const serve = async (
    context: RouteOf,
    { route, run, audited = false }: Served,
  ): Promise<Response> => {
    const request = context.req.raw;
    const { requestId, at } = context.env;
    const end = underWay.begin();
    const result = await attempt(async () => {
      if (draining) return err(shuttingDown());
      const stranger = strangerFault(request, { cors, allowOrigin, allowHost });
      if (stranger !== undefined) return err(stranger);
      const preflight = cors.preflight(request);
      return preflight === undefined ? await run() : ok(preflight);
    });
    if (audited) await auditRequest(context, { route, result });
    const answer = result.ok
      ? result.value
      : errorAnswer(result.error, { requestId, form: formOf(request) });
    if (!result.ok && answer.status >= 500 && !draining) {
      logFailure(logger, result.error, requestId);
    }
    const { method } = request;
    metrics.answered({ route, method, status: answer.status, ms: Math.max(0, clock.now() - at) });
    const onEnd = (failure?: unknown) => {
      end();
      if (failure !== undefined) {
        logFailure(logger, toLakeSyncError(failure, "INTERNAL"), requestId);
      }
    };
    return send(answer, { request, requestId, onEnd });
  };

  /** The one place where it is found who sent a request, also one that opens a WebSocket. */
  const callerOf = async (
    request: Request,
    options: { gateway: string | undefined; admin: boolean },
  ): Promise<Result<Caller>> =>
    auth === undefined ? ok(ANYONE) : await auth.admit(request, options);

  const auditRequest = async (
    context: RouteOf,
    { route, result }: { route: string; result: Result<Answer> },
  ): Promise<void> => {
    const { requestId } = context.env;
    // Also of whoever was refused it is known who they are, where their token is good.
    const who = await attempt(() =>
      callerOf(context.req.raw, { gateway: undefined, admin: false })
    );
    audit(logger, {
      requestId,
      sub: who.ok ? who.value.sub : undefined,
      gateway: context.req.param("gw") ?? "",
      action: `${context.req.method} ${route}`,
      outcome: result.ok ? "ok" : result.error.code,
    });
  };

  const runRoute = async (
    context: RouteOf,
    { run, admin }: { run: Run; admin: boolean },
  ): Promise<Result<Answer>> => {
    const id = context.req.param("gw") ?? "";
    const request = context.req.raw;
    const { requestId, grant } = context.env;
    // Before anything else: which gateways there are is told to nobody who may not come in.
    const caller = await callerOf(request, { gateway: id, admin });
    if (!caller.ok) return caller;
    const gateway = byId.get(id);
    if (gateway === undefined) return err(noSuchGateway());
    const query = new URL(request.url).searchParams;
    const asked = { request, query, gateway, caller: caller.value, admin, bodies: bodies.signal };
    return await requests.run(asked, (limited) =>
      run({
        ...limited,
        request,
        query,
        requestId,
        form: formOf(request),
        caller: caller.value,
        gateway,
        clock,
        scheduler,
        connections,
        upgrade: () => {
          if (grant === undefined) return err(noWebSockets());
          const upgrade = sockets.accept(request, { gateway, caller: caller.value, requestId });
          if (upgrade.ok) grant(upgrade.value);
          return upgrade;
        },
        onPush: (answer) => onPush(gateway.id, answer),
        onError(error) {
          if (httpStatus(error.code) >= 500) logFailure(logger, error, requestId);
        },
      }));
  };

  const refuseOthers = (route: string, allow: string): void => {
    const run = ({ req, env: { requestId } }: RouteOf) =>
      Promise.resolve(ok(notAllowed(req.raw, { allow, requestId })));
    app.all(route, (context) => serve(context, { route, run: () => run(context) }));
  };
  for (const { path: route, runs } of ROUTES) {
    const admin = route.startsWith("/v1/admin/");
    for (const [method, run] of Object.entries(runs)) {
      const audited = admin && method !== "GET";
      app.on(
        method,
        route,
        (context) =>
          serve(context, { route, audited, run: () => runRoute(context, { run, admin }) }),
      );
    }
    refuseOthers(route, Object.keys(runs).join(", "));
  }
  const pages = operatorPages({
    gateways,
    metrics,
    connections,
    bodies: requests.bodies,
    exposure: { metrics: options.metrics ?? "admin", ready: options.ready ?? "open" },
    onError: (error, requestId) => logFailure(logger, error, requestId),
  });
  for (const { path: route, exposure, run } of pages) {
    app.get(route, (context) =>
      serve(context, {
        route,
        async run() {
          const admin = () => callerOf(context.req.raw, { gateway: undefined, admin: true });
          const reader = exposure === "admin" ? await admin() : ok(undefined);
          if (!reader.ok) return reader;
          const isAdmin = async () => (await admin()).ok;
          return await run({ requestId: context.env.requestId, isAdmin });
        },
      }));
    refuseOthers(route, "GET");
  }
  app.notFound((context) =>
    serve(context, { route: "none", run: () => Promise.resolve(err(noSuchRoute())) })
  );

  const answer = async (
    request: Request,
    grant: Bindings["grant"],
  ): Promise<Response> => {
    const requestId = requestIdOf(request, random);
    const refuse = (error: LakeSyncError) =>
      send(errorAnswer(error, { requestId, form: formOf(request) }), { request, requestId });
    try {
      const fault = urlFault(request);
      if (fault !== undefined) return refuse(fault);
      return await app.fetch(request, { requestId, grant, at: clock.now() });
    } catch (thrown) {
      // Nothing may end the process: what the routes did not catch is answered here.
      const error = toLakeSyncError(thrown, "INTERNAL");
      logFailure(logger, error, requestId);
      return refuse(error);
    }
  };

  return {
    fetch: (request) => answer(request, undefined),
    async upgrade(request) {
      let granted: WsUpgrade | undefined;
      const response = await answer(request, (upgrade) => granted = upgrade);
      return granted ?? response;
    },
    async drain(options = {}) {
      draining = true;
      const giveUp = () => bodies.abort(shuttingDown());
      if (options.signal?.aborted === true) giveUp();
      else options.signal?.addEventListener("abort", giveUp);
      for (const gateway of gateways) gateway.endStreams();
      streams.abort(shuttingDown());
      await Promise.all([sockets.drain(), underWay.none()]);
    },
  };
}

/** What a route comes to, whatever it throws. */
async function attempt<T>(run: () => Promise<Result<T>>): Promise<Result<T>> {
  try {
    return await run();
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "INTERNAL"));
  }
}
