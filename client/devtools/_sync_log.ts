import type { Clock, LakeSyncError } from "@lakesync/core";
import type { InspectedClient } from "../inspect.ts";
import type { ClientStatus, DeadLetter, SyncSummary } from "../status.ts";
import { plural, seqText } from "./_format.ts";
import { Ring } from "./_ring.ts";

/** A line of the sync log. */
export interface SyncLogEntry {
  /** When it was, in ms since the Unix epoch by the device's clock; the last time, where it was several. */
  readonly at: number;
  readonly kind: "checkpoint" | "pull" | "push" | "sync" | "rejected" | "error" | "status";
  readonly text: string;
  /** The error's code. */
  readonly code?: string;
  /** How often it was in a row. */
  readonly times: number;
}

/** Writes down what a client's sync does, the newest 500 lines of it. */
export class SyncLog {
  readonly entries: Ring<SyncLogEntry> = new Ring(500);
  readonly #clock: Clock;
  #status: ClientStatus;

  constructor(status: ClientStatus, clock: Clock) {
    this.#status = status;
    this.#clock = clock;
  }

  /** Begins to listen; returns how to stop. */
  listen(client: InspectedClient): () => void {
    const stops = [
      client.on("synced", (summary) => this.#synced(summary)),
      client.on("error", (error) => this.#failed(error)),
      client.on("rejected", (letters) => this.#rejected(letters)),
      client.on("status", (status) => this.#changed(status)),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  #synced(summary: SyncSummary): void {
    const { pulled, checkpointRows, pushed, duplicates, rejected, seq } = summary;
    const at = `now at ${seqText(seq)}`;
    if (checkpointRows > 0) {
      this.#add({ kind: "checkpoint", text: `Took ${plural(checkpointRows, "row")}, ${at}` });
    }
    if (pulled > 0) this.#add({ kind: "pull", text: `Pulled ${plural(pulled, "item")}, ${at}` });
    if (pushed + duplicates + rejected > 0) {
      const parts = [
        `${plural(pushed, "delta")} accepted`,
        ...(duplicates > 0 ? [`${duplicates} known already`] : []),
        ...(rejected > 0 ? [`${rejected} rejected`] : []),
      ];
      this.#add({ kind: "push", text: `Pushed: ${parts.join(", ")}` });
    }
    if (checkpointRows + pulled + pushed + duplicates + rejected === 0) {
      this.#add({ kind: "sync", text: `Nothing new, ${at}` });
    }
  }

  #failed({ code, message }: LakeSyncError): void {
    this.#add({ kind: "error", code, text: message });
  }

  #rejected(letters: readonly DeadLetter[]): void {
    const codes = [...new Set(letters.map(({ code }) => code))].join(", ");
    const text = `${plural(letters.length, "change")} rejected and undone: retry or drop them`;
    this.#add({ kind: "rejected", code: codes, text });
  }

  /** Only what a person would tell: not each turn from idle to syncing and back. */
  #changed(status: ClientStatus): void {
    const before = this.#status;
    this.#status = status;
    if (status.online !== before.online && status.online !== undefined) {
      this.#add({ kind: "status", text: status.online ? "Online" : "Offline" });
    }
    if (status.blocked !== before.blocked && status.blocked !== undefined) {
      this.#add({ kind: "status", text: `Blocked by: ${status.blocked}` });
    }
    const told = ["paused", "closed"];
    if (status.state === before.state) return;
    if (told.includes(status.state)) {
      this.#add({ kind: "status", text: status.state === "paused" ? "Paused" : "Closed" });
    } else if (before.state === "paused") this.#add({ kind: "status", text: "Resumed" });
  }

  #add(entry: Omit<SyncLogEntry, "at" | "times">): void {
    const at = this.#clock.now();
    const last = this.entries.items.at(-1);
    if (last?.kind === entry.kind && last.text === entry.text && last.code === entry.code) {
      this.entries.replaceLast({ ...last, at, times: last.times + 1 });
    } else this.entries.push({ ...entry, at, times: 1 });
  }
}
