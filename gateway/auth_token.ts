/** What the token stands behind among a WebSocket's subprotocols. */
const BEARER = "bearer.";

/**
 * The token that a request carries: as a header, for WebSockets also among the subprotocols.
 *
 * @param request The request.
 * @param options Whether it may also stand in the URL.
 * @returns The token as it was sent; undefined where there is none.
 */
export function tokenOf(request: Request, options: { query: boolean }): string | undefined {
  const { headers } = request;
  const authorization = headers.get("authorization");
  if (authorization !== null) return /^Bearer +([^\s,]+) *$/i.exec(authorization)?.[1];
  const offered = headers.get("sec-websocket-protocol")?.split(",").map((item) => item.trim());
  const bearer = offered?.find((item) => item.startsWith(BEARER));
  if (bearer !== undefined) return bearer.slice(BEARER.length);
  if (!options.query) return undefined;
  return new URL(request.url).searchParams.get("access_token") ?? undefined;
}
