/** The app's data: opened for whoever is signed in, and how it is changed. */
import { type Client, createClient } from "@lakesync/client";
import { LakeSyncError, type Result } from "@lakesync/core";
import { type Person, tables } from "../tables.ts";
import { prepareGateway } from "./prepare_browser.ts";
import { type Session, writeSession } from "./session_browser.ts";

/** The client of this app. */
export type TodoClient = Client<typeof tables>;

/** What the server says of itself, in the page. */
export interface Setup {
  readonly gateway: string;
  /** Whether it signs tokens. */
  readonly signIn: boolean;
}

/** Opens the data of a person, and makes it where this device has none yet. */
export async function openData(session: Session, setup: Setup): Promise<Result<TodoClient>> {
  const { person } = session;
  if (!setup.signIn) {
    const prepared = await prepareGateway(setup.gateway);
    if (!prepared.ok) return prepared;
  }
  const open = (clientId: string | undefined) =>
    createClient({
      tables,
      database: `todo-${person}`,
      url: location.origin,
      gateway: setup.gateway,
      // Below the app's path, so that the service worker has them, too.
      worker: () => new Worker("lakesync-worker.js", { type: "module" }),
      wasmUrl: "sqlite3.wasm",
      ...(clientId !== undefined && { clientId }),
      ...(setup.signIn && { getToken: () => tokenFor(person) }),
    });
  let opened = await open(session.opened ? undefined : `${person}:${crypto.randomUUID()}`);
  // The data of an earlier time is here: it keeps its name.
  if (!opened.ok && opened.error.code === "CONFLICT" && !session.opened) {
    opened = await open(undefined);
  }
  if (opened.ok) await writeSession({ person, opened: true });
  return opened;
}

async function tokenFor(person: Person): Promise<string> {
  let response: Response;
  try {
    response = await fetch("sign-in", { method: "POST", body: JSON.stringify({ person }) });
  } catch (cause) {
    throw new LakeSyncError("OFFLINE", "Cannot reach the server", { cause });
  }
  if (!response.ok) {
    throw new LakeSyncError(
      "UNAUTHENTICATED",
      "The server refuses to sign in: ask whoever runs it",
    );
  }
  return (await response.json() as { token: string }).token;
}
