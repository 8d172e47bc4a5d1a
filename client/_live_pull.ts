import {
  err,
  LakeSyncError,
  ok,
  type Result,
  type Scheduler,
  type SqlTransaction,
} from "@lakesync/core";
import { applyPage, isOwnPage } from "./_apply_page.ts";
import { commitSoon } from "./_commit_soon.ts";
import { knownSchema } from "./_learned.ts";
import { behindBy } from "./_log_seq.ts";
import { readState } from "./_state.ts";
import type { SyncContext } from "./_sync_context.ts";
import type { SyncSummary } from "./status.ts";

/** How long a gateway is asked to hold a pull, in seconds: proxies cut what is silent for a minute. */
export const HOLD_SECONDS = 30;

/** What {@linkcode pullLive} works with. */
export interface LivePullOptions {
  /** Stops it. */
  readonly signal: AbortSignal;
  /** Told about each page that is in the base. */
  readonly applied: (summary: SyncSummary) => void;
  /** The pause after an answer that should have been held and was not, in ms. */
  readonly intervalMs: number;
  readonly scheduler: Scheduler;
}

/**
 * Keeps a pull under way and applies what comes, page by page, each in one local transaction and only
 * where it follows on the cursor that is held.
 *
 * @returns When it ends: a success where a sync has to look after things (a checkpoint is due), else
 * why it cannot go on.
 */
export async function pullLive(
  context: SyncContext,
  options: LivePullOptions,
): Promise<Result<void>> {
  const { database, transport, clientId, tables, clock } = context;
  const { signal } = options;
  let held: string | undefined;
  let schema: ReturnType<typeof knownSchema> = {};
  for (;;) {
    if (held === undefined) {
      const state = await database.transaction(readState);
      if (!state.ok) return state;
      if (state.value.due !== 0 || state.value.cursor === "") return ok(undefined);
      held = state.value.cursor;
      schema = knownSchema(state.value);
    }
    if (signal.aborted) return stopped();
    const cursor = held;
    const askedAt = clock.now();
    const page = await transport.pull({
      clientId,
      cursor,
      tables: [...tables.keys()],
      own: "ids",
      ...schema,
      tell: "head",
      wait: HOLD_SECONDS,
    }, { signal });
    if (!page.ok) return page;
    const receivedAt = clock.now();
    const apply = (tx: SqlTransaction) =>
      applyPage(tx, page.value, { cursor, tables, receivedAt, live: true });
    const applied = isOwnPage(page.value)
      ? await commitSoon(database, apply)
      : await database.transaction(apply);
    if (!applied.ok) return applied;
    if (applied.value.status === "checkpoint") return ok(undefined);
    if (applied.value.status !== "applied") {
      // A sync that was asked for meanwhile has moved on: go on from there.
      held = undefined;
      continue;
    }
    const { deltas, seq } = page.value;
    held = page.value.cursor;
    schema = { ...schema, schema: page.value.schema?.tag ?? schema.schema ?? "" };
    context.changed(applied.value.changed);
    context.board.set({ behind: behindBy(page.value) });
    options.applied({
      pulled: deltas.length,
      checkpointRows: 0,
      pushed: 0,
      duplicates: 0,
      rejected: 0,
      seq,
    });
    const wasHeld = receivedAt - askedAt >= HOLD_SECONDS * 500;
    if (deltas.length === 0 && held === cursor && !wasHeld) {
      // A gateway that does not know `wait`, or a proxy's cache: not to ask it without a pause.
      await options.scheduler.delay(options.intervalMs, { signal });
    }
  }
}

function stopped(): Result<never> {
  return err(new LakeSyncError("ABORTED", "Live pulling was stopped"));
}
