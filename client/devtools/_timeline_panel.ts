import { unpackHlc } from "@lakesync/core";
import type { OwnDelta } from "../inspect.ts";
import { empty, fill, h, setText } from "./_dom.ts";
import { badge, changesLine, plural, stampTag, timeText } from "./_format.ts";
import type { Panel, PanelContext } from "./_panel.ts";
import type { ReceivedDelta } from "./_received.ts";
import { VirtualList } from "./_virtual_list.ts";
import { fateText } from "./_why_text.ts";

/** A line of the time line. */
type Entry =
  | { readonly at: number; readonly own: OwnDelta; readonly got?: never; readonly key: string }
  | {
    readonly at: number;
    readonly own?: never;
    readonly got: ReceivedDelta;
    readonly key: string;
  };

/** Which of them are shown. */
type Side = "all" | "own" | "received";

/** The newest own deltas. */
const OWN = 500;

/** The deltas that this device made and those that came, the newest first. */
export class TimelinePanel implements Panel {
  readonly element: HTMLElement;
  readonly #context: PanelContext;
  readonly #list: VirtualList<Entry>;
  readonly #none = h("div", {});
  readonly #sum = h("span", { class: "dim" });
  readonly #side: HTMLSelectElement;
  #entries: readonly Entry[] = [];

  constructor(context: PanelContext) {
    this.#context = context;
    this.#list = new VirtualList<Entry>({
      label: "Time line",
      rowHeight: 42,
      load: (offset, limit) => Promise.resolve(this.#entries.slice(offset, offset + limit)),
      key: ({ key }) => key,
      render: (entry, row) => this.#render(entry, row),
      chosen: ({ own, got }) => {
        if (own !== undefined) context.openRow(own.delta.table, own.delta.rowId);
        else if (got.rowId !== undefined) context.openRow(got.table, got.rowId);
      },
    });
    const sides: readonly (readonly [Side, string])[] = [
      ["all", "Own and received"],
      ["own", "Own"],
      ["received", "Received"],
    ];
    this.#side = h(
      "select",
      { "aria-label": "Which deltas", onchange: () => void this.refresh() },
      ...sides.map(([value, text]) => h("option", { value }, text)),
    );
    this.element = h(
      "div",
      { class: "stack" },
      h("div", { class: "bar" }, this.#side, this.#sum),
      this.#none,
      this.#list.element,
    );
  }

  async refresh(): Promise<void> {
    const { inspection, received } = this.#context;
    await received.catchUp();
    const own = await inspection.own({ limit: OWN });
    const side = this.#side.value as Side;
    const mine = side === "received" || !own.ok ? [] : own.value.map((delta): Entry => ({
      at: unpackHlc(delta.delta.hlc).wallMs,
      own: delta,
      key: delta.delta.deltaId,
    }));
    const got = side === "own" ? [] : received.entries.items.map((delta, i): Entry => ({
      at: delta.at,
      got: delta,
      key: String(received.entries.added - received.entries.items.length + i),
    }));
    this.#entries = [...mine, ...got].sort((a, b) => b.at - a.at);
    setText(this.#sum, plural(this.#entries.length, "delta"));
    fill(
      this.#none,
      this.#entries.length === 0 &&
        empty(
          "Nothing yet",
          "Own deltas of the last days, and what comes while this is in the page",
        ),
    );
    this.#list.count = this.#entries.length;
    await this.#list.refresh();
  }

  close(): void {
    this.#list.close();
  }

  #render(entry: Entry, row: HTMLElement): void {
    row.classList.add("event");
    const time = h("time", { class: "dim" }, timeText(entry.at));
    const { clientId } = this.#context.client;
    if (entry.own !== undefined) {
      const { delta, state } = entry.own;
      row.append(
        h("span", { class: "way own", title: "Made on this device" }, "↑"),
        time,
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
          badge(state, state === "settled" ? "good" : "wait", fateText(entry.own)),
          stampTag(delta, clientId),
        ),
      );
      return;
    }
    const { table, rowId, kind, began, stamp, columns } = entry.got;
    const op = kind === "set" ? began ? "INSERT" : "UPDATE" : kind === "gone" ? "GONE" : "MANY";
    const says = kind === "many"
      ? h("span", { class: "changes" }, "any number of rows: a checkpoint, or another tab leads")
      : kind === "gone"
      ? h("span", { class: "changes" }, "deleted, or not visible any more")
      : changesLine(columns);
    row.append(
      h("span", { class: "way got", title: "Received" }, "↓"),
      time,
      badge(op, op.toLowerCase()),
      h(
        "span",
        { class: "what" },
        h("b", {}, rowId === undefined ? table : `${table} / ${rowId}`),
        says,
      ),
      h("span", { class: "said" }, stamp !== undefined && stampTag(stamp, clientId)),
    );
  }
}
