import type { JsonValue } from "@lakesync/core";
import type { RowFacts } from "../inspect.ts";
import { type Child, fill, focusIn, h } from "./_dom.ts";
import {
  type Claim,
  explainCell,
  type Explanation,
  type Judged,
  type PastClaim,
} from "./explain.ts";
import { badge, momentText, stampTag } from "./_format.ts";
import type { PanelContext } from "./_panel.ts";
import { fateText, lifeText, lossText, pastText, ruleText, whereFrom } from "./_why_text.ts";

/** One row: its life, each cell with its stamp, and why the cell has its value. */
export class RowDetail {
  readonly element: HTMLElement = h("section", {
    class: "detail",
    "aria-label": "Row",
    hidden: "",
    onkeydown: (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#close();
    },
  });
  readonly #context: PanelContext;
  readonly #closed: () => void;
  #row: { readonly table: string; readonly id: string } | undefined;
  #drawn = "";
  readonly #open: Set<string> = new Set();

  /** @param closed Told when the person has closed it. */
  constructor(context: PanelContext, closed: () => void) {
    this.#context = context;
    this.#closed = closed;
  }

  async show(table: string, id: string): Promise<void> {
    this.#row = { table, id };
    this.#drawn = "";
    await this.refresh();
  }

  hide(): void {
    this.#row = undefined;
    this.element.hidden = true;
  }

  async refresh(): Promise<void> {
    const row = this.#row;
    if (row === undefined) return;
    const { inspection } = this.#context;
    const facts = await inspection.rows(row.table, { ids: [row.id], history: true });
    if (row !== this.#row) return;
    if (!facts.ok) return fill(this.element, facts.error.message);
    const [known] = facts.value;
    this.#context.received.remember(row.table, [known!]);
    const text = JSON.stringify(known, (_, v) => v instanceof Map ? [...v] : v);
    if (text === this.#drawn) return;
    this.#drawn = text;
    this.element.hidden = false;
    const focused = focusIn(this.element)?.closest("[data-column]")?.getAttribute("data-column");
    this.#draw(row.table, known!);
    if (focused === undefined || focused === null) return;
    const cell = [...this.element.children].find((of) =>
      of.getAttribute("data-column") === focused
    );
    cell?.querySelector("summary")?.focus({ preventScroll: true });
  }

  #close(): void {
    this.hide();
    this.#closed();
  }

  #draw(table: string, facts: RowFacts): void {
    const schema = this.#context.inspection.schemas.find((known) => known.table === table)!;
    const declared = schema.columns.map(({ name }) => name);
    const more = [...facts.base?.columns.keys() ?? []].filter((name) => !declared.includes(name));
    const { life, lifeRule, visible } = explainCell(facts, "");
    const { clientId } = this.#context.client;
    fill(
      this.element,
      h(
        "header",
        {},
        h("div", {}, h("small", { class: "dim" }, table), h("h3", {}, facts.id)),
        h("button", {
          class: "icon",
          title: "Close (Escape)",
          "aria-label": "Close the row",
          onclick: () => this.#close(),
        }, "✕"),
      ),
      h(
        "p",
        { class: "life" },
        badge(visible ? "alive" : "no row", visible ? "good" : "bad"),
        life !== undefined && stampTag(life, clientId),
        h("span", { class: "dim" }, lifeText(lifeRule, life)),
      ),
      ...[...declared, ...more].map((column) => this.#cell(facts, column)),
    );
  }

  #cell(facts: RowFacts, column: string): HTMLElement {
    const why = explainCell(facts, column);
    const { clientId } = this.#context.client;
    const winner = why.claims.find(({ outcome, claim }) =>
      outcome === "won" && claim.value !== undefined
    )?.claim;
    const rivals = why.claims.length + why.past.length > 1;
    const details = h(
      "details",
      {
        "data-column": column,
        ontoggle: () => {
          if (details.open) this.#open.add(column);
          else this.#open.delete(column);
        },
      },
      h(
        "summary",
        {},
        h("span", { class: "column" }, column),
        valueTag(why.value),
        h(
          "span",
          { class: "said" },
          winner !== undefined && stampTag(winner, clientId),
          winner?.from === "device" && winner.own !== undefined &&
            badge(winner.own.state, "wait", fateText(winner.own)),
          rivals && badge(`${why.claims.length + why.past.length}`, "plain", "What was said of it"),
        ),
      ),
      this.#why(why),
    );
    details.open = this.#open.has(column);
    return details;
  }

  #why(why: Explanation): HTMLElement {
    return h(
      "div",
      { class: "why" },
      h("p", {}, ruleText(why)),
      h(
        "ol",
        {},
        ...why.claims.map((judged) => this.#claim(judged)),
        ...why.past.map((past) => this.#past(past)),
      ),
    );
  }

  #claim({ claim, outcome, rule }: Judged): HTMLElement {
    const { clientId } = this.#context.client;
    return h(
      "li",
      { class: outcome },
      h("div", {}, ...saidTags(claim), stampTag(claim, clientId)),
      h(
        "small",
        {},
        `${whereFrom(claim)}. ${lossText({ claim, outcome, rule })}`,
      ),
    );
  }

  #past(past: PastClaim): HTMLElement {
    const { clientId } = this.#context.client;
    const { op, hlc, clientId: by } = "settled" in past ? past.settled.delta : past.rejected.delta;
    return h(
      "li",
      { class: "past" },
      h(
        "div",
        {},
        badge(op, op.toLowerCase()),
        past.value !== undefined && valueTag(past.value),
        stampTag({ hlc, clientId: by }, clientId),
      ),
      h("small", {}, pastText(past, momentText)),
    );
  }
}

function saidTags({ alive, value, own }: Claim): Child[] {
  const op = own?.delta.op ?? (alive === true ? "row made" : undefined);
  return [
    op !== undefined && badge(op, (own?.delta.op ?? "insert").toLowerCase()),
    value !== undefined && valueTag(value),
  ];
}

function valueTag(value: JsonValue): HTMLElement {
  return h("code", { class: value === null ? "value null" : "value" }, JSON.stringify(value));
}
