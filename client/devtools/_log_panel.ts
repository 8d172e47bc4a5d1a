import { empty, fill, h } from "./_dom.ts";
import { badge, timeText } from "./_format.ts";
import type { Panel, PanelContext } from "./_panel.ts";
import type { SyncLogEntry } from "./_sync_log.ts";

/** What sync has done since the devtools were put into the page, the newest first. */
export class LogPanel implements Panel {
  readonly element: HTMLElement;
  readonly #context: PanelContext;
  readonly #lines = h("ol", { class: "log", "aria-label": "Sync log", tabindex: "0" });
  #drawn = -1;

  constructor(context: PanelContext) {
    this.#context = context;
    const { client, log } = context;
    const sync = async (): Promise<void> => {
      await client.syncOnce();
    };
    const clear = (): void => {
      log.entries.clear();
      void this.refresh();
    };
    this.element = h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "bar" },
        h("span", { class: "dim" }, "Since this is in the page"),
        h("span", { class: "grow" }),
        h("button", { onclick: () => void sync() }, "Sync now"),
        h("button", { onclick: clear }, "Clear"),
      ),
      this.#lines,
    );
  }

  refresh(): Promise<void> {
    const { entries } = this.#context.log;
    if (entries.added !== this.#drawn) {
      this.#drawn = entries.added;
      fill(
        this.#lines,
        entries.items.length === 0 && empty("Quiet", "Each sync leaves a line here"),
        ...entries.items.map(line).reverse(),
      );
    }
    return Promise.resolve();
  }

  close(): void {}
}

const TONES: Readonly<Record<SyncLogEntry["kind"], string>> = {
  checkpoint: "insert",
  pull: "update",
  push: "good",
  sync: "plain",
  rejected: "bad",
  error: "bad",
  status: "wait",
};

function line({ at, kind, text, code, times }: SyncLogEntry): HTMLElement {
  return h(
    "li",
    { class: kind },
    h("time", { class: "dim" }, timeText(at)),
    badge(kind, TONES[kind]),
    h("span", {}, code !== undefined && h("b", {}, `${code} `), text),
    times > 1 && h("span", { class: "times" }, `×${times}`),
  );
}
