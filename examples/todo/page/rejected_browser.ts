/** Changes that the server refused: undone here, and kept until one tries again or lets them go. */
import type { DeadLetter } from "@lakesync/client";
import type { TodoClient } from "./data_browser.ts";
import { byId, h } from "./dom_browser.ts";
import { tellFailure } from "./list_dialog_browser.ts";

/** Shows the refused changes where one looks. */
export interface RejectedView {
  /** Shows them in an element, and keeps them up until it is told to stop. */
  into(element: HTMLElement): () => void;
}

/** Keeps the banner up, which says that there are refused changes. */
export function watchRejected(client: TodoClient): RejectedView {
  let letters: readonly DeadLetter[] = [];
  const places = new Set<HTMLElement>();
  const read = async (): Promise<void> => {
    const listed = await client.rejected.list();
    if (!listed.ok) return;
    letters = listed.value;
    const banner = byId("banner");
    banner.hidden = letters.length === 0;
    const changes = letters.length === 1 ? "A change was" : `${letters.length} changes were`;
    banner.replaceChildren(
      h("span", {}, `${changes} not accepted, and undone.`),
      h("button", { type: "button" }, "Look"),
    );
    for (const place of places) show(place);
  };
  const settle = (work: Promise<Parameters<typeof tellFailure>[0]>): void =>
    void work.then((result) => (tellFailure(result), read()));
  const show = (place: HTMLElement): void => {
    if (letters.length === 0) return place.replaceChildren();
    place.replaceChildren(
      h("h3", {}, "Not accepted"),
      ...letters.map((letter) => {
        const ids = [letter.delta.deltaId];
        return h(
          "article",
          { className: "letter" },
          h("strong", {}, whatOf(letter)),
          h("p", {}, whyOf(letter)),
          h(
            "div",
            { className: "actions" },
            h("button", {
              type: "button",
              className: "plain",
              onclick: () => settle(client.rejected.drop(ids)),
            }, "Let it go"),
            h("button", {
              type: "button",
              className: "plain",
              onclick: () => settle(client.rejected.retry(ids)),
            }, "Try again"),
          ),
        );
      }),
    );
  };
  client.on("rejected", () => void read());
  void read();
  return {
    into(element) {
      places.add(element);
      show(element);
      return () => void places.delete(element);
    },
  };
}

function whatOf({ delta }: DeadLetter): string {
  const values = new Map(delta.columns.map(({ column, value }) => [column, value]));
  const thing = { lists: "list", shares: "share", todos: "to-do" }[delta.table] ?? delta.table;
  const title = values.get("title");
  const named = title === undefined ? "" : `: “${title}”`;
  if (delta.op === "INSERT") return `New ${thing}${named}`;
  if (delta.op === "DELETE") return `Deleted ${thing}`;
  const done = values.get("done");
  if (done !== undefined) return `A ${thing} marked as ${done === true ? "done" : "open"}`;
  return `Changed ${thing}${named}`;
}

function whyOf({ code, message }: DeadLetter): string {
  return code === "FORBIDDEN_WRITE"
    ? `You may not change this list any more. (${message})`
    : message;
}
