/** Short messages that go by themselves, with at most one thing to do. */
import { byId, h } from "./dom_browser.ts";

/** Something that a message offers. */
export interface ToastAction {
  readonly label: string;
  run(): void;
}

const SHOWN_MS = 6_000;

/** Shows a message; one that `stays` goes only when its action is taken. */
export function toast(text: string, action?: ToastAction, options: { stays?: boolean } = {}): void {
  const close = (): void => element.remove();
  const element = h("div", { className: "toast" }, h("span", {}, text));
  if (action !== undefined) {
    const onclick = () => {
      close();
      action.run();
    };
    element.append(h("button", { type: "button", onclick }, action.label));
  }
  byId("toasts").replaceChildren(element);
  if (options.stays) return;
  // Whoever is about to press the button has all the time they need.
  const later = () => {
    if (element.matches(":hover, :focus-within")) setTimeout(later, 1_000);
    else close();
  };
  setTimeout(later, SHOWN_MS);
}
