/** Whether this is a page of a browser: a worker opens its databases. */
export function isPage(): boolean {
  return "document" in globalThis && !("Deno" in globalThis) && typeof Worker === "function";
}
