/** The dialog in which a list is made or changed. */
import { type LakeSyncError, type Result } from "@lakesync/core";
import { nameOf, PEOPLE, type Person } from "../tables.ts";
import type { TodoClient } from "./data_browser.ts";
import { confirmDialog, openDialog } from "./dialog_browser.ts";
import { h, icon, ICONS } from "./dom_browser.ts";
import { goTo, newLists } from "./route_browser.ts";
import { toast } from "./toast_browser.ts";

const COLOURS = ["teal", "blue", "violet", "rose", "amber", "green"] as const;

/** A list that is there. */
export interface EditedList {
  readonly id: string;
  readonly title: string;
  readonly colour: string;
  /** Who else sees it. */
  readonly people: readonly string[];
}

/** Asks for what a list is to be; without one it makes a new one. */
export function askForList(
  client: TodoClient,
  options: { person: Person; list?: EditedList },
): void {
  const { person, list } = options;
  const title = h("input", {
    id: "list-title",
    name: "title",
    maxLength: 60,
    required: true,
    autocomplete: "off",
    value: list?.title ?? "",
    placeholder: "Groceries",
  });
  const chosen = list?.colour ?? COLOURS[Math.floor(Math.random() * COLOURS.length)];
  const colours = COLOURS.map((colour) =>
    h(
      "label",
      { className: "colour", "data-colour": colour, title: colour },
      h("input", { type: "radio", name: "colour", value: colour, checked: colour === chosen }),
      h("span", { className: "sr" }, colour),
    )
  );
  const others = PEOPLE.filter(({ id }) => id !== person).map(({ id, name }) =>
    h(
      "label",
      { className: "switch" },
      h("span", {}, `Share with ${name}`),
      h("input", {
        type: "checkbox",
        role: "switch",
        name: "person",
        value: id,
        checked: list?.people.includes(id) ?? false,
      }),
    )
  );
  const form = h(
    "form",
    { className: "list-form", method: "dialog" },
    h("label", { for: "list-title" }, "Name"),
    title,
    h("fieldset", {}, h("legend", {}, "Colour"), h("div", { className: "colours" }, ...colours)),
    ...others,
    h(
      "div",
      { className: "actions" },
      list && h(
        "button",
        {
          type: "button",
          className: "plain danger-text",
          onclick: () => (dialog.close(), askToDelete(client, list)),
        },
        icon(ICONS.bin),
        "Delete list",
      ),
      h("button", { type: "submit", className: "primary" }, list ? "Save" : "Make list"),
    ),
  );
  const dialog = openDialog(list ? "Change the list" : "New list", form, { className: "ask" });
  title.focus();
  form.onsubmit = () => {
    const data = new FormData(form);
    const wanted = {
      title: String(data.get("title")).trim(),
      colour: String(data.get("colour")),
      people: data.getAll("person").map(String),
    };
    if (wanted.title !== "") void save(client, person, wanted, list).then(tellFailure);
  };
}

/** Makes or changes a list as one, so that nobody sees half of it. */
async function save(
  client: TodoClient,
  person: Person,
  wanted: Omit<EditedList, "id">,
  list: EditedList | undefined,
): Promise<Result<void>> {
  const id = list?.id ?? crypto.randomUUID();
  const { title, colour } = wanted;
  const saved = await client.transaction(async ({ tables: { lists, shares } }) => {
    if (list === undefined) {
      await lists.insert({ id, title, colour, owner: person, created: new Date() });
    } else if (title !== list.title || colour !== list.colour) {
      await lists.update(id, { title, colour });
    }
    for (const { id: other } of PEOPLE) {
      const had = list?.people.includes(other) ?? false;
      const has = wanted.people.includes(other);
      const share = `${id}:${other}`;
      if (has && !had) await shares.insert({ id: share, list: id, person: other });
      if (had && !has) await shares.delete(share);
    }
  });
  if (saved.ok && list === undefined) {
    newLists.add(id);
    goTo(id);
  }
  return saved;
}

function askToDelete(client: TodoClient, list: EditedList): void {
  const shared = list.people.length === 0
    ? ""
    : ` ${list.people.map(nameOf).join(" and ")} will not see it any more, either.`;
  confirmDialog(
    `Delete “${list.title}”?`,
    `The list goes with everything on it.${shared}`,
    { label: "Delete list", run: () => void remove(client, list.id).then(tellFailure) },
  );
}

async function remove(client: TodoClient, id: string): Promise<Result<void>> {
  goTo(undefined);
  return await client.transaction(async ({ query, tables: { lists, shares, todos } }) => {
    for (const [table, name] of [[todos, "todos"], [shares, "shares"]] as const) {
      for (const row of await query(`SELECT id FROM ${name} WHERE list = ?`, [id])) {
        await table.delete(String(row["id"]));
      }
    }
    await lists.delete(id);
  });
}

/** Says why something could not be written on this device. */
export function tellFailure(
  result: { ok: true } | { ok: false; error: LakeSyncError },
): void {
  if (!result.ok) toast(result.error.message);
}
