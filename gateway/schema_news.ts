import { createHash } from "node:crypto";
import {
  indexTables,
  type LearnedSchema,
  ok,
  resolveRules,
  type Result,
  type TableSchema,
} from "@lakesync/core";
import { type Caller, claimsOf } from "./caller.ts";
import type { NextPageOptions, PageAnswer } from "./page_source.ts";
import type { GatewayService, Pages } from "./service.ts";

/** What {@linkcode SchemaNews} asks. */
type Service = Pick<GatewayService, "schema" | "rules">;

/**
 * Tells a caller the tables with its next page, where they have become others than those that it has
 * learned. Who does not ask for that (`schema`) is told nothing.
 */
export class SchemaNews {
  readonly #service: Service;
  readonly #query: URLSearchParams;
  readonly #caller: Caller;
  #tag: string | undefined;

  /**
   * @param service The gateway.
   * @param query What the caller pulls with.
   * @param caller Who asks.
   */
  constructor(service: Service, query: URLSearchParams, caller: Caller) {
    this.#service = service;
    this.#query = query;
    this.#caller = caller;
    this.#tag = query.has("source") ? undefined : query.get("schema") ?? undefined;
  }

  /**
   * A page with the news, where there are any. The tables are looked at after the page was read: it has
   * no column that they do not have.
   */
  async with(page: PageAnswer): Promise<PageAnswer> {
    const schema = this.#tag === undefined ? undefined : await this.#news(this.#tag);
    if (schema === undefined) return page;
    this.#tag = schema.tag;
    return { ...page, schema };
  }

  async #news(known: string): Promise<LearnedSchema | undefined> {
    const tables = await this.#service.schema();
    // They are told another time: the page itself is well.
    if (!tables.ok) return undefined;
    const tag = tagOf(tables.value);
    if (tag === known) return undefined;
    const rules = await this.#service.rules();
    if (!rules.ok) return undefined;
    const asked = this.#query.get("tables")?.split(",").filter((name) => name !== "") ?? [];
    const claims = claimsOf(this.#caller, this.#query.get("clientId") ?? "");
    const visible = rules.value === undefined
      ? undefined
      : resolveRules(rules.value.buckets, { claims, tables: indexTables(tables.value) }).tables;
    const told = tables.value.filter(({ table }) =>
      (asked.length === 0 || asked.includes(table)) && visible?.has(table) !== false
    );
    return { tag, tables: told };
  }
}

/**
 * Pages with the news of their caller.
 *
 * @param pages The pages.
 * @param news What tells it.
 * @returns The same pages, of which one or another has `schema`.
 */
export function pagesWithNews(pages: Pages, news: SchemaNews): Pages {
  return {
    get closing(): boolean {
      return pages.closing;
    },
    async next(options?: NextPageOptions): Promise<Result<PageAnswer>> {
      const page = await pages.next(options);
      return page.ok ? ok(await news.with(page.value)) : page;
    },
  };
}

/** Tags that were made: a gateway gives out the same list until its tables change. */
const tags: WeakMap<readonly TableSchema[], string> = new WeakMap();

function tagOf(tables: readonly TableSchema[]): string {
  let tag = tags.get(tables);
  if (tag === undefined) {
    tag = createHash("sha256").update(JSON.stringify(tables)).digest("hex").slice(0, 16);
    tags.set(tables, tag);
  }
  return tag;
}
