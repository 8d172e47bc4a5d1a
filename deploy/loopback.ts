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
 * Whether no stranger can have made a name that a request asks for. A page that wants to reach this
 * machine has a name of its own resolve to it (DNS rebinding): such names have a dot. An address
 * resolves to nothing else, and a name without a dot is not to be had on the internet.
 *
 * @param host What its client sends as `Host`, with a port or without.
 * @returns Whether it is an address, `localhost` or a name without a dot.
 */
export function isLocalHost(host: string): boolean {
  const name = host.toLowerCase().replace(/:\d{1,5}$/, "");
  return /^\[[0-9a-f:.]+\]$/.test(name) || /^\d{1,3}(\.\d{1,3}){3}$/.test(name) ||
    /^[a-z0-9_-]+$/.test(name) || name.endsWith(".localhost");
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
