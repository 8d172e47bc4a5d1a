import { useCallback, useSyncExternalStore } from "react";
import type { ClientStatus } from "../status.ts";
import { useLakeSync } from "./provider.tsx";
import { NO_STATUS } from "./_server_client.ts";

/**
 * Shows what the client is doing about sync, and follows it: whether it is online, how many changes
 * wait, what stands in the way.
 *
 * @returns The status; another object after each change. While a server renders, and in a browser's
 * first render of such a page, nothing is known: `idle`, with nothing in the outbox.
 *
 * @example Say that changes wait
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { LakeSyncProvider, useSyncStatus } from "@lakesync/client/react";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import { createElement } from "react";
 * import { renderToString } from "react-dom/server";
 *
 * const tables = [defineTable("todos", { title: string() })];
 * const client = unwrapOrThrow(await createClient({ tables, database: ":memory:" }));
 *
 * function Waiting() {
 *   const { outbox } = useSyncStatus();
 *   return createElement("p", null, outbox === 0 ? "All sent" : `${outbox} to be sent`);
 * }
 * const page = createElement(LakeSyncProvider, { client }, createElement(Waiting));
 * assertEquals(renderToString(page), "<p>All sent</p>");
 * await client.close();
 * ```
 */
export function useSyncStatus(): ClientStatus {
  const client = useLakeSync();
  const subscribe = useCallback((listener: () => void) => client.on("status", listener), [client]);
  return useSyncExternalStore(subscribe, () => client.status, () => NO_STATUS);
}
