import type { Clock, Logger, Random, Scheduler } from "@lakesync/core";
import type { Auth } from "./auth.ts";
import type { Exposure } from "./http_operator.ts";
import type { HandlerLimits } from "./limits.ts";
import type { RateLimiter } from "./rate_limit.ts";
import type { GatewayService } from "./service.ts";
import type { WsUpgrade } from "./ws_upgrade.ts";

/** Options of `createHandler`. */
export interface HandlerOptions {
  /** The gateways that it serves, each under its id. */
  gateways: readonly GatewayService[];
  /**
   * Finds out who sends requests.
   *
   * @default {undefined} everyone is who they say, and an admin
   */
  auth?: Auth;
  /**
   * Where its log lines go.
   *
   * @default {silentLogger}
   */
  logger?: Logger;
  /**
   * The web pages of other origins that may send requests and read the answers (CORS), each by its
   * exact origin: `https://app.example.org`.
   *
   * @default {[]}
   */
  origins?: readonly string[];
  /**
   * Whether a web page of an origin that is not listed may send requests: a browser sends some
   * without asking first. Where there is no authentication, only pages of this machine should.
   *
   * @default {() => true}
   */
  allowOrigin?: (origin: string) => boolean;
  /**
   * Whether it goes by this name, the value of `Host` with its port. Where there is no
   * authentication, a name of elsewhere that resolves to this machine should be refused.
   *
   * @default {() => true}
   */
  allowHost?: (host: string) => boolean;
  /**
   * Whether callers reach it by HTTPS: then browsers are told to use nothing else.
   *
   * @default {false}
   */
  https?: boolean;
  /**
   * Who may read `/metrics`.
   *
   * @default {"admin"} without authentication everybody is one
   */
  metrics?: Exposure;
  /**
   * Who may read `/ready`.
   *
   * @default {"open"}
   */
  ready?: Exposure;
  /**
   * Where request ids come from.
   *
   * @default {systemRandom}
   */
  random?: Random;
  /**
   * Physical time: it tells when the token of a stream runs out.
   *
   * @default {systemClock}
   */
  clock?: Clock;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  scheduler?: Scheduler;
  /**
   * How often callers may ask on sync routes.
   *
   * @default {undefined} as often as they like
   */
  rateLimiter?: RateLimiter;
  /**
   * How much it has in hand at once, and how long it waits for its callers.
   *
   * @default {{}}
   */
  limits?: Partial<HandlerLimits>;
}

/** PROTOCOL's routes over web standards. */
export interface Handler {
  /** Answers a request. Never rejects. */
  fetch(request: Request): Promise<Response>;
  /**
   * Answers a request that asks for a WebSocket.
   *
   * @returns How to open it, or why that is refused.
   */
  upgrade(request: Request): Promise<WsUpgrade | Response>;
  /**
   * From now on refuses new requests, ends held ones and streams, and resolves when those under way are answered.
   *
   * @param options Its signal: once it aborts, a body that has not come whole is waited for no longer.
   */
  drain(options?: { signal?: AbortSignal }): Promise<void>;
}
