/** The open list: its to-dos, and what its owner may do to it. */
import { nameOf, PEOPLE, type Person } from "../tables.ts";
import type { TodoClient } from "./data_browser.ts";
import { byId, h, icon, iconButton, ICONS, showRows } from "./dom_browser.ts";
import { askForList, tellFailure } from "./list_dialog_browser.ts";
import { newLists, openList } from "./route_browser.ts";
import { todoItems, type TodoRow } from "./todo_item_browser.ts";

const LIST = `
  SELECT id, title, colour, owner,
    (SELECT json_group_array(person) FROM shares WHERE shares.list = lists.id) AS people
  FROM lists WHERE id = ?`;
const NAMES = PEOPLE.map(({ name }) => name).join(" and ");
const TODOS = "SELECT id, title, done, person FROM todos WHERE list = ? ORDER BY created, id";

/** Shows the list that the address names, and keeps it up. */
export function showTodos(client: TodoClient, person: Person): void {
  const items = todoItems(client, person);
  let shown: string | undefined;
  let stop = (): void => {};
  byId("back").append(icon(ICONS.back));
  const show = (): void => {
    const id = openList();
    if (id === shown) return;
    stop();
    shown = id;
    byId("sheet").hidden = true;
    for (const part of ["open", "done"]) byId(part).replaceChildren();
    showNothing(id === undefined ? "none" : undefined);
    if (id === undefined) return;
    const ends = [
      client.live(LIST, [id]).subscribe(([list]) => {
        byId("sheet").hidden = list === undefined;
        showNothing(list === undefined ? "gone" : undefined);
        if (list !== undefined) showHead(client, person, list);
      }),
      client.live(TODOS, [id]).subscribe((found) => {
        const rows = found as unknown as TodoRow[];
        const open = rows.filter(({ done }) => done === 0);
        const done = rows.filter((row) => row.done === 1);
        showRows(byId("open"), open, items);
        showRows(byId("done"), done, items);
        byId("done-part").hidden = done.length === 0;
        byId("done-title").textContent = `Done · ${done.length}`;
        showEmpty(open.length, done.length);
      }),
    ];
    stop = () => ends.forEach((end) => end());
  };
  const form = byId<HTMLFormElement>("add");
  const field = byId<HTMLInputElement>("new");
  form.onsubmit = (event) => {
    event.preventDefault();
    const title = field.value.trim();
    if (title === "" || shown === undefined) return;
    field.value = "";
    const row = { list: shown, title, done: false, person, created: new Date() };
    void client.tables.todos.insert(row).then((done) => {
      tellFailure(done);
      // What was typed is not lost with it.
      if (!done.ok && field.value === "") field.value = title;
    });
  };
  addEventListener("hashchange", show);
  show();
}

function showHead(
  client: TodoClient,
  person: Person,
  row: { readonly [column: string]: unknown },
): void {
  const people = JSON.parse(String(row["people"])) as string[];
  const list = {
    id: String(row["id"]),
    title: String(row["title"]),
    colour: String(row["colour"]),
  };
  const owner = String(row["owner"]);
  byId("sheet").dataset["colour"] = list.colour;
  byId("title").textContent = list.title;
  if (newLists.delete(list.id)) byId("new").focus();
  document.title = `${list.title} · To-dos`;
  byId("about").textContent = owner !== person
    ? `Shared by ${nameOf(owner)}`
    : people.length === 0
    ? "Only you see this list"
    : `Shared with ${people.map(nameOf).join(" and ")}`;
  const edit = () => askForList(client, { person, list: { ...list, people } });
  const tools = byId("tools");
  // Kept where it stays what it is: it may have the focus.
  if (owner !== person) tools.replaceChildren();
  else if (tools.firstElementChild === null) {
    tools.append(iconButton("pencil", "Change or share the list", edit));
  } else (tools.firstElementChild as HTMLButtonElement).onclick = edit;
}

function showEmpty(open: number, done: number): void {
  const empty = byId("empty");
  empty.hidden = open > 0;
  if (open > 0) return;
  const [head, text] = done > 0
    ? ["All done", "Nothing is left on this list."]
    : ["Nothing here yet", "Write the first thing above, and press Enter."];
  empty.replaceChildren(
    h("img", { src: "icon.svg", alt: "", width: 56, height: 56 }),
    h("strong", {}, head),
    h("span", {}, text),
  );
}

/** What stands in the place of a list. */
const NOTHING = {
  none: ["No list is open", `Choose one, or make a new one. ${NAMES} can share theirs.`],
  gone: ["This list is not here", "It is deleted, or not shared with you any more."],
} as const;

function showNothing(why: keyof typeof NOTHING | undefined): void {
  const nothing = byId("nothing");
  nothing.hidden = why === undefined;
  if (why === undefined) return;
  document.title = "To-dos";
  const [head, text] = NOTHING[why];
  nothing.replaceChildren(
    h("img", { src: "icon.svg", alt: "", width: 56, height: 56 }),
    h("strong", {}, head),
    h("span", {}, text),
    h("a", { className: "plain", href: "#/" }, "All lists"),
  );
}
