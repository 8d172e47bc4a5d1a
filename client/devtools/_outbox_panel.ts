import type { OwnDelta } from "../inspect.ts";
import { empty, fill, h, setText } from "./_dom.ts";
import { badge, bytesText, changesLine, plural, stampTag } from "./_format.ts";
import type { Panel, PanelContext } from "./_panel.ts";
import { VirtualList } from "./_virtual_list.ts";
import { fateText } from "./_why_text.ts";

/** So many are shown; the others wait behind them. */
const LIMIT = 10_000;

/** What the gateway has not acknowledged, in the order in which it is sent. */
export class OutboxPanel implements Panel {
  readonly element: HTMLElement;
  readonly #context: PanelContext;
  readonly #sum = h("span", {});
  readonly #none = h("div", {});
  readonly #list: VirtualList<OwnDelta>;
  #deltas: readonly OwnDelta[] = [];

  constructor(context: PanelContext) {
    this.#context = context;
    this.#list = new VirtualList<OwnDelta>({
      label: "Outbox",
      rowHeight: 42,
      load: (offset, limit) => Promise.resolve(this.#deltas.slice(offset, offset + limit)),
      key: ({ ord }) => String(ord),
      render: (own, row) => this.#render(own, row),
      chosen: ({ delta }) => context.openRow(delta.table, delta.rowId),
    });
    const sync = h("button", { onclick: () => void this.#sync() }, "Sync now");
    this.element = h(
      "div",
      { class: "stack" },
      h("div", { class: "bar" }, this.#sum, h("span", { class: "grow" }), sync),
      this.#none,
      this.#list.element,
    );
  }

  async refresh(): Promise<void> {
    const own = await this.#context.inspection.own({ pending: true, limit: LIMIT });
    if (!own.ok) return;
    this.#deltas = own.value;
    const bytes = own.value.reduce((sum, delta) => sum + delta.bytes, 0);
    const more = own.value.length === LIMIT ? " and more" : "";
    setText(this.#sum, `${plural(own.value.length, "delta")}${more}, ${bytesText(bytes)}`);
    fill(
      this.#none,
      own.value.length === 0 &&
        empty("Nothing waits", "The gateway has acknowledged all that was written here"),
    );
    this.#list.count = own.value.length;
    await this.#list.refresh();
  }

  close(): void {
    this.#list.close();
  }

  async #sync(): Promise<void> {
    const done = await this.#context.client.syncOnce();
    this.#context.say(done.ok ? "In step with the gateway" : done.error.message);
  }

  #render(own: OwnDelta, row: HTMLElement): void {
    const { delta, state, tries, bytes } = own;
    row.classList.add("event");
    row.append(
      badge(delta.op, delta.op.toLowerCase()),
      h(
        "span",
        { class: "what" },
        h("b", {}, `${delta.table} / ${delta.rowId}`),
        changesLine(delta.columns),
      ),
      h(
        "span",
        { class: "said" },
        badge(state, tries > 1 ? "bad" : "wait", fateText(own)),
        h("small", { class: "dim" }, tries > 1 ? `${tries} tries` : bytesText(bytes)),
        delta.txId !== undefined &&
          h("small", { class: "dim", title: `Transaction ${delta.txId}` }, "tx"),
        stampTag(delta, this.#context.client.clientId),
      ),
    );
  }
}
