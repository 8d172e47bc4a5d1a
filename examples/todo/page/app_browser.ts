/** The to-do app: starts here. */
import { registerAppShell } from "@lakesync/client/app-shell";
import type { Person } from "../tables.ts";
import { openData, type Setup } from "./data_browser.ts";
import { byId } from "./dom_browser.ts";
import { showLists } from "./lists_browser.ts";
import { showAccount } from "./account_browser.ts";
import { readSession, type Session } from "./session_browser.ts";
import { showSignIn, showSignInFault } from "./sign_in_browser.ts";
import { showStatus } from "./status_browser.ts";
import { toast } from "./toast_browser.ts";
import { showTodos } from "./todos_browser.ts";

// With the slash the page's address is also that of links within it.
if (!location.pathname.endsWith("/")) history.replaceState(null, "", `./${location.hash}`);

const setup = JSON.parse(byId("setup").textContent) as Setup;

async function start(session: Session): Promise<void> {
  const opened = await openData(session, setup);
  if (!opened.ok) {
    showSignIn(signIn);
    return showSignInFault(opened.error.message);
  }
  const client = opened.value;
  byId("sign-in").hidden = true;
  byId("app").hidden = false;
  showStatus(client);
  showAccount(client, session.person);
  showLists(client, session.person);
  showTodos(client, session.person);
  // Another tab has signed out.
  client.on("status", ({ state }) => state === "closed" && location.reload());
}

function signIn(person: Person): void {
  showSignInFault("");
  void start({ person, opened: false });
}

void registerAppShell("service-worker.js", {
  scope: location.pathname.replace(/\/$/, ""),
  onUpdate: (run) =>
    toast("There is a new version of this app.", { label: "Load it", run }, { stays: true }),
});

const session = await readSession();
if (session === undefined) showSignIn(signIn);
else await start(session);
