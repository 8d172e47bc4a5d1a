/** What is on this machine: without authentication a gateway serves nobody else. */

/**
 * Whether a host is this machine.
 *
 * @param host A name or an address, without brackets.
 * @returns Whether it is a loopback address or `localhost`.
 */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Whether a web page comes from this machine.
 *
 * @param origin What its browser sends as `Origin`; `"null"` for a page without one.
 * @returns Whether its host is this machine.
 */
export function isLoopbackOrigin(origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  return isLoopback(new URL(origin).hostname.replace(/^\[|\]$/g, ""));
}
