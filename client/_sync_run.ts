import {
  type Clock,
  err,
  LakeSyncError,
  type Logger,
  type LogSeq,
  ok,
  type Result,
  type SqlDatabase,
  type SqlTransaction,
  type SyncTransport,
} from "@lakesync/core";
import { applyCheckpoint } from "./_apply_checkpoint.ts";
import { applyPage } from "./_apply_page.ts";
import { firstSyncOf } from "./_first_sync.ts";
import type { Changed } from "./_live_hub.ts";
import { knownSchema, widened } from "./_learned.ts";
import type { LocalTable } from "./_local_table.ts";
import { behindBy } from "./_log_seq.ts";
import {
  beginPush,
  bury,
  endOfOutbox,
  type FlyingDelta,
  type FlyingPush,
  groupDeltas,
  type Refusal,
  releasePush,
} from "./_outbox.ts";
import { PUSH_DELTAS } from "./_push_limits.ts";
import { applyPushAnswer, type PushOutcome } from "./_push_answer.ts";
import { type ClientState, readState, writeState } from "./_state.ts";
import { pruneOwn } from "./_settle.ts";
import type { StatusBoard } from "./_status_board.ts";
import type { SyncSummary } from "./status.ts";

/** Rounds in which nothing moves on before a sync gives up. */
const MAX_FRUITLESS = 4;

/** Push-and-pull rounds of one sync: what is written meanwhile may have to wait for the next. */
const MAX_ROUNDS = 8;

/** What a sync works with. */
export interface SyncContext {
  readonly clientId: string;
  readonly schemaVersion: number;
  readonly database: SqlDatabase;
  readonly transport: SyncTransport;
  readonly tables: ReadonlyMap<string, LocalTable>;
  readonly clock: Clock;
  /** How long settled deltas are kept, in ms. */
  readonly retentionMs: number;
  readonly logger: Logger;
  /** What the client knows about its sync. */
  readonly board: StatusBoard;
  /** Told after each transaction what it changed. */
  readonly changed: (changed: Changed) => void;
  /** Told about deltas that have become dead letters. */
  readonly refused: (refusals: readonly Refusal[]) => void;
}

/** One sync: pull all pages, push all of the outbox, pull what that brought. */
export class SyncRun {
  readonly #context: SyncContext;
  readonly #signal: AbortSignal;
  #limit = PUSH_DELTAS;
  #pulled = 0;
  #checkpointRows = 0;
  #pushed = 0;
  #duplicates = 0;
  #rejected = 0;
  #seq: LogSeq = 0;
  #due = false;

  constructor(context: SyncContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
  }

  /** Pulls, pushes, and pulls what that brought. */
  async sync(): Promise<Result<SyncSummary>> {
    let pulled = await this.#pullAll();
    for (let round = 0; pulled.ok && round < MAX_ROUNDS; round++) {
      const pushed = await this.#pushAll();
      if (!pushed.ok) return pushed;
      if (pushed.value === 0) break;
      pulled = await this.#pullAll();
    }
    return pulled.ok ? this.#summary() : pulled;
  }

  /** Only pushes: a client whose pages come by themselves. First what is written as flying already. */
  async push(flying?: FlyingPush): Promise<Result<SyncSummary>> {
    if (flying !== undefined) {
      const sent = await this.#send(flying);
      if (!sent.ok) return sent;
    }
    const pushed = await this.#pushAll();
    if (!pushed.ok) return pushed;
    // The answer told of another log: pages do not come by themselves now.
    return this.#due ? await this.sync() : this.#summary();
  }

  #summary(): Result<SyncSummary> {
    return ok({
      pulled: this.#pulled,
      checkpointRows: this.#checkpointRows,
      pushed: this.#pushed,
      duplicates: this.#duplicates,
      rejected: this.#rejected,
      seq: this.#seq,
    });
  }

  async #pullAll(): Promise<Result<void>> {
    const { database, transport, clientId, tables, clock } = this.#context;
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
      const page = await transport.pull(
        {
          clientId,
          cursor,
          tables: [...tables.keys()],
          own: "ids",
          tell: "head",
          ...knownSchema(state.value),
        },
        { signal: this.#signal },
      );
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
      const applied = await database.transaction((tx) =>
        applyPage(tx, page.value, { cursor, tables, receivedAt, live: false })
      );
      if (!applied.ok) return applied;
      if (applied.value.status !== "applied") {
        fruitless++;
        continue;
      }
      this.#pulled += page.value.deltas.length;
      this.#seq = page.value.seq;
      this.#context.changed(applied.value.changed);
      this.#context.board.set({ behind: behindBy(page.value) });
      if (!page.value.hasMore) return ok(undefined);
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

  /** Pushes what is in the outbox now; how many deltas were sent. */
  async #pushAll(): Promise<Result<number>> {
    const { database } = this.#context;
    // What is written meanwhile is for the next round: so a busy writer does not hold the sync here.
    const end = await database.transaction(endOfOutbox);
    if (!end.ok) return end;
    const through = end.value;
    if (through === 0) return ok(0);
    let sent = 0;
    for (let fruitless = 0; fruitless < MAX_FRUITLESS;) {
      if (this.#signal.aborted) return aborted();
      const limit = this.#limit;
      const begun = await database.transaction(async (tx): Promise<FlyingPush> => ({
        deltas: await beginPush(tx, { limit, through }),
        base: (await readState(tx)).seq,
      }));
      if (!begun.ok) return begun;
      const { length } = begun.value.deltas;
      if (length === 0) return ok(sent);
      sent += length;
      const outcome = await this.#send(begun.value);
      if (!outcome.ok) return outcome;
      if (outcome.value === "again") fruitless++;
      else if (outcome.value === "taken") fruitless = 0;
    }
    return err(
      new LakeSyncError(
        "CLOCK_DRIFT",
        "Cannot push: the gateway keeps refusing this device's time, check the clocks of both",
      ),
    );
  }

  /**
   * Sends a push and applies its answer: whether that took any of it for good, none of it because of
   * its stamps, or refused it as a whole.
   */
  async #send(push: FlyingPush): Promise<Result<"taken" | "again" | "refused">> {
    const { deltas: pushed, base } = push;
    const { database, transport, clientId, schemaVersion, clock, retentionMs } = this.#context;
    if (this.#signal.aborted) return aborted();
    const answer = await transport.push(
      { clientId, deltas: pushed.map(({ delta }) => delta), schemaVersion },
      { signal: this.#signal },
    );
    const receivedAt = clock.now();
    if (!answer.ok) {
      const refused = await this.#refusePush(pushed, answer.error, receivedAt);
      return refused.ok ? ok("refused") : refused;
    }
    const applied = await database.transaction(async (tx) => {
      const { tables } = this.#context;
      const outcome = await applyPushAnswer(tx, answer.value, { pushed, base, tables, receivedAt });
      await pruneOwn(tx, { before: receivedAt - retentionMs });
      return outcome;
    });
    if (!applied.ok) return applied;
    const { accepted, duplicates } = answer.value;
    this.#limit = Math.min(PUSH_DELTAS, this.#limit * 2);
    this.#pushed += accepted;
    this.#duplicates += duplicates;
    const { again, refusals, seq, due } = applied.value;
    this.#seq = seq;
    this.#due = due;
    this.#report(applied.value, refusals, pushed.length - again);
    return ok(again === pushed.length ? "again" : "taken");
  }

  /** Deals with a push that was answered as a whole: an error is returned where it must wait. */
  async #refusePush(
    pushed: readonly FlyingDelta[],
    error: LakeSyncError,
    now: number,
  ): Promise<Result<void>> {
    const { database, tables } = this.#context;
    switch (error.code) {
      case "VALIDATION_ERROR":
      case "FORBIDDEN":
      case "PAYLOAD_TOO_LARGE": {
        const groups = groupDeltas(pushed);
        if (groups.length > 1) {
          const released = await database.transaction(releasePush);
          if (!released.ok) return released;
          // Half of the transactions: of their deltas at most so many go next time.
          const half = groups.slice(0, groups.length >> 1);
          this.#limit = half.reduce((sum, group) => sum + group.length, 0);
          return ok(undefined);
        }
        const { code, message } = error;
        const refusals = pushed.map((flying) => ({ flying, code, message }));
        const buried = await database.transaction(async (tx) => {
          const { learned } = await readState(tx);
          return await bury(tx, refusals, { now, tables: widened(tables, learned) });
        });
        if (!buried.ok) return buried;
        this.#limit = PUSH_DELTAS;
        this.#report(buried.value, refusals, pushed.length);
        return ok(undefined);
      }
      case "CONFLICT": {
        // The gateway does not know this app's schema yet: hold the outbox.
        const released = await database.transaction(releasePush);
        return released.ok ? err(error) : released;
      }
      default:
        // It may have arrived: the same push is repeated.
        return err(error);
    }
  }

  /** Tells what became of a push, of which so many deltas are done with. */
  #report(
    outcome: Pick<PushOutcome, "changed">,
    refusals: readonly Refusal[],
    done: number,
  ): void {
    const { board } = this.#context;
    this.#rejected += refusals.length;
    board.set({ outbox: board.status.outbox - done });
    this.#context.changed(outcome.changed);
    if (refusals.length > 0) this.#context.refused(refusals);
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

function aborted(): Result<never> {
  return err(new LakeSyncError("ABORTED", "The sync was stopped: call syncOnce to go on"));
}

/** How new a checkpoint must be: as new as the base, where that is of the gateway's present log. */
function newEnough({ due, seq }: ClientState): { atLeast?: number } {
  return due === 2 || typeof seq !== "number" ? {} : { atLeast: seq };
}
