import {
  err,
  LakeSyncError,
  type LogSeq,
  ok,
  type PullRequest,
  type Result,
  type SqlTransaction,
} from "@lakesync/core";
import { applyCheckpoint } from "./_apply_checkpoint.ts";
import { applyPage, isOwnPage } from "./_apply_page.ts";
import { commitSoon } from "./_commit_soon.ts";
import { firstSyncOf } from "./_first_sync.ts";
import { knownSchema } from "./_learned.ts";
import { behindBy } from "./_log_seq.ts";
import type { FlyingPush } from "./_outbox.ts";
import { PullAhead } from "./_pull_ahead.ts";
import type { PushSize } from "./_push_limits.ts";
import { aborted, PushRun } from "./_push_run.ts";
import { type ClientState, readState, writeState } from "./_state.ts";
import type { SyncContext } from "./_sync_context.ts";
import type { SyncSummary } from "./status.ts";

/** Rounds in which nothing moves on before a sync gives up. */
const MAX_FRUITLESS = 4;

/** Push-and-pull rounds of one sync: what is written meanwhile may have to wait for the next. */
const MAX_ROUNDS = 8;

/** One sync: pull all pages, push all of the outbox, pull what that brought. */
export class SyncRun {
  readonly #context: SyncContext;
  readonly #signal: AbortSignal;
  #pulled = 0;
  #checkpointRows = 0;
  #seq: LogSeq = 0;
  readonly #pushes: PushRun;

  constructor(context: SyncContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
    this.#pushes = new PushRun(context, signal);
  }

  /** Pulls, pushes, and pulls what that brought. */
  async sync(): Promise<Result<SyncSummary>> {
    let pulled = await this.#pullAll();
    for (let round = 0; pulled.ok && round < MAX_ROUNDS; round++) {
      const pushed = await this.#pushes.all();
      if (!pushed.ok) return pushed;
      if (pushed.value === 0) break;
      pulled = await this.#pullAll();
    }
    return pulled.ok ? this.#summary() : pulled;
  }

  /** Only pushes: a client whose pages come by themselves. First what is written as flying already. */
  async push(flying?: FlyingPush): Promise<Result<SyncSummary>> {
    const pushed = await this.#pushes.all({ flying, live: true });
    if (!pushed.ok) return pushed;
    this.#seq = this.#pushes.seq;
    // The answer told of another log: pages do not come by themselves now.
    return this.#pushes.due ? await this.sync() : this.#summary();
  }

  /** Whether so much may be written as flying now, to follow the push that is under way. */
  takes(size: PushSize): boolean {
    return this.#pushes.takes(size);
  }

  /** Takes what was written so; false where it is too late for that. */
  add(flying: FlyingPush): boolean {
    return this.#pushes.add(flying);
  }

  #summary(): Result<SyncSummary> {
    return ok({
      pulled: this.#pulled,
      checkpointRows: this.#checkpointRows,
      pushed: this.#pushes.pushed,
      duplicates: this.#pushes.duplicates,
      rejected: this.#pushes.rejected,
      seq: this.#seq,
    });
  }

  async #pullAll(): Promise<Result<void>> {
    const pages = new PullAhead(this.#context.transport, this.#signal);
    try {
      return await this.#pullPages(pages);
    } finally {
      pages.stop();
    }
  }

  async #pullPages(pages: PullAhead): Promise<Result<void>> {
    const { database, clientId, tables, clock } = this.#context;
    for (let fruitless = 0; fruitless < MAX_FRUITLESS;) {
      const state = await database.transaction(readState);
      if (!state.ok) return state;
      this.#seq = state.value.seq;
      const { cursor, due } = state.value;
      if (cursor === "" || due === 2) {
        const taken = await this.#takeCheckpoint(state.value);
        if (!taken.ok) return taken;
        if (!taken.value) fruitless++;
        continue;
      }
      if (this.#signal.aborted) return aborted();
      // Also where a checkpoint is due: only the answer for the old cursor tells of a reset.
      const request: PullRequest = {
        clientId,
        cursor,
        tables: [...tables.keys()],
        own: "ids",
        tell: "head",
        ...knownSchema(state.value),
      };
      const page = await pages.pull(request);
      const receivedAt = clock.now();
      if (!page.ok || due === 1) {
        if (!page.ok && page.error.code !== "CHECKPOINT_REQUIRED") return page;
        const reset = !page.ok && RESET_REASONS.has(page.error.details?.reason);
        const noted = await database.transaction((tx) => markDue(tx, cursor, reset ? 2 : 1));
        if (!noted.ok) return noted;
        const taken = await this.#takeCheckpoint(noted.value);
        if (!taken.ok) return taken;
        fruitless++;
        continue;
      }
      const { hasMore, schema } = page.value;
      if (hasMore && schema === undefined) pages.ahead({ ...request, cursor: page.value.cursor });
      const apply = (tx: SqlTransaction) =>
        applyPage(tx, page.value, { cursor, tables, receivedAt, live: false });
      const applied = isOwnPage(page.value)
        ? await commitSoon(database, apply)
        : await database.transaction(apply);
      if (!applied.ok) return applied;
      if (applied.value.status === "overtaken") {
        // By pages that came by themselves meanwhile.
        this.#seq = page.value.seq;
        if (hasMore) continue;
        return ok(undefined);
      }
      if (applied.value.status !== "applied") {
        fruitless++;
        continue;
      }
      this.#pulled += page.value.deltas.length;
      this.#seq = page.value.seq;
      this.#context.changed(applied.value.changed);
      this.#context.board.set({ behind: behindBy(page.value) });
      if (!hasMore) return ok(undefined);
      if (page.value.cursor === cursor) fruitless++;
    }
    return err(
      new LakeSyncError(
        "CONFLICT",
        "Cannot pull: the gateway keeps asking for checkpoints or another process syncs the same database, see that only one does",
      ),
    );
  }

  /** Takes a checkpoint; false where it was overtaken. */
  async #takeCheckpoint(asked: ClientState): Promise<Result<boolean>> {
    const { database, transport, clientId, schemaVersion, tables, clock, board } = this.#context;
    if (this.#signal.aborted) return aborted();
    const checkpoint = await transport.checkpoint(
      { clientId, tables: [...tables.keys()], schemaVersion, ...newEnough(asked) },
      { signal: this.#signal },
    );
    if (!checkpoint.ok) return checkpoint;
    const isFirst = asked.cursor === "";
    const staged = (rows: number): void => {
      if (isFirst) board.set({ firstSync: firstSyncOf(checkpoint.value, rows) });
    };
    staged(0);
    const applied = await applyCheckpoint(database, checkpoint.value, {
      asked,
      tables,
      schemaVersion,
      now: clock.now(),
      staged,
    });
    board.set({ firstSync: undefined });
    if (!applied.ok) return applied;
    if (applied.value.status === "stale") return ok(false);
    board.set({ outbox: board.status.outbox + applied.value.requeued });
    this.#checkpointRows += applied.value.rows;
    this.#seq = checkpoint.value.seq;
    this.#context.logger.log("info", "checkpoint", {
      seq: checkpoint.value.seq,
      rows: applied.value.rows,
    });
    this.#context.changed(new Map([...tables.keys()].map((table) => [table, undefined])));
    return ok(true);
  }
}

/** Why a gateway asks for a checkpoint, where its log is not the one that the client knew. */
const RESET_REASONS: ReadonlySet<unknown> = new Set(["ahead", "hash", "epoch"]);

/** Notes that a checkpoint is due in the place of this cursor; the state as it then is. */
async function markDue(tx: SqlTransaction, cursor: string, due: 1 | 2): Promise<ClientState> {
  const state = await readState(tx);
  if (state.cursor === cursor && state.due < due) {
    state.due = due;
    await writeState(tx, state);
  }
  return state;
}

/** How new a checkpoint must be: as new as the base, where that is of the gateway's present log. */
function newEnough({ due, seq }: ClientState): { atLeast?: number } {
  return due === 2 || typeof seq !== "number" ? {} : { atLeast: seq };
}
