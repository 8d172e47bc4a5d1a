import { coalesced } from "./_coalesced.ts";
import { h } from "./_dom.ts";

/** What a {@linkcode VirtualList} shows. */
export interface VirtualListOptions<T> {
  /** Its name for those who do not see it. */
  readonly label: string;
  /** The height of a row, in px. */
  readonly rowHeight: number;
  /** Reads rows; undefined where that is not possible now. */
  readonly load: (offset: number, limit: number) => Promise<readonly T[] | undefined>;
  /** Names a row, so that it stays chosen where it moves, and a changed one is shown as such. */
  readonly key: (item: T) => string;
  /** Fills a row. */
  readonly render: (item: T, row: HTMLElement) => void;
  /** Told which row the person has chosen. */
  readonly chosen?: (item: T) => void;
}

/** Rows above and below those that are in sight. */
const MARGIN = 8;
/** Browsers place nothing beyond some 17 million px. */
const MAX_PX = 15_000_000;

let lists = 0;

/**
 * A list of any length, of which only the rows in sight are in the document. Its keys are those of a
 * list box: arrows, page keys, Home, End, Enter.
 */
export class VirtualList<T> {
  readonly element: HTMLElement;
  /** What stands above the rows and does not scroll away. */
  readonly head: HTMLElement = h("div", { class: "head", role: "presentation" });
  readonly #options: VirtualListOptions<T>;
  readonly #space: HTMLElement = h("div", { class: "space", role: "presentation" });
  readonly #id = `list-${++lists}`;
  readonly #resized: ResizeObserver;
  #count = 0;
  #cursor = -1;
  #chosen: string | undefined;
  #closed = false;
  #first = 0;
  #items: readonly T[] = [];
  #shown: Map<string, string> = new Map();

  constructor(options: VirtualListOptions<T>) {
    this.#options = options;
    this.element = h(
      "div",
      {
        class: "list",
        role: "listbox",
        tabindex: "0",
        "aria-label": options.label,
        onscroll: () => void this.refresh(),
        onkeydown: (event: KeyboardEvent) => this.#pressed(event),
      },
      this.head,
      this.#space,
    );
    this.#resized = new ResizeObserver(() => void this.refresh());
    this.#resized.observe(this.element);
  }

  /** The number of rows; of very many, the first ones are shown. */
  set count(count: number) {
    const { rowHeight } = this.#options;
    this.#count = Math.min(count, Math.floor(MAX_PX / rowHeight));
    this.#cursor = Math.min(this.#cursor, this.#count - 1);
    this.#space.style.height = `${this.#count * rowHeight}px`;
  }

  /** Chooses a row by its key, without telling. */
  choose(key: string | undefined): void {
    this.#chosen = key;
    this.#draw();
  }

  /** Forgets where it was: what it shows is something else now. */
  reset(): void {
    this.element.scrollTop = 0;
    this.#cursor = -1;
    this.#chosen = undefined;
    this.#shown = new Map();
  }

  /** Reads the rows in sight, and shows them. */
  readonly refresh: () => Promise<void> = coalesced(async () => {
    const { rowHeight, load } = this.#options;
    const { scrollTop, clientHeight } = this.element;
    // Where it is not in sight there is nothing to read; it is told when it comes.
    if (clientHeight === 0) return;
    const first = Math.max(0, Math.min(Math.floor(scrollTop / rowHeight) - MARGIN, this.#count));
    const limit = Math.min(Math.ceil(clientHeight / rowHeight) + 2 * MARGIN, this.#count - first);
    const items = limit === 0 ? [] : await load(first, limit);
    if (this.#closed || items === undefined) return;
    this.#first = first;
    this.#items = items;
    this.#draw();
  });

  /** Lets go of it. */
  close(): void {
    this.#closed = true;
    this.#resized.disconnect();
  }

  #draw(): void {
    const { rowHeight, key, render } = this.#options;
    const shown = new Map<string, string>();
    const rows = this.#items.map((item, i) => {
      const index = this.#first + i;
      const name = key(item);
      const row = h("div", {
        class: "row",
        role: "option",
        id: `${this.#id}-${index}`,
        "aria-selected": String(name === this.#chosen),
        "aria-posinset": String(index + 1),
        "aria-setsize": String(this.#count),
        onclick: () => this.#choose(index),
      });
      row.style.height = `${rowHeight}px`;
      row.style.top = `${index * rowHeight}px`;
      if (index === this.#cursor) row.classList.add("cursor");
      render(item, row);
      const text = row.textContent;
      const before = this.#shown.get(name);
      if (before !== undefined && before !== text) row.classList.add("flash");
      shown.set(name, text);
      return row;
    });
    this.#shown = shown;
    this.#space.replaceChildren(...rows);
    const active = this.#cursor < 0 ? "" : `${this.#id}-${this.#cursor}`;
    this.element.setAttribute("aria-activedescendant", active);
  }

  #choose(index: number): void {
    this.#cursor = index;
    const item = this.#items[index - this.#first];
    if (item !== undefined) this.#chosen = this.#options.key(item);
    this.#draw();
    if (item !== undefined) this.#options.chosen?.(item);
  }

  #pressed(event: KeyboardEvent): void {
    if (event.target !== this.element) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.#options.rowHeight) - 1);
    const last = this.#count - 1;
    const steps: { readonly [key: string]: number } = {
      ArrowDown: this.#cursor + 1,
      ArrowUp: this.#cursor - 1,
      PageDown: this.#cursor + page,
      PageUp: this.#cursor - page,
      Home: 0,
      End: last,
    };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      // The row with the cursor may be on its way.
      if (this.#cursor >= 0) void this.refresh().then(() => this.#choose(this.#cursor));
      return;
    }
    const to = Object.hasOwn(steps, event.key) ? steps[event.key] : undefined;
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.#cursor = Math.max(0, Math.min(last, to));
    this.#reveal();
    this.#draw();
    void this.refresh();
  }

  /** Scrolls so that the row with the cursor is in sight. */
  #reveal(): void {
    const { rowHeight } = this.#options;
    const { element } = this;
    const top = this.#cursor * rowHeight;
    const room = element.clientHeight - this.head.offsetHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + room) {
      element.scrollTop = top + rowHeight - room;
    }
  }
}
