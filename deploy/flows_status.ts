import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Clock,
  err,
  type ErrorCode,
  LakeSyncError,
  ok,
  type Result,
  toLakeSyncError,
} from "@lakesync/core";
import type { DestinationState, Gateway } from "@lakesync/gateway";

/** How a flow is. */
export interface FlowState {
  /** Its `from`. */
  readonly flow: string;
  /** The log that it goes into: a gateway's id, or its own. */
  readonly log: string;
  /** The destination that it is copied to past that log, which keeps its place; left out for others. */
  readonly destination?: string;
  /** `elsewhere`: another process has it. */
  readonly state: "reading" | "waiting" | "failed" | "elsewhere";
  /** Records read since the process started. */
  readonly records: number;
  /** Deltas that they made. */
  readonly deltas: number;
  /** When the source was last read to its end, ms since the Unix epoch; null for never. */
  readonly readAt: number | null;
  /** What the last reading or flush failed with; null where it did not. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
}

/** How far a log's destination is, and what it fails with. */
export interface RouteState extends DestinationState {
  /** The log. */
  readonly log: string;
  /** The destination. */
  readonly destination: string;
}

/** What a server tells of its flows. */
export interface FlowsStatus {
  /** When, ms since the Unix epoch. */
  readonly at: number;
  readonly flows: readonly FlowState[];
  readonly destinations: readonly RouteState[];
}

/** Where a server writes it down. */
export function flowsStatusPath(data: string): string {
  return join(data, "flows.json");
}

/** Keeps a server's status file up to date. */
export class FlowsStatusFile {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #states = new Map<string, FlowState>();
  readonly #logs: readonly Gateway[];
  #writing: Promise<void> = Promise.resolve();
  #due = false;

  constructor(options: { data: string; clock: Clock; logs: readonly Gateway[] }) {
    this.#path = flowsStatusPath(options.data);
    this.#clock = options.clock;
    this.#logs = options.logs;
  }

  /** Notes how a flow is. */
  set(state: FlowState): void {
    this.#states.set([state.log, state.flow, state.destination].join("\0"), state);
    this.write();
  }

  /** Writes it soon. */
  write(): void {
    if (this.#due) return;
    this.#due = true;
    this.#writing = this.#writing.then(async () => {
      this.#due = false;
      await this.#write();
    });
  }

  /** Resolves when everything noted so far is written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const destinations: RouteState[] = [];
    for (const gateway of this.#logs) {
      const stats = await gateway.stats();
      if (!stats.ok) continue;
      for (const [destination, state] of Object.entries(stats.value.destinations)) {
        destinations.push({ log: gateway.id, destination, ...state });
      }
    }
    const flows = [...this.#states.values()];
    const status: FlowsStatus = { at: this.#clock.now(), flows, destinations };
    try {
      await mkdir(dirname(this.#path), { recursive: true });
      await writeFile(`${this.#path}.new`, JSON.stringify(status));
      await rename(`${this.#path}.new`, this.#path);
    } catch {
      // It is for people to look at: data flows without it.
    }
  }
}

/**
 * Reads what a server told last.
 *
 * @param data Its data directory.
 * @returns The status; `NOT_FOUND` where none was written, `CORRUPT` where it is something else.
 */
export async function readFlowsStatus(data: string): Promise<Result<FlowsStatus>> {
  const path = flowsStatusPath(data);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code !== "ENOENT") return err(toLakeSyncError(cause, "STORAGE_ERROR"));
    return err(
      new LakeSyncError(
        "NOT_FOUND",
        `There is no "${path}": start a server with that data directory`,
        { cause },
      ),
    );
  }
  try {
    const status = JSON.parse(text) as FlowsStatus;
    if (Array.isArray(status.flows) && Array.isArray(status.destinations)) return ok(status);
  } catch {
    // As what is no status.
  }
  return err(new LakeSyncError("CORRUPT", `"${path}" is no status of flows: remove it`));
}
