/** What stands in an element: text is text, whatever is in it. */
export type Child = Node | string | undefined | false;

/** Attributes, listeners by `onclick` and the like, and undefined for what is left out. */
export interface Attributes {
  readonly [name: string]: string | undefined | ((event: never) => void);
}

/**
 * Makes an element. There is no way from here to markup: each text becomes a text node or an attribute's
 * value.
 */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const name of Object.keys(attributes)) {
    const value = attributes[name];
    if (typeof value === "function") {
      element.addEventListener(name.slice(2), value as unknown as EventListener);
    } else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...shown(children));
  return element;
}

/** Replaces what stands in an element. */
export function fill(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren(...shown(children));
}

function shown(children: readonly Child[]): (Node | string)[] {
  return children.filter((child) => child !== undefined && child !== false);
}

/** Sets an element's text, where it is another one. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A notice for where there is nothing to show. */
export function empty(title: string, hint: string): HTMLElement {
  return h("div", { class: "empty" }, h("strong", {}, title), h("span", {}, hint));
}

/** What has the focus within an element, in its shadow tree or in the document. */
export function focusIn(element: Element): Element | undefined {
  const root = element.getRootNode();
  const active = root instanceof ShadowRoot || root instanceof Document ? root.activeElement : null;
  return active !== null && element.contains(active) ? active : undefined;
}
