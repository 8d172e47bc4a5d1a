/** An app with a life of its own, whose devtools one can look at: `globalThis.demo` has it. */
import { unwrapOrThrow } from "@lakesync/core";
import { createClient } from "../../mod.ts";
import { LakeSyncDevtools } from "../mod.ts";
import { type DevtoolsPage, foreign, openPage, todos } from "./devtools_page_browser.ts";

const TITLES = ["Buy milk", "Call Zoë", "Water the plants", "<b>Ship it</b>", "Read the paper"];

/** Opens the app with a handful of rows, of which each says something. */
export async function openDemo(rows = 40): Promise<DevtoolsPage> {
  const page = await openPage();
  const { client, gateway } = page;
  for (let i = 0; i < rows; i++) {
    const clientId = i % 3 === 0 ? "sub:phone" : "sub:laptop";
    const columns = { title: `${TITLES[i % TITLES.length]} ${i}`, done: i % 4 === 0, rank: i };
    gateway.append([foreign(`row-${String(i).padStart(3, "0")}`, columns, { clientId })]);
  }
  gateway.append([foreign("note", { body: { text: "Hello", tags: ["a"] } }, { table: "notes" })]);
  unwrapOrThrow(await client.syncOnce());
  await client.tables.todos.update("row-003", { title: "Ship it today", done: true });
  unwrapOrThrow(await client.syncOnce());
  gateway.append([
    foreign("row-003", { title: "Ship it tomorrow" }, { op: "UPDATE", clientId: "sub:tablet" }),
    foreign("row-005", { done: true }, { op: "UPDATE" }),
  ]);
  gateway.reject = ({ rowId }) => rowId === "row-007" ? "FORBIDDEN_WRITE" : undefined;
  await client.tables.todos.update("row-007", { title: "Not mine" });
  unwrapOrThrow(await client.syncOnce());
  await client.tables.todos.update("row-003", { title: "Ship it now", rank: null });
  await client.tables.todos.insert({ id: "row-new", title: "Written here", done: false });
  await client.tables.todos.delete("row-009");
  return page;
}

/** Opens an app whose database a worker has, as those of apps are. */
export async function openStored(): Promise<void> {
  const client = unwrapOrThrow(await createClient({ tables: [todos], database: "stored" }));
  await client.tables.todos.upsert({ id: "kept", title: "On disk", done: false });
  const devtools = new LakeSyncDevtools();
  devtools.client = client;
  devtools.open = true;
  document.body.append(devtools);
}

Object.assign(globalThis, { openDemo, openStored });
