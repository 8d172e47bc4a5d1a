import type { Result } from "@lakesync/core";
import type { DeadLetter } from "../status.ts";
import { empty, fill, h, setText } from "./_dom.ts";
import { badge, changesLine, momentText, plural, stampTag } from "./_format.ts";
import type { Panel, PanelContext } from "./_panel.ts";

/** So many letters are shown; the others come as these go. */
const LIMIT = 200;

/** What the gateway has rejected: each with its reason, to be made again or forgotten. */
export class RejectedPanel implements Panel {
  readonly element: HTMLElement;
  readonly #context: PanelContext;
  readonly #sum = h("span", {});
  readonly #letters = h("div", { class: "cards" });
  readonly #retryAll = h("button", { onclick: () => void this.#retry(this.#ids) }, "Retry all");
  readonly #dropAll = h("button", { onclick: () => void this.#drop(this.#ids) }, "Drop all");
  #ids: readonly string[] = [];
  #drawn = "";

  constructor(context: PanelContext) {
    this.#context = context;
    this.element = h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "bar" },
        this.#sum,
        h("span", { class: "grow" }),
        this.#retryAll,
        this.#dropAll,
      ),
      this.#letters,
    );
  }

  async refresh(): Promise<void> {
    const letters = await this.#context.client.rejected.list();
    if (!letters.ok) return;
    this.#ids = letters.value.map(({ delta }) => delta.deltaId);
    const text = this.#ids.join();
    this.#retryAll.disabled = this.#dropAll.disabled = this.#ids.length === 0;
    setText(this.#sum, `${plural(this.#ids.length, "change")} rejected and undone`);
    if (text === this.#drawn && this.#letters.childElementCount > 0) return;
    this.#drawn = text;
    const newest = letters.value.slice(-LIMIT).reverse();
    fill(
      this.#letters,
      letters.value.length === 0 &&
        empty("No dead letters", "What the gateway rejects for good is kept here"),
      ...newest.map((letter) => this.#card(letter)),
    );
  }

  close(): void {}

  #card(letter: DeadLetter): HTMLElement {
    const { delta, code, message, at } = letter;
    const { openRow, client } = this.#context;
    const ids = [delta.deltaId];
    return h(
      "article",
      { class: "card" },
      h(
        "div",
        { class: "said" },
        badge(delta.op, delta.op.toLowerCase()),
        h("button", {
          class: "link",
          onclick: () => openRow(delta.table, delta.rowId),
        }, `${delta.table} / ${delta.rowId}`),
        stampTag(delta, client.clientId),
      ),
      changesLine(delta.columns),
      h("p", {}, badge(code, "bad"), ` ${message}`),
      h(
        "div",
        { class: "bar" },
        h("small", { class: "dim" }, `Rejected ${momentText(at)}`),
        h("span", { class: "grow" }),
        h("button", { onclick: () => void this.#retry(ids) }, "Retry"),
        h("button", { onclick: () => void this.#drop(ids) }, "Drop"),
      ),
    );
  }

  async #retry(ids: readonly string[]): Promise<void> {
    this.#told(await this.#context.client.rejected.retry(ids), "made again");
  }

  async #drop(ids: readonly string[]): Promise<void> {
    this.#told(await this.#context.client.rejected.drop(ids), "dropped");
  }

  #told(done: Result<number>, what: string): void {
    this.#context.say(done.ok ? `${plural(done.value, "change")} ${what}` : done.error.message);
  }
}
