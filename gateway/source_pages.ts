import type { LogStore, Result, Source } from "@lakesync/core";
import type { Caller } from "./caller.ts";
import { CallerView } from "./caller_view.ts";
import { bindRules } from "./joined_page.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Memberships } from "./memberships.ts";
import type { PageAnswer } from "./page_source.ts";
import { noSuchSource, parsePull } from "./pull.ts";
import type { RulesRegistry } from "./rules_registry.ts";
import type { SchemaRegistry } from "./schema_registry.ts";
import { pullSource, sourceDigest } from "./source_pull.ts";

/** What sources are read by. */
export interface SourcePagesParts {
  /** The log, whose clock and rules hold. */
  readonly store: LogStore;
  /** The tables. */
  readonly schema: SchemaRegistry;
  /** The rules. */
  readonly rules: RulesRegistry;
  /** What rules find in other tables. */
  readonly memberships: Memberships;
  /** The limits. */
  readonly limits: GatewayLimits;
  /** Aborted when streams are to end. */
  readonly closing: AbortSignal;
}

/** Pages of sources, which callers read by name past the log. */
export class SourcePages {
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #parts: SourcePagesParts;

  constructor(sources: readonly Source[], parts: SourcePagesParts) {
    this.#sources = new Map(sources.map((source) => [source.name, source]));
    this.#parts = parts;
  }

  /**
   * Answers a pull from a source.
   *
   * @param name The source's name.
   * @param query The URL's query.
   * @param context Who asks, and the request's signal.
   * @returns The page, rules applied; `NOT_FOUND` where there is no such source.
   */
  async pull(
    name: string,
    query: URLSearchParams,
    context: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<PageAnswer>> {
    const { store, limits, closing, memberships } = this.#parts;
    const source = this.#sources.get(name);
    if (source === undefined) return noSuchSource();
    const pull = new URLSearchParams(query);
    pull.delete("source");
    const params = parsePull(pull, { caller: context.caller, limits });
    if (!params.ok) return params;
    const view = await CallerView.open(this.#parts.rules, params.value);
    if (!view.ok) return view;
    const head = await store.head();
    if (!head.ok) return head;
    const rules = await bindRules(view.value.rules, head.value.seq, memberships);
    if (!rules.ok) return rules;
    const schema = await this.#parts.schema.current();
    if (!schema.ok) return schema;
    const ends = [closing, ...(context.signal === undefined ? [] : [context.signal])];
    const page = await pullSource(source, {
      params: params.value,
      digest: sourceDigest(name, view.value.digest),
      rules: rules.value,
      tables: schema.value.index,
      store,
      maxBytes: limits.pageBytes,
      signal: AbortSignal.any(ends),
    });
    // Looked at afterwards, as for pages of the log.
    const stands = page.ok ? await view.value.stands() : page;
    return stands.ok ? page : stands;
  }
}
