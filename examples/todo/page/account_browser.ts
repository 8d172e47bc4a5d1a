/** Who is signed in, and signing out: which takes this person's data off the device. */
import { nameOf, type Person } from "../tables.ts";
import type { TodoClient } from "./data_browser.ts";
import { confirmDialog, openDialog } from "./dialog_browser.ts";
import { byId, h, icon, ICONS } from "./dom_browser.ts";
import { forgetSession } from "./session_browser.ts";
import { avatar } from "./sign_in_browser.ts";

/** Shows who is signed in. */
export function showAccount(client: TodoClient, person: Person): void {
  const name = nameOf(person);
  const button = byId("me");
  button.replaceChildren(avatar(person, name));
  button.title = `Signed in as ${name}`;
  button.setAttribute("aria-label", `Signed in as ${name}`);
  button.onclick = () => {
    const leave = h(
      "button",
      { type: "button", className: "row", onclick: () => (dialog.close(), signOut(client)) },
      icon(ICONS.leave),
      "Sign out",
    );
    const text = "Signing out takes your lists off this device. They stay on the server.";
    const content = h("div", {}, h("p", { className: "quiet" }, text), leave);
    const dialog = openDialog(`You are ${name}`, content, { className: "panel" });
  };
}

function signOut(client: TodoClient): void {
  const { outbox } = client.status;
  if (outbox === 0) return void leave(client);
  const changes = outbox === 1 ? "One change has" : `${outbox} changes have`;
  confirmDialog(
    "Sign out and lose changes?",
    `${changes} not reached the server yet, and would be lost.`,
    { label: "Sign out all the same", run: () => void leave(client) },
  );
}

async function leave(client: TodoClient): Promise<void> {
  // First: a device that forgets in the middle of it finds its data when somebody signs in again.
  await forgetSession();
  await client.wipe();
  location.replace("./");
}
