import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { err, LakeSyncError, type Logger, ok, type Result, toLakeSyncError } from "@lakesync/core";
import type { Handler } from "@lakesync/gateway";

/**
 * Answers requests for web pages that a server has beside its gateways. Undefined leaves a request to
 * the gateways; what is below `/v1/` always goes there.
 */
export type Pages = (request: Request) => Promise<Response | undefined>;

/** A gateway's routes, and pages beside them. */
export function withPages(handler: Handler, pages: Pages, logger: Logger): Handler {
  return {
    upgrade: (request) => handler.upgrade(request),
    drain: (options) => handler.drain(options),
    async fetch(request) {
      const { url } = request;
      if (url.startsWith("/v1/", url.indexOf("/", "https://".length))) {
        return await handler.fetch(request);
      }
      try {
        return await pages(request) ?? await handler.fetch(request);
      } catch (thrown) {
        const { code, message } = toLakeSyncError(thrown, "INTERNAL");
        logger.log("error", "page.failed", { url, code, message });
        return new Response("The page cannot be made: see the server's log", { status: 500 });
      }
    },
  };
}

/**
 * Loads a module whose default export answers for pages.
 *
 * @param path The module's file.
 * @returns Its pages; `VALIDATION_ERROR` where it has none.
 */
export async function loadPages(path: string): Promise<Result<Pages>> {
  let loaded: { default?: unknown };
  try {
    loaded = await import(pathToFileURL(resolve(path)).href);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return invalid(`Cannot load "${path}": ${reason}`, cause);
  }
  if (typeof loaded.default === "function") return ok(loaded.default as Pages);
  return invalid(`${path}: its default export is no function (request) => Promise<Response>`);
}

function invalid(message: string, cause?: unknown): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message, { cause }));
}
