import type { Cors } from "./cors.ts";

/** The headers that every answer has, whatever it says: they tell browsers to make nothing of it. */

const ALWAYS: { readonly [name: string]: string } = {
  // Nothing here is a page, whatever a browser would take it for.
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Two years, as the lists that browsers ship with ask for. */
const HSTS = "max-age=63072000; includeSubDomains";

/**
 * The headers of a request's answer beside those that its content asks for.
 *
 * @param request The request.
 * @param options Which pages may read it, and whether it went over HTTPS.
 * @returns Their names and values.
 */
export function headersFor(
  request: Request,
  { cors, https }: { cors: Cors; https: boolean },
): { readonly [name: string]: string } {
  const shared = cors.headersFor(request);
  const isListed = "access-control-allow-origin" in shared;
  return {
    ...ALWAYS,
    "cross-origin-resource-policy": isListed ? "cross-origin" : "same-origin",
    ...(https && { "strict-transport-security": HSTS }),
    ...shared,
  };
}
