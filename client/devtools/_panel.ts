import type { InspectedClient, Inspection } from "../inspect.ts";
import type { Received } from "./_received.ts";
import type { SyncLog } from "./_sync_log.ts";

/** What has changed since a panel was brought up to date. */
export interface News {
  /** The tables with changed rows; undefined where it may be any. */
  readonly tables: ReadonlySet<string> | undefined;
}

/** What a panel shows, and what it can ask for. */
export interface PanelContext {
  readonly client: InspectedClient;
  readonly inspection: Inspection;
  readonly received: Received;
  readonly log: SyncLog;
  /** Shows a row with all that is known of it. */
  readonly openRow: (table: string, id: string) => void;
  /** Tells people what a button of theirs has done. */
  readonly say: (text: string) => void;
}

/** One of the things that devtools show. */
export interface Panel {
  readonly element: HTMLElement;
  /** Brings it up to date, when it comes into sight and after changes. */
  refresh(news: News): Promise<void>;
  /** Lets go of it. */
  close(): void;
}
