import type { PageItem, PullAnswer } from "@lakesync/core";
import type { PageAnswer } from "./page_source.ts";

/**
 * A page as JSON.
 *
 * @param page The page.
 * @param head Fields to put before its own, as text that ends with a comma.
 * @returns The text of a `PullAnswer`.
 *
 * @example An empty page
 * ```ts
 * import { pageToJson } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const page = { items: [], cursor: "c", seq: 0, hasMore: false, serverHlc: "1" };
 * assertEquals(JSON.parse(pageToJson(page)).deltas, []);
 * ```
 */
export function pageToJson(page: PageAnswer, head = ""): string {
  const { items, cursor, seq, hasMore, serverHlc, schema, head: logHead } = page;
  const news = schema === undefined ? "" : `,"schema":${JSON.stringify(schema)}`;
  const end = logHead === undefined ? "" : `,"head":${JSON.stringify(logHead)}`;
  return `{${head}"deltas":[${items.join(",")}],"cursor":"${cursor}","seq":${
    JSON.stringify(seq)
  },` +
    `"hasMore":${hasMore},"serverHlc":"${serverHlc}"${news}${end}}`;
}

/**
 * A page as an object.
 *
 * @param page The page.
 * @returns The `PullAnswer`.
 *
 * @example Pull in process
 * ```ts
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { createGateway, memoryLogStore, pageToAnswer } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const gateway = unwrapOrThrow(await createGateway({ id: "default", store: memoryLogStore() }));
 * const query = new URLSearchParams({ clientId: "bob" });
 * const page = await gateway.pull(query, { caller: { sub: undefined } });
 * assertEquals(pageToAnswer(unwrapOrThrow(page)).deltas, []);
 * await gateway.close();
 * ```
 */
export function pageToAnswer(page: PageAnswer): PullAnswer {
  const { items, ...rest } = page;
  return { ...rest, deltas: items.map((item) => JSON.parse(item) as PageItem) };
}
