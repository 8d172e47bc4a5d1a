import { quote } from "../_local_table.ts";
import type { SyncFacts } from "../inspect.ts";
import type { ClientStorage } from "../storage.ts";
import { type Child, fill, h } from "./_dom.ts";
import { bytesText, countText, hlcText, momentText, plural, seqText } from "./_format.ts";
import type { Panel, PanelContext } from "./_panel.ts";

const KINDS: Readonly<Record<ClientStorage["kind"], string>> = {
  file: "a file",
  opfs: "the origin's own file system",
  indexeddb: "IndexedDB",
  memory: "memory: all of it is lost with the page",
  other: "a database that the app opened",
};

/** Where the data is, how much there is, and how sync stands. */
export class StoragePanel implements Panel {
  readonly element: HTMLElement = h("div", { class: "cards storage" });
  readonly #context: PanelContext;

  constructor(context: PanelContext) {
    this.#context = context;
  }

  async refresh(): Promise<void> {
    const { client, inspection } = this.#context;
    const [storage, sync] = await Promise.all([client.storage(), inspection.sync()]);
    const browser = await browserStorage();
    const counts: (readonly [string, string])[] = [];
    for (const { table } of inspection.schemas) {
      const rows = await client.query(`SELECT count(*) AS n FROM ${quote(table)}`);
      counts.push([
        table,
        rows.ok ? plural(rows.value[0]!.n as number, "row") : rows.error.message,
      ]);
    }
    fill(
      this.element,
      storage.ok && storageCard({ ...browser, ...storage.value }, sync.ok ? sync.value : undefined),
      card("Tables", counts),
      sync.ok && syncCard(sync.value, client),
    );
  }

  close(): void {}
}

function storageCard(storage: ClientStorage, sync: SyncFacts | undefined): HTMLElement {
  const { kind, persisted, usage, quota } = storage;
  const full = usage === undefined || quota === undefined || quota === 0
    ? undefined
    : h("meter", { min: "0", max: "1", high: "0.8", "aria-label": "Storage in use" });
  if (full !== undefined) full.value = usage! / quota!;
  const share = usage !== undefined && quota !== undefined
    ? `${bytesText(usage)} of ${bytesText(quota)}`
    : "not known";
  return card("Storage", [
    ["Kept in", KINDS[kind]],
    ["Database", sync === undefined ? "not known" : bytesText(sync.databaseBytes)],
    [
      "Kept when room is short",
      persisted === undefined ? "not known" : persisted ? "yes" : "not promised",
    ],
    ["The origin uses", share],
  ], full);
}

function syncCard(sync: SyncFacts, client: PanelContext["client"]): HTMLElement {
  const { lastSyncedAt, outbox } = client.status;
  return card("Sync", [
    ["Client", client.clientId],
    ["Log position", seqText(sync.seq)],
    ["Last success", lastSyncedAt === undefined ? "not yet" : momentText(lastSyncedAt)],
    ["Outbox", plural(outbox, "delta")],
    ["Settled deltas kept", countText(sync.settled)],
    ["Greatest stamp", sync.greatest === undefined ? "none" : hlcText(sync.greatest)],
    ["Gateway's clock minus this one", `${countText(sync.offsetMs)} ms`],
    ["Next", sync.checkpointDue || sync.cursor === "" ? "a checkpoint" : "a pull"],
  ]);
}

function card(
  title: string,
  facts: readonly (readonly [string, string])[],
  ...more: readonly Child[]
): HTMLElement {
  const lines = facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
  return h("article", { class: "card" }, h("h3", {}, title), h("dl", {}, ...lines), ...more);
}

/** What the browser says of its storage, also where the app opened the database by itself. */
async function browserStorage(): Promise<Partial<ClientStorage>> {
  const storage: StorageManager | undefined = globalThis.navigator?.storage;
  try {
    const { usage, quota } = await storage?.estimate?.() ?? {};
    const persisted = await storage?.persisted?.();
    return {
      ...(usage !== undefined && { usage }),
      ...(quota !== undefined && { quota }),
      ...(persisted !== undefined && { persisted }),
    };
  } catch {
    // Some browsers refuse to tell in private windows.
    return {};
  }
}
