import type { Answer } from "./http_answer.ts";

/** What pages may send beside what every page may. */
const ALLOWED_HEADERS = [
  "authorization",
  "content-encoding",
  "content-type",
  "if-none-match",
  "last-event-id",
  "x-request-id",
].join(", ");

/** What pages may read beside what every page may. */
const EXPOSED_HEADERS = "etag, retry-after, x-checkpoint-rows, x-request-id";

const ALLOWED_METHODS = "GET, HEAD, POST, PUT, DELETE";

/** How long a browser may keep a preflight's answer, in seconds; Chromium keeps none for longer. */
const MAX_AGE = "7200";

/**
 * Tells whether a text is an origin as browsers send it.
 *
 * @param text The text.
 * @returns Whether it is a scheme, a host and perhaps a port, in the one form that compares equal:
 * `https://app.example.org`. `"*"` and `"null"` are none.
 *
 * @example A URL is no origin
 * ```ts
 * import { isOrigin } from "@lakesync/gateway";
 * import { assert } from "@std/assert";
 *
 * assert(isOrigin("https://app.example.org"));
 * assert(!isOrigin("https://app.example.org/"));
 * ```
 */
export function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, host, origin } = new URL(text);
  // Web views of apps have schemes of their own, which URL gives no origin.
  return host !== "" && text === (origin === "null" ? `${protocol}//${host}` : origin);
}

/**
 * Which web pages of other origins may send requests and read their answers (Fetch standard, CORS).
 * A page that is not listed gets no header of it, so that its browser shows it nothing.
 */
export class Cors {
  readonly #origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    const strange = origins.find((origin) => !isOrigin(origin));
    if (strange !== undefined) {
      throw new TypeError(
        `Cannot let in pages of "${strange}": write their exact origin, https://app.example.org`,
      );
    }
    this.#origins = new Set(origins);
  }

  /** Whether pages of an origin are let in. */
  allows(origin: string): boolean {
    return this.#origins.has(origin);
  }

  /**
   * The headers for an answer.
   *
   * @param request The request.
   * @returns What allows its page to read the answer, where that is listed. Where any is, caches are
   * told that answers differ.
   */
  headersFor(request: Request): { readonly [name: string]: string } {
    if (this.#origins.size === 0) return {};
    const origin = request.headers.get("origin");
    if (origin === null || !this.allows(origin)) return { vary: "origin" };
    return {
      "access-control-allow-origin": origin,
      "access-control-expose-headers": EXPOSED_HEADERS,
      vary: "origin",
    };
  }

  /**
   * Answers a preflight.
   *
   * @param request The request.
   * @returns What a page may send; undefined where it is no preflight or its page is not listed.
   */
  preflight(request: Request): Answer | undefined {
    const { method, headers } = request;
    if (method !== "OPTIONS" || !headers.has("access-control-request-method")) return undefined;
    if (!this.allows(headers.get("origin") ?? "")) return undefined;
    return {
      status: 204,
      type: "application/json",
      body: "",
      headers: {
        "access-control-allow-headers": ALLOWED_HEADERS,
        "access-control-allow-methods": ALLOWED_METHODS,
        "access-control-max-age": MAX_AGE,
      },
    };
  }
}
