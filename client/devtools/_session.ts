import type { Clock, Scheduler } from "@lakesync/core";
import type { ChangedRows, InspectedClient, Inspection } from "../inspect.ts";
import { DataPanel } from "./_data_panel.ts";
import type { Dock, TabName } from "./_dock.ts";
import { LogPanel } from "./_log_panel.ts";
import { OutboxPanel } from "./_outbox_panel.ts";
import type { Panel, PanelContext } from "./_panel.ts";
import { Received } from "./_received.ts";
import { RejectedPanel } from "./_rejected_panel.ts";
import { StoragePanel } from "./_storage_panel.ts";
import { SyncLog } from "./_sync_log.ts";
import { TimelinePanel } from "./_timeline_panel.ts";

/** What a {@linkcode Session} works with. */
export interface SessionOptions {
  readonly client: InspectedClient;
  readonly inspection: Inspection;
  readonly dock: Dock;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
}

/** What comes within this time, in ms, is shown together. */
const PAUSE_MS = 100;
/** Nor is more than one part in so many of the time spent with showing it. */
const REST = 4;

/**
 * The time in which the devtools are in the page with one client: listens to it, and keeps the panel in
 * sight up to date. While they are closed nothing is read from the database.
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #context: PanelContext;
  readonly #data: DataPanel;
  readonly #panels: ReadonlyMap<TabName, Panel>;
  readonly #stops: readonly (() => void)[];
  readonly #closing: AbortController = new AbortController();
  #open = false;
  #running = false;
  #due = false;
  #counted = false;
  // What changed since a panel was last brought up to date; a panel that is not here needs all.
  readonly #stale: Map<Panel, Set<string>> = new Map();

  constructor(options: SessionOptions) {
    this.#options = options;
    const { client, inspection, dock, clock } = options;
    const received = new Received(inspection, client.clientId);
    const log = new SyncLog(client.status, clock);
    this.#context = {
      client,
      inspection,
      received,
      log,
      openRow: (table, id) => {
        dock.pick("data");
        void this.#data.open(table, id);
      },
      say: (text) => {
        dock.say(text);
        this.#touch();
      },
    };
    this.#data = new DataPanel(this.#context);
    this.#panels = new Map<TabName, Panel>([
      ["data", this.#data],
      ["outbox", new OutboxPanel(this.#context)],
      ["rejected", new RejectedPanel(this.#context)],
      ["timeline", new TimelinePanel(this.#context)],
      ["log", new LogPanel(this.#context)],
      ["storage", new StoragePanel(this.#context)],
    ]);
    const recount = (): void => {
      this.#counted = false;
      this.#touch();
    };
    this.#stops = [
      log.listen(client),
      inspection.watch((changed) => this.#changed(changed), recount),
      client.on("status", (status) => {
        dock.setStatus(status);
        this.#touch();
      }),
      client.on("synced", () => this.#touch()),
      client.on("error", () => this.#touch()),
      client.on("rejected", (letters) => {
        for (const { delta } of letters) received.undone(delta.table, delta.rowId);
        recount();
      }),
    ];
    dock.picked = () => this.#touch();
    void received.begin();
    this.#show();
  }

  /** The devtools were opened or closed. */
  opened(open: boolean): void {
    this.#open = open;
    this.#counted = false;
    this.#touch();
  }

  /** Lets go of the client and all that was made. */
  close(): void {
    this.#closing.abort();
    for (const stop of this.#stops) stop();
    for (const panel of this.#panels.values()) panel.close();
  }

  #changed(changed: ChangedRows): void {
    this.#context.received.note(changed, this.#options.clock.now());
    for (const [panel, tables] of this.#stale) {
      for (const [table, ids] of changed) {
        // Any row: it may have another column now, too.
        if (ids === undefined) this.#stale.delete(panel);
        else tables.add(table);
      }
    }
    this.#counted = false;
    this.#touch();
  }

  #touch(): void {
    this.#due = true;
    if (this.#open && !this.#running) void this.#run();
  }

  #show(): Panel {
    const { dock } = this.#options;
    const panel = this.#panels.get(dock.tab)!;
    dock.show(panel.element);
    return panel;
  }

  /** Brings what is in sight up to date, for as long as there is news. */
  async #run(): Promise<void> {
    const { scheduler, clock } = this.#options;
    const { signal } = this.#closing;
    this.#running = true;
    while (this.#due && this.#open && !signal.aborted) {
      this.#due = false;
      const from = clock.now();
      const panel = this.#show();
      const tables = this.#stale.get(panel);
      this.#stale.set(panel, new Set());
      await panel.refresh({ tables });
      await this.#count();
      const took = clock.now() - from;
      await scheduler.delay(Math.max(PAUSE_MS, (REST - 1) * took), { signal });
    }
    this.#running = false;
  }

  async #count(): Promise<void> {
    if (this.#counted) return;
    this.#counted = true;
    const { client, dock } = this.#options;
    const letters = await client.query("SELECT count(*) AS n FROM lakesync_rejected");
    if (letters.ok) dock.setCount("rejected", letters.value[0]!.n as number);
  }
}
