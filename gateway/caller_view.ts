import { err, LakeSyncError, type LogStore, ok, type Result } from "@lakesync/core";
import { cursorFault } from "./cursor.ts";
import type { PageFilter } from "./page.ts";
import type { PastEffects } from "./past_effects.ts";
import { type PullParams, viewDigest } from "./pull.ts";
import type { RulesInForce, RulesRegistry } from "./rules_registry.ts";
import { RulesView } from "./rules_view.ts";

/** What one caller may see and asked for, for as long as the rules leave that as it is. */
export class CallerView {
  readonly #registry: RulesRegistry;
  readonly #params: PullParams;
  #inForce: RulesInForce | undefined;
  #rules: RulesView | undefined;

  private constructor(
    registry: RulesRegistry,
    params: PullParams,
    inForce: RulesInForce | undefined,
  ) {
    this.#registry = registry;
    this.#params = params;
    this.#inForce = inForce;
    this.#rules = inForce && RulesView.of(inForce, params.claims);
  }

  /** Puts a caller's claims into the rules of now. */
  static async open(registry: RulesRegistry, params: PullParams): Promise<Result<CallerView>> {
    const inForce = await registry.current();
    return inForce.ok ? ok(new CallerView(registry, params, inForce.value)) : inForce;
  }

  /** What cursors carry of it. */
  get digest(): string {
    return viewDigest(this.#params, this.#rules?.canonical);
  }

  /** What it may see by the rules; undefined where there are none. */
  get rules(): RulesView | undefined {
    return this.#rules;
  }

  /** Behind which seq the log's entries say all that this view looks at. */
  get since(): number {
    return this.#rules?.since ?? 0;
  }

  /**
   * The log as this view is to read it.
   *
   * @param after Where the caller stands.
   * @param context The log, and what its entries of before the rules did.
   * @returns The log; `CHECKPOINT_REQUIRED` where the caller cannot be told what has changed for it.
   */
  async log(
    after: number,
    context: { store: LogStore; past: PastEffects },
  ): Promise<Result<LogStore>> {
    const rules = this.#rules;
    if (rules === undefined || after >= rules.since) return ok(context.store);
    // What a join selected back then is not looked for.
    if (rules.joins().length > 0) return cursorFault("digest");
    const judged = await context.past.judgedBy(rules.inForce);
    if (!judged.ok) return judged;
    return judged.value === undefined ? cursorFault("digest") : ok(judged.value);
  }

  /** The tables that it asked for; undefined for all. */
  get tables(): ReadonlySet<string> | undefined {
    const { tables } = this.#params;
    return tables === undefined ? undefined : new Set(tables);
  }

  /**
   * What is read from the log for a caller that stands at a seq.
   *
   * @param after The seq.
   * @param rules Its rules, where they have joins the bound ones.
   * @returns The filter.
   */
  filter(after: number, rules: RulesView | undefined): PageFilter {
    const { tables } = this;
    const asked = { own: this.#params.own ? this.#params.clientId : undefined, tables };
    if (rules === undefined) return asked;
    return {
      ...asked,
      keys: rules.keys({ tables, after }),
      sees: (row, facts) => rules.sees(row, facts),
    };
  }

  /**
   * Looks whether other rules have come into force since it was opened or last looked.
   *
   * @returns Whether what was read meanwhile stands; if not, read it again. `CHECKPOINT_REQUIRED`
   * where the caller may now see something else.
   */
  async stands(): Promise<Result<boolean>> {
    const inForce = await this.#registry.current();
    if (!inForce.ok) return inForce;
    if (inForce.value === this.#inForce) return ok(true);
    const rules = inForce.value && RulesView.of(inForce.value, this.#params.claims);
    if (rules?.canonical !== this.#rules?.canonical) return cursorFault("digest");
    this.#inForce = inForce.value;
    this.#rules = rules;
    return ok(false);
  }
}

/** The answer where rules change while something is being made by them. */
export function rulesChanged(): Result<never> {
  return err(new LakeSyncError("BACKPRESSURE", "The rules have just changed: ask again"));
}
