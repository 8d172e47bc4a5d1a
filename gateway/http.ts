import {
  err,
  LakeSyncError,
  type Logger,
  ok,
  type Random,
  type Result,
  silentLogger,
  systemRandom,
  toLakeSyncError,
} from "@lakesync/core";
import { type Context, Hono } from "hono";
import type { Caller } from "./caller.ts";
import type { Gateway } from "./gateway.ts";
import { type Answer, errorAnswer, json, respond } from "./http_answer.ts";
import { readJson } from "./http_body.ts";

/** Options of {@linkcode createHandler}. */
export interface HandlerOptions {
  /** The gateways that it serves, each under its id. */
  gateways: readonly Gateway[];
  /**
   * Where its log lines go.
   *
   * @default {silentLogger}
   */
  logger?: Logger;
  /**
   * Whether a web page of this origin may send requests: a browser sends some without asking first.
   *
   * @default {() => true}
   */
  allowOrigin?: (origin: string) => boolean;
  /**
   * Where request ids come from.
   *
   * @default {systemRandom}
   */
  random?: Random;
}

/** PROTOCOL's routes over web standards. */
export interface Handler {
  /** Answers a request. Never rejects. */
  fetch(request: Request): Promise<Response>;
  /**
   * From now on refuses new requests, ends held ones, and resolves when those under way are answered.
   *
   * @param options Its signal: once it aborts, a body that has not come whole is waited for no longer.
   */
  drain(options?: { signal?: AbortSignal }): Promise<void>;
}

type Run = (
  context: { request: Request; gateway: Gateway; caller: Caller; bodies: AbortSignal },
) => Promise<Result<Answer>>;

/** Without authentication everyone is themselves and an admin. */
const ANYONE: Caller = { sub: undefined };

const ROUTES: readonly { path: string; runs: { readonly [method: string]: Run } }[] = [
  {
    path: "/v1/sync/:gw/push",
    runs: {
      POST: async ({ request, gateway, caller, bodies }) => {
        const body = await readJson(request, { limit: gateway.limits.bodyBytes, signal: bodies });
        return body.ok ? answered(await gateway.push(body.value, caller)) : body;
      },
    },
  },
  {
    path: "/v1/sync/:gw/pull",
    runs: {
      GET: async ({ request, gateway, caller }) =>
        answered(
          await gateway.pull(new URL(request.url).searchParams, { caller, signal: request.signal }),
        ),
    },
  },
  {
    path: "/v1/sync/:gw/checkpoint",
    runs: {
      GET: async ({ request, gateway, caller }) => {
        const query = new URL(request.url).searchParams;
        const stream = await gateway.checkpoint(query, { caller, signal: request.signal });
        if (!stream.ok) return stream;
        return ok({ status: 200, type: "application/x-ndjson", body: stream.value.lines });
      },
    },
  },
  {
    path: "/v1/admin/:gw/flush",
    runs: { POST: async ({ gateway }) => answered(await gateway.flush()) },
  },
  {
    path: "/v1/admin/:gw/schema",
    runs: {
      GET: ({ gateway }) => Promise.resolve(ok(json({ tables: gateway.tables }))),
      PUT: async ({ request, gateway, bodies }) => {
        const body = await readJson(request, { limit: gateway.limits.bodyBytes, signal: bodies });
        if (!body.ok) return body;
        const tables = await gateway.putSchema(body.value);
        return tables.ok ? ok(json({ tables: tables.value })) : tables;
      },
    },
  },
  {
    path: "/v1/admin/:gw/stats",
    runs: { GET: async ({ gateway }) => answered(await gateway.stats()) },
  },
];

function answered(result: Result<unknown>): Result<Answer> {
  return result.ok ? ok(json(result.value)) : result;
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
  const { gateways, logger = silentLogger, random = systemRandom, allowOrigin = () => true } =
    options;
  const byId = new Map(gateways.map((gateway) => [gateway.id, gateway]));
  const underWay = new UnderWay();
  const streams = new AbortController();
  const bodies = new AbortController();
  let draining = false;
  const app = new Hono<{ Bindings: { requestId: string } }>();

  const serve = async (
    context: Context<{ Bindings: { requestId: string } }>,
    run: () => Promise<Result<Answer>>,
  ): Promise<Response> => {
    const request = context.req.raw;
    const { requestId } = context.env;
    const end = underWay.begin();
    let result: Result<Answer>;
    try {
      const origin = request.headers.get("origin");
      if (draining) result = err(shuttingDown());
      else if (origin !== null && !allowOrigin(origin)) result = err(foreignOrigin());
      else result = await run();
    } catch (thrown) {
      result = err(toLakeSyncError(thrown, "INTERNAL"));
    }
    const answer = result.ok ? result.value : errorAnswer(result.error, requestId);
    if (!result.ok && answer.status >= 500 && !draining) {
      logFailure(logger, result.error, requestId);
    }
    const onEnd = (failure?: unknown) => {
      end();
      if (failure !== undefined) {
        logFailure(logger, toLakeSyncError(failure, "INTERNAL"), requestId);
      }
    };
    return respond(answer, { request, requestId, ends: streams.signal, onEnd });
  };

  for (const { path, runs } of ROUTES) {
    for (const [method, run] of Object.entries(runs)) {
      app.on(method, path, (context) =>
        serve(context, async () => {
          const gateway = byId.get(context.req.param("gw") ?? "");
          if (gateway === undefined) return err(noSuchGateway());
          const request = context.req.raw;
          return await run({ request, gateway, caller: ANYONE, bodies: bodies.signal });
        }));
    }
    const allow = Object.keys(runs).join(", ");
    app.all(
      path,
      (context) => serve(context, () => Promise.resolve(ok(notAllowed(context, allow)))),
    );
  }
  app.get(
    "/health",
    (context) => serve(context, () => Promise.resolve(ok(json({ status: "ok" })))),
  );
  app.get("/ready", (context) =>
    serve(context, async () => {
      for (const gateway of gateways) {
        const ready = await gateway.ready();
        if (!ready.ok) return ready;
      }
      return ok(json({ status: "ready", gateways: gateways.map(({ id }) => id) }));
    }));
  for (const path of ["/health", "/ready"]) {
    app.all(
      path,
      (context) => serve(context, () => Promise.resolve(ok(notAllowed(context, "GET")))),
    );
  }
  app.notFound((context) => serve(context, () => Promise.resolve(err(noSuchRoute()))));

  return {
    async fetch(request) {
      const requestId = requestIdOf(request, random);
      try {
        return await app.fetch(request, { requestId });
      } catch (thrown) {
        // Nothing may end the process: what the routes did not catch is answered here.
        const error = toLakeSyncError(thrown, "INTERNAL");
        logFailure(logger, error, requestId);
        const answer = errorAnswer(error, requestId);
        return respond(answer, { request, requestId, ends: streams.signal, onEnd: () => {} });
      }
    },
    async drain(options = {}) {
      draining = true;
      const giveUp = () => bodies.abort(shuttingDown());
      if (options.signal?.aborted === true) giveUp();
      else options.signal?.addEventListener("abort", giveUp);
      for (const gateway of gateways) gateway.endStreams();
      streams.abort(shuttingDown());
      await underWay.none();
    },
  };
}

function notAllowed(context: Context<{ Bindings: { requestId: string } }>, allow: string): Answer {
  const error = new LakeSyncError(
    "METHOD_NOT_ALLOWED",
    `${context.req.method.slice(0, 16)} is not allowed here: use ${allow}`,
  );
  return { ...errorAnswer(error, context.env.requestId), headers: { allow } };
}

function noSuchGateway(): LakeSyncError {
  return new LakeSyncError("NOT_FOUND", "There is no gateway of that id here: check the path");
}

function noSuchRoute(): LakeSyncError {
  return new LakeSyncError("NOT_FOUND", "There is nothing at this path: see PROTOCOL, section 4");
}

function foreignOrigin(): LakeSyncError {
  return new LakeSyncError(
    "FORBIDDEN",
    "Pages of this origin may not use the gateway: serve the page from this machine",
  );
}

function shuttingDown(): LakeSyncError {
  return new LakeSyncError("SHUTTING_DOWN", "The gateway is shutting down: try again in a moment");
}

function requestIdOf(request: Request, random: Random): string {
  const given = request.headers.get("x-request-id");
  return given !== null && /^[\x20-\x7e]{1,128}$/.test(given) ? given : random.uuid();
}

function logFailure(logger: Logger, error: LakeSyncError, requestId: string): void {
  logger.log("error", "request.failed", {
    requestId,
    code: error.code,
    message: error.message,
    cause: error.cause instanceof Error ? error.cause.stack : undefined,
  });
}

/** Counts requests that are not yet answered. */
class UnderWay {
  #count = 0;
  #idle = Promise.withResolvers<void>();

  /** A request begins; call what is returned once it has ended. */
  begin(): () => void {
    this.#count++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#count--;
      if (this.#count > 0) return;
      this.#idle.resolve();
      this.#idle = Promise.withResolvers<void>();
    };
  }

  /** Resolves when none is under way. */
  none(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : this.#idle.promise;
  }
}
