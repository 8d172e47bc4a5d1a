import type { InspectedClient } from "../inspect.ts";
import type { ClientStatus } from "../status.ts";
import { fill, h, setText } from "./_dom.ts";
import { countText } from "./_format.ts";

/** The things that are shown, by their names and titles. */
export const TABS = [
  ["data", "Data"],
  ["outbox", "Outbox"],
  ["rejected", "Rejected"],
  ["timeline", "Time line"],
  ["log", "Sync log"],
  ["storage", "Storage"],
] as const;

/** One of them. */
export type TabName = (typeof TABS)[number][0];

/** What a {@linkcode Dock} works with. */
export interface DockOptions {
  readonly client: InspectedClient;
  /** Told that the person wants it open or closed. */
  readonly asked: (open: boolean) => void;
}

const MIN_HEIGHT = 160;
const STEP = 32;

/** What is around the panels: the button in the corner, the edge to pull at, the tabs, the status. */
export class Dock {
  readonly element: HTMLElement;
  /** Told which tab the person has picked. */
  picked: (tab: TabName) => void = () => {};
  readonly #options: DockOptions;
  readonly #launcher: HTMLButtonElement;
  readonly #section: HTMLElement;
  readonly #edge: HTMLElement;
  readonly #tabs: Map<TabName, { button: HTMLButtonElement; count: HTMLElement }> = new Map();
  readonly #body = h("div", { class: "body", role: "tabpanel" });
  readonly #said = h("div", { class: "said-to", role: "status" });
  readonly #launcherText = h("span", {});
  readonly #state = h("span", { class: "state" });
  readonly #pause = h("button", { onclick: () => this.#pauseOrResume() });
  #tab: TabName = "data";

  constructor(options: DockOptions) {
    this.#options = options;
    const { asked } = options;
    this.#launcher = h(
      "button",
      { class: "launcher", onclick: () => asked(true), "aria-label": "Open LakeSync devtools" },
      h("i", { class: "dot" }),
      this.#launcherText,
    );
    this.#edge = h("div", {
      class: "edge",
      role: "separator",
      tabindex: "0",
      "aria-orientation": "horizontal",
      "aria-label": "Height of the devtools",
      onpointerdown: (event: PointerEvent) => this.#edge.setPointerCapture(event.pointerId),
      onpointermove: (event: PointerEvent) => {
        if (this.#edge.hasPointerCapture(event.pointerId)) {
          this.#resize(innerHeight - event.clientY);
        }
      },
      onkeydown: (event: KeyboardEvent) => {
        const step = event.key === "ArrowUp" ? STEP : event.key === "ArrowDown" ? -STEP : 0;
        if (step === 0) return;
        event.preventDefault();
        this.#resize(this.#section.offsetHeight + step);
      },
    });
    this.#section = h(
      "section",
      {
        class: "dock",
        "aria-label": "LakeSync devtools",
        hidden: "",
        onkeydown: (event: KeyboardEvent) => {
          if (event.key === "Escape") this.#close();
        },
      },
      this.#edge,
      h(
        "header",
        { class: "top" },
        h("strong", { class: "name" }, h("i", { class: "dot" }), "LakeSync"),
        this.#tabBar(),
        h("span", { class: "grow" }),
        this.#state,
        this.#pause,
        h("button", {
          class: "icon",
          title: "Close (Escape)",
          "aria-label": "Close the devtools",
          onclick: () => this.#close(),
        }, "✕"),
      ),
      this.#body,
      this.#said,
    );
    this.element = h("div", { class: "root" }, this.#launcher, this.#section);
    this.#pick("data");
    this.setStatus(options.client.status);
  }

  /** The tab that is shown. */
  get tab(): TabName {
    return this.#tab;
  }

  /** Shows or hides all but the button in the corner. */
  opened(open: boolean): void {
    this.#section.hidden = !open;
    this.#launcher.hidden = open;
  }

  /** Puts a panel into it. */
  show(panel: HTMLElement): void {
    if (this.#body.firstChild !== panel) fill(this.#body, panel);
  }

  /** Goes to a tab. */
  pick(tab: TabName): void {
    this.#pick(tab);
    this.picked(tab);
  }

  /** Sets the number beside a tab's title. */
  setCount(tab: TabName, count: number): void {
    const { count: element } = this.#tabs.get(tab)!;
    setText(element, count === 0 ? "" : countText(count));
    element.hidden = count === 0;
  }

  /** Shows what the client is doing. */
  setStatus({ state, online, blocked, outbox, error, firstSync }: ClientStatus): void {
    const percent = firstSync?.percent;
    const text = firstSync !== undefined
      ? `first sync ${
        percent === undefined ? countText(firstSync.rows) : `${Math.floor(percent)} %`
      }`
      : blocked !== undefined
      ? `blocked: ${blocked}`
      : online === false
      ? `${state}, offline`
      : state;
    const tone = blocked !== undefined || state === "closed"
      ? "bad"
      : online === false || error !== undefined || state === "paused"
      ? "wait"
      : "good";
    this.element.dataset.tone = tone;
    setText(this.#state, text);
    this.#state.title = error?.message ?? "";
    setText(this.#launcherText, outbox === 0 ? text : `${text} · ${countText(outbox)} to send`);
    setText(this.#pause, state === "paused" ? "Resume" : "Pause");
    this.#pause.hidden = state === "manual" || state === "closed";
    this.setCount("outbox", outbox);
  }

  /** Tells what a button has done. */
  say(text: string): void {
    // Another element each time, so that its animation runs again.
    fill(this.#said, h("p", {}, text));
  }

  #tabBar(): HTMLElement {
    const buttons = TABS.map(([name, title]) => {
      const count = h("span", { class: "count", hidden: "" });
      const button = h(
        "button",
        {
          role: "tab",
          "data-tab": name,
          onclick: () => this.pick(name),
        },
        title,
        count,
      );
      this.#tabs.set(name, { button, count });
      return button;
    });
    return h("div", {
      class: "tabs",
      role: "tablist",
      "aria-label": "Views",
      onkeydown: (event: KeyboardEvent) => this.#arrow(event),
    }, ...buttons);
  }

  #arrow(event: KeyboardEvent): void {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const at = TABS.findIndex(([name]) => name === this.#tab);
    const [next] = TABS[(at + step + TABS.length) % TABS.length]!;
    this.pick(next);
    this.#tabs.get(next)!.button.focus();
  }

  #pick(tab: TabName): void {
    this.#tab = tab;
    for (const [name, { button }] of this.#tabs) {
      button.setAttribute("aria-selected", String(name === tab));
      button.tabIndex = name === tab ? 0 : -1;
    }
    const title = TABS.find(([name]) => name === tab)![1];
    this.#body.setAttribute("aria-label", title);
  }

  #close(): void {
    this.#options.asked(false);
    this.#launcher.focus();
  }

  #pauseOrResume(): void {
    const { client } = this.#options;
    if (client.status.state === "paused") client.resume();
    else client.pause();
  }

  #resize(height: number): void {
    const fits = Math.max(MIN_HEIGHT, Math.min(height, innerHeight - STEP));
    this.#section.style.height = `${fits}px`;
    this.#edge.setAttribute("aria-valuenow", String(Math.round(fits)));
  }
}
