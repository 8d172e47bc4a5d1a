import { err, ok, type Result, type Scheduler, systemScheduler } from "@lakesync/core";
import { Admission } from "./admission.ts";
import type { Caller } from "./caller.ts";
import type { GatewayService } from "./service.ts";
import type { Answer, RespondContext } from "./http_answer.ts";
import type { RouteContext } from "./http_routes.ts";
import { DEFAULT_HANDLER_LIMITS, type HandlerLimits } from "./limits.ts";
import { rateLimited, type RateLimiter } from "./rate_limit.ts";
import { withTimeLimit } from "./time_limit.ts";

/** An answer above so many characters or bytes is counted, and watched as it goes out. */
const LARGE = 256 * 1024;

/** What a handler's requests are held to. */
export interface RequestLimitsOptions {
  /**
   * What differs from the defaults.
   *
   * @default {{}}
   */
  readonly limits?: Partial<HandlerLimits>;
  /**
   * How often callers may ask.
   *
   * @default {undefined} as often as they like
   */
  readonly rateLimiter?: RateLimiter;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  readonly scheduler?: Scheduler;
  /**
   * How many gateways there are. Where there are several, one may take half of what there is.
   *
   * @default {1}
   */
  readonly gateways?: number;
}

/** A request whose gateway and caller are known. */
export interface AskedRequest {
  /** The request. */
  readonly request: Request;
  /** Its query. */
  readonly query: URLSearchParams;
  /** The gateway that it names. */
  readonly gateway: GatewayService;
  /** Who sent it. */
  readonly caller: Caller;
  /** Whether it is an operator's. */
  readonly admin: boolean;
  /** Ends the reading of its body, with its reason. */
  readonly bodies: AbortSignal;
}

/** What a route has of the limits. */
export type Limited = Pick<RouteContext, "signal" | "bodies" | "takeTurn">;

/** Holds requests to what a handler takes: how often, how much at once, and for how long. */
export class RequestLimits {
  readonly #rateLimiter: RateLimiter | undefined;
  readonly #scheduler: Scheduler;
  readonly #limits: HandlerLimits;
  readonly #bodies: Admission;
  readonly #answers: Admission;

  constructor(options: RequestLimitsOptions = {}) {
    const { limits, rateLimiter, scheduler = systemScheduler, gateways = 1 } = options;
    this.#rateLimiter = rateLimiter;
    this.#scheduler = scheduler;
    this.#limits = { ...DEFAULT_HANDLER_LIMITS, ...limits };
    const share = gateways > 1 ? 1 / 2 : 1;
    this.#bodies = new Admission({ bytes: this.#limits.bodiesBytes, share });
    this.#answers = new Admission({ bytes: this.#limits.answersBytes, share });
  }

  /** How answers are sent. */
  get sending(): Pick<RespondContext, "idleMs" | "scheduler"> {
    return { idleMs: this.#limits.idleReaderMs, scheduler: this.#scheduler };
  }

  /** What the bytes of bodies and messages are taken from. */
  get bodies(): Admission {
    return this.#bodies;
  }

  /**
   * Tells whether it is a client's turn.
   *
   * @param gateway The gateway's id.
   * @param client The authenticated subject, or else the clientId.
   * @returns `RATE_LIMITED` where it is not.
   */
  async takeTurn(gateway: string, client: string): Promise<Result<void>> {
    const retryAfterMs = await this.#rateLimiter?.take({ gateway, client });
    return retryAfterMs === undefined ? ok(undefined) : err(rateLimited(retryAfterMs));
  }

  /**
   * Runs a route within the limits.
   *
   * @param asked What is asked, and by whom.
   * @param run The route.
   * @returns Its answer, or why there is none.
   */
  async run(
    asked: AskedRequest,
    run: (limited: Limited) => Promise<Result<Answer>>,
  ): Promise<Result<Answer>> {
    const { request, query, gateway, caller, admin, bodies } = asked;
    const takeTurn = (client: string) => this.takeTurn(gateway.id, client);
    const client = caller.sub ?? query.get("clientId");
    // Operators always have their turn: they are needed most when there is trouble.
    if (client !== null && !admin) {
      const turn = await takeTurn(client);
      if (!turn.ok) return turn;
    }
    const scheduler = this.#scheduler;
    const { bodyMs, requestMs } = this.#limits;
    const held = 1000 * Math.min(Number(query.get("wait")) || 0, gateway.limits.maxWaitSeconds);
    const ms = requestMs + Math.max(0, held);
    const message = `The gateway did not come to an answer within ${ms} ms: ask again`;
    const answer = await withTimeLimit(async (over) => {
      const admitted = this.#bodies.begin(gateway.id);
      try {
        const answer = await run({
          takeTurn,
          signal: AbortSignal.any([request.signal, over]),
          bodies: { signal: bodies, ms: bodyMs, scheduler, admitted },
        });
        if (over.aborted && answer.ok) await letGo(answer.value);
        return answer;
      } finally {
        // Also of what was answered in time to its caller, but goes on.
        admitted.end();
      }
    }, { ms, scheduler, message });
    return answer.ok ? this.#counted(answer.value, gateway) : answer;
  }

  /** Counts a large answer until it has gone out. */
  #counted(answer: Answer, gateway: GatewayService): Result<Answer> {
    const { body } = answer;
    if (typeof body !== "string" && !(body instanceof Uint8Array)) return ok(answer);
    if (body.length <= LARGE) return ok(answer);
    const sending = this.#answers.begin(gateway.id);
    const refused = sending.take(body.length);
    return refused === undefined ? ok({ ...answer, onSent: sending.end }) : err(refused);
  }
}

/** Lets go of an answer that came too late for its caller. */
async function letGo({ body, gzip }: Answer): Promise<void> {
  if (typeof body === "string" || body instanceof Uint8Array) return;
  await (gzip ?? body).return(undefined);
}
