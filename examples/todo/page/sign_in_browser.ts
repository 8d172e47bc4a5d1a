/** The screen on which one says who one is. */
import { PEOPLE, type Person } from "../tables.ts";
import { byId, h } from "./dom_browser.ts";

/** Shows it. */
export function showSignIn(choose: (person: Person) => void): void {
  byId("sign-in").hidden = false;
  byId("people").replaceChildren(...PEOPLE.map(({ id, name }) =>
    h(
      "button",
      { type: "button", onclick: () => choose(id) },
      avatar(id, name),
      h("span", {}, `I am ${name}`),
    )
  ));
}

/** Says why one could not be signed in. */
export function showSignInFault(text: string): void {
  byId("fault").textContent = text;
}

/** A person's letter on their colour. */
export function avatar(person: string, name: string): HTMLElement {
  return h(
    "span",
    { className: "avatar", "data-person": person, "aria-hidden": "true" },
    name.slice(0, 1),
  );
}
