import type { ErrorCode } from "@lakesync/core";
import type { Emitter } from "./_emitter.ts";
import type { BlockedReason, ClientEvents, ClientStatus, SyncState } from "./status.ts";

/** What a status is made of, beside what follows from it. */
export type StatusFacts = Omit<ClientStatus, "blocked">;

/** Failures that last until somebody acts, and what stands in the way. */
const BLOCKING: ReadonlyMap<ErrorCode, BlockedReason> = new Map<ErrorCode, BlockedReason>([
  ["CONFLICT", "schema"],
  ["UNAUTHENTICATED", "token"],
  ["FORBIDDEN", "access"],
  ["NOT_FOUND", "gateway"],
  ["METHOD_NOT_ALLOWED", "gateway"],
  ["VALIDATION_ERROR", "gateway"],
  ["CORRUPT", "database"],
]);

/** Whether a failure lasts until somebody acts. */
export function isBlocking(code: ErrorCode): boolean {
  return BLOCKING.has(code);
}

/** What a client knows about its sync, and tells where it changes. */
export class StatusBoard {
  readonly #events: Emitter<ClientEvents>;
  #status: ClientStatus;

  constructor(events: Emitter<ClientEvents>, state: SyncState, outbox: number) {
    this.#events = events;
    this.#status = {
      state,
      online: undefined,
      behind: undefined,
      outbox,
      blocked: undefined,
      error: undefined,
      lastSyncedAt: undefined,
      firstSync: undefined,
    };
  }

  /** The status: another object after each change. */
  get status(): ClientStatus {
    return this.#status;
  }

  /** Takes note of facts. */
  set(facts: Partial<StatusFacts>): void {
    const before = this.#status;
    const next = { ...before, ...facts };
    const names = Object.keys(facts) as (keyof StatusFacts)[];
    if (names.every((name) => Object.is(before[name], next[name]))) return;
    const blocked = next.error && BLOCKING.get(next.error.code);
    this.#status = { ...next, blocked };
    this.#events.emit("status", this.#status);
  }
}
