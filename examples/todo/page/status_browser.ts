/** The sign that says how the sync stands, its panel, and the bar of the first sync. */
import type { ClientStatus } from "@lakesync/client";
import type { TodoClient } from "./data_browser.ts";
import { openDialog } from "./dialog_browser.ts";
import { byId, h } from "./dom_browser.ts";
import { watchRejected } from "./rejected_browser.ts";
import { statusWords } from "./status_words.ts";

/** What passes within this time is not worth a flicker. */
const STEADY_MS = 400;

/** Shows how the sync stands, and keeps it up. */
export function showStatus(client: TodoClient): void {
  const button = byId("status");
  let timer: ReturnType<typeof setTimeout> | undefined;
  let shown = "";
  const show = (): void => {
    timer = undefined;
    const { tone, short } = statusWords(client.status);
    button.dataset["tone"] = tone;
    if (short === shown) return;
    // What is read out is not in the button: that has its words as its name.
    for (const id of ["status-words", "status-said"]) byId(id).textContent = short;
    shown = short;
  };
  const update = (status: ClientStatus): void => {
    showFirstSync(status);
    // Good news and bad news at once, passing states only where they last.
    clearTimeout(timer);
    if (shown === "" || statusWords(status).tone !== "busy") show();
    else timer = setTimeout(show, STEADY_MS);
  };
  client.on("status", update);
  update(client.status);
  const rejected = watchRejected(client);
  button.onclick = () => openPanel(client, rejected);
  byId("banner").onclick = () => openPanel(client, rejected);
}

function showFirstSync({ firstSync }: ClientStatus): void {
  const part = byId("progress");
  part.hidden = firstSync === undefined;
  if (firstSync === undefined) return;
  const { rows, bytes, percent } = firstSync;
  const bar = byId<HTMLProgressElement>("progress-bar");
  if (percent === undefined) bar.removeAttribute("value");
  else bar.value = percent;
  const kilobytes = bytes === 0 ? "" : `, ${Math.ceil(bytes / 1024).toLocaleString()} KB`;
  byId("progress-words").textContent =
    `Loading your lists: ${rows.toLocaleString()} rows${kilobytes}`;
}

type RejectedView = ReturnType<typeof watchRejected>;

function openPanel(client: TodoClient, rejected: RejectedView): void {
  const words = h("p", { className: "long" });
  const fault = h("p", { className: "quiet" });
  const facts = h("dl", {});
  const letters = h("div", {});
  const where = client.storage();
  const show = async (): Promise<void> => {
    const { status } = client;
    const { tone, long } = statusWords(status);
    words.dataset["tone"] = tone;
    words.textContent = long;
    fault.textContent = status.error === undefined ? "" : status.error.message;
    const stored = await where;
    const rows: readonly (readonly [string, string])[] = [
      ["To send", String(status.outbox)],
      ["To come", status.behind === undefined ? "not known" : String(status.behind)],
      ["Last synced", timeOf(status.lastSyncedAt)],
      ["Kept in", stored.ok ? placeOf(stored.value.kind, stored.value.persisted) : "not known"],
    ];
    facts.replaceChildren(
      ...rows.flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]),
    );
  };
  const stop = client.on("status", () => void show());
  const leave = rejected.into(letters);
  void show();
  const onclose = (): void => (stop(), leave());
  openDialog("Sync", h("div", {}, words, fault, facts, letters), { className: "panel", onclose });
}

function timeOf(at: number | undefined): string {
  return at === undefined ? "never" : new Date(at).toLocaleTimeString();
}

function placeOf(kind: string, persisted: boolean | undefined): string {
  const names: Readonly<Record<string, string>> = {
    opfs: "this browser's files",
    indexeddb: "this browser's database",
    memory: "memory only: it goes with this tab",
  };
  const promised = persisted === true ? ", for good" : "";
  return `${names[kind] ?? kind}${kind === "memory" ? "" : promised}`;
}
