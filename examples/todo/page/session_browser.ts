/** Who is signed in on this device: remembered beside the data, so that the app opens offline. */
import type { Person } from "../tables.ts";

/** Who is signed in. */
export interface Session {
  readonly person: Person;
  /** Whether the device has this person's database already. */
  readonly opened: boolean;
}

const KEY = "session";

/** Whoever is signed in. */
export async function readSession(): Promise<Session | undefined> {
  return await run("readonly", (store) => store.get(KEY)) as Session | undefined;
}

/** Remembers who is signed in. */
export async function writeSession(session: Session): Promise<void> {
  await run("readwrite", (store) => store.put(session, KEY));
}

/** Forgets it. */
export async function forgetSession(): Promise<void> {
  await run("readwrite", (store) => store.delete(KEY));
}

async function run(
  mode: IDBTransactionMode,
  use: (store: IDBObjectStore) => IDBRequest,
): Promise<unknown> {
  const opening = indexedDB.open("todo-session", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("session");
  const database = await settled(opening);
  try {
    return await settled(use(database.transaction("session", mode).objectStore("session")));
  } finally {
    database.close();
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
