/** The lists at the side: one's own, and those that one was let in to. */
import { nameOf, type Person } from "../tables.ts";
import type { TodoClient } from "./data_browser.ts";
import { byId, h, icon, ICONS, type Keyed, showRows } from "./dom_browser.ts";
import { askForList } from "./list_dialog_browser.ts";
import { isWide, listAddress, openList } from "./route_browser.ts";

/** A list as the side shows it. */
interface ListRow {
  readonly id: string;
  readonly title: string;
  readonly colour: string;
  readonly owner: string;
  readonly open: number;
  readonly people: number;
}

const LISTS = `
  SELECT id, title, colour, owner,
    (SELECT count(*) FROM todos WHERE todos.list = lists.id AND NOT done) AS open,
    (SELECT count(*) FROM shares WHERE shares.list = lists.id) AS people
  FROM lists ORDER BY created, id`;

/** Shows the lists, and keeps them up. */
export function showLists(client: TodoClient, person: Person): void {
  let rows: readonly ListRow[] = [];
  const add = byId("add-list");
  add.replaceChildren(icon(ICONS.plus), "New list");
  add.onclick = () => askForList(client, { person });
  const show = (): void => {
    const mine = rows.filter(({ owner }) => owner === person);
    const shared = rows.filter(({ owner }) => owner !== person);
    showRows(byId("own"), mine, LIST);
    showRows(byId("shared"), shared, LIST);
    byId("shared-group").hidden = shared.length === 0;
  };
  const route = (): void => {
    document.body.toggleAttribute("data-open", openList() !== undefined);
    show();
  };
  addEventListener("hashchange", () => {
    route();
    // As after any navigation, reading goes on at the top of what was opened.
    if (openList() !== undefined) byId("list").focus({ preventScroll: true });
  });
  client.live(LISTS).subscribe((found) => {
    const first = rows.length === 0;
    rows = found as unknown as ListRow[];
    const open = openList();
    if (open === undefined && first && rows.length > 0 && isWide()) {
      history.replaceState(null, "", listAddress(rows[0]!.id));
      dispatchEvent(new Event("hashchange"));
    }
    route();
  });
  route();
}

const LIST: Keyed<ListRow> = {
  key: ({ id }) => id,
  create: () =>
    h(
      "li",
      {},
      h(
        "a",
        {},
        h("span", { className: "swatch", "aria-hidden": "true" }),
        h("span", { className: "name" }),
        h("span", { className: "with" }),
        h("span", { className: "count" }),
      ),
    ),
  update(element, { id, title, colour, owner, open, people }) {
    const link = element.firstElementChild as HTMLAnchorElement;
    const [swatch, name, shared, count] = link.children as unknown as HTMLElement[];
    link.href = listAddress(id);
    swatch!.dataset["colour"] = colour;
    name!.textContent = title;
    const told = people === 0 ? "" : `Shared by ${nameOf(owner)}`;
    if (shared!.title !== told) {
      shared!.title = told;
      shared!.replaceChildren(...(told === "" ? [] : [icon(ICONS.people), heard(told)]));
    }
    count!.replaceChildren(...(open === 0 ? [] : [String(open), heard(" open")]));
    if (id === openList()) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  },
};

/** Words that are read out, and not shown. */
function heard(text: string): HTMLElement {
  return h("span", { className: "sr" }, text);
}
