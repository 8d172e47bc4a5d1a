/** One to-do: done or not, its words, which can be changed in place, and its end. */
import { nameOf, type Person } from "../tables.ts";
import type { TodoClient } from "./data_browser.ts";
import { byId, h, iconButton, type Keyed } from "./dom_browser.ts";
import { tellFailure } from "./list_dialog_browser.ts";
import { toast } from "./toast_browser.ts";

/** A to-do, as SQL gives it. */
export interface TodoRow {
  readonly id: string;
  readonly title: string;
  readonly done: 0 | 1;
  readonly person: string;
}

/** How to-dos are shown. */
export function todoItems(client: TodoClient, person: Person): Keyed<TodoRow> {
  const { todos } = client.tables;
  return {
    key: ({ id }) => id,
    create({ id }) {
      const box = h("input", { type: "checkbox" });
      box.onchange = () => {
        const next = item.nextElementSibling ?? item.previousElementSibling;
        const focused = document.activeElement === box;
        void todos.update(id, { done: box.checked }).then(tellFailure);
        // It moves to the other part: who works through the list by keyboard stays where they are.
        if (focused) (next?.querySelector("input") ?? byId("new")).focus();
      };
      const title = h("button", { type: "button", className: "title" });
      title.onclick = () =>
        edit(item, title, (text) => void todos.update(id, { title: text }).then(tellFailure));
      const item = h(
        "li",
        { className: "todo" },
        h("label", { className: "check" }, box),
        title,
        h("span", { className: "by" }),
        iconButton("bin", "Delete", () => remove(client, id, item)),
      );
      item.onkeydown = (event) => moveFocus(event, item);
      return item;
    },
    update(item, row) {
      const box = item.querySelector("input")!;
      box.checked = row.done === 1;
      item.classList.toggle("is-done", row.done === 1);
      box.setAttribute("aria-label", row.title);
      const title = item.querySelector<HTMLElement>(".title")!;
      title.textContent = row.title;
      title.setAttribute("aria-label", `Edit ${row.title}`);
      item.querySelector(".by")!.textContent = row.person === person ? "" : nameOf(row.person);
      item.querySelector(".icon")!.setAttribute("aria-label", `Delete ${row.title}`);
    },
  };
}

/** Lets the words be changed in place: Enter or leaving keeps, Escape drops. */
function edit(item: HTMLElement, title: HTMLElement, save: (text: string) => void): void {
  const value = title.textContent ?? "";
  const field = h("input", { className: "edit", value, maxLength: 200, "aria-label": "Title" });
  let ended = false;
  const end = (text: string, refocus: boolean): void => {
    if (ended) return;
    ended = true;
    field.remove();
    item.classList.remove("is-edited");
    if (refocus) title.focus();
    if (text === "" || text === value) return;
    // At once: the change itself shows a moment later.
    title.textContent = text;
    save(text);
  };
  field.onblur = () => end(field.value.trim(), false);
  field.onkeydown = (event) => {
    if (event.key === "Enter" && !event.isComposing) end(field.value.trim(), true);
    else if (event.key === "Escape") end(value, true);
    else return;
    event.preventDefault();
  };
  // The title is only hidden, so that a change from elsewhere has where to go.
  item.classList.add("is-edited");
  title.after(field);
  field.focus();
  field.select();
}

async function remove(client: TodoClient, id: string, item: HTMLElement): Promise<void> {
  const { todos } = client.tables;
  const found = await todos.get(id);
  if (!found.ok || found.value === undefined) return;
  const row = found.value;
  const next = item.nextElementSibling ?? item.previousElementSibling;
  const deleted = await todos.delete(id);
  if (!deleted.ok) return tellFailure(deleted);
  (next?.querySelector<HTMLElement>(".icon") ?? byId("new")).focus();
  toast(`“${row.title}” is deleted.`, {
    label: "Undo",
    run: () => void todos.insert(row).then(tellFailure),
  });
}

/** Arrow keys go from one to-do to the next. */
function moveFocus(event: KeyboardEvent, item: HTMLElement): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  if ((event.target as HTMLElement).className === "edit") return;
  const all = [...document.querySelectorAll<HTMLElement>(".todo")];
  const other = all[all.indexOf(item) + (event.key === "ArrowDown" ? 1 : -1)];
  if (other === undefined) return;
  event.preventDefault();
  other.querySelector("input")?.focus();
}
