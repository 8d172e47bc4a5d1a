/** Dialogs: beside what they belong to on a desktop, from below on a phone. */
import { h, iconButton } from "./dom_browser.ts";

/** A dialog that is open. */
export interface OpenDialog {
  readonly element: HTMLDialogElement;
  close(): void;
}

/** Opens a dialog with a heading; Escape, a click beside it and its button close it. */
export function openDialog(
  title: string,
  content: Node,
  options: { className?: string; onclose?: () => void } = {},
): OpenDialog {
  const { className = "", onclose = () => {} } = options;
  const close = (): void => element.close();
  const heading = h("h2", { id: "dialog-title" }, title);
  const element = h(
    "dialog",
    { className, "aria-labelledby": "dialog-title" },
    h("header", {}, heading, iconButton("close", "Close", close)),
    h("div", { className: "content" }, content),
  );
  element.addEventListener("click", ({ target }) => target === element && close());
  element.addEventListener("close", () => {
    element.remove();
    onclose();
  });
  document.body.append(element);
  element.showModal();
  return { element, close };
}

/** Asks before something that cannot be undone. */
export function confirmDialog(
  title: string,
  text: string,
  confirm: { label: string; run(): void },
): void {
  const onclick = (): void => {
    dialog.close();
    confirm.run();
  };
  const dialog = openDialog(
    title,
    h(
      "div",
      {},
      h("p", {}, text),
      h(
        "div",
        { className: "actions" },
        h(
          "button",
          { type: "button", className: "plain", onclick: () => dialog.close() },
          "Cancel",
        ),
        h("button", { type: "button", className: "danger", onclick }, confirm.label),
      ),
    ),
    { className: "ask" },
  );
}
