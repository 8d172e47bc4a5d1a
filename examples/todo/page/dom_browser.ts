/** The little that the app needs in place of a framework. */

type Child = Node | string | undefined;

/** Makes an element; properties are set as such, `aria-*`, `data-*` and `for` as attributes. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Readonly<Record<string, unknown>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (/^(aria|data)-|^(for|role)$/.test(name)) element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** A line drawing of 24 × 24. */
export function icon(path: string): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** The app's drawings. */
export const ICONS = {
  back: "M15 5l-7 7 7 7",
  plus: "M12 5v14M5 12h14",
  bin: "M4 7h16M10 11v6M14 11v6M6 7l1 13h10l1-13M9 7V4h6v3",
  pencil: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-3.6 2.9-6 6.500-6s6.500 2.400 6.500 6M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500c2.200.8 3.500 2.800 3.500 5.500",
  close: "M6 6l12 12M18 6L6 18",
  leave: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
} as const;

/** A button that shows a drawing; its label is read out and shown as a tip. */
export function iconButton(
  drawing: keyof typeof ICONS,
  label: string,
  onclick: () => void,
): HTMLButtonElement {
  const properties = {
    type: "button",
    className: "icon",
    title: label,
    "aria-label": label,
    onclick,
  };
  return h("button", properties, icon(ICONS[drawing]));
}

/** How a row is shown by an element that stays while the row does. */
export interface Keyed<Row> {
  key(row: Row): string;
  create(row: Row): HTMLElement;
  update(element: HTMLElement, row: Row): void;
}

/** Makes an element's children those of the rows, in their order, and moves no more than it must. */
export function showRows<Row>(parent: HTMLElement, rows: readonly Row[], how: Keyed<Row>): void {
  const old = new Map<string, HTMLElement>();
  for (const child of parent.children) {
    old.set((child as HTMLElement).dataset["key"]!, child as HTMLElement);
  }
  const kept = new Set(rows.map((row) => how.key(row)));
  for (const [key, element] of old) if (!kept.has(key)) element.remove();
  let next = parent.firstElementChild;
  for (const row of rows) {
    const key = how.key(row);
    let element = old.get(key);
    if (element === undefined) {
      element = how.create(row);
      element.dataset["key"] = key;
    }
    how.update(element, row);
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
}

/** An element of the page itself. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new TypeError(`The page has no #${id}`);
  return element as T;
}
