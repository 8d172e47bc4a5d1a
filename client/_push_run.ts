import {
  err,
  LakeSyncError,
  type LogSeq,
  ok,
  type PushAnswer,
  type Result,
  type SqlTransaction,
} from "@lakesync/core";
import { commitSoon } from "./_commit_soon.ts";
import { widened } from "./_learned.ts";
import {
  beginPush,
  bury,
  endOfOutbox,
  type FlyingDelta,
  type FlyingPush,
  groupDeltas,
  headOf,
  isOutboxEmpty,
  prepareNext,
  type Refusal,
  releaseAfter,
  releasePush,
} from "./_outbox.ts";
import { MAX_FLYING_DELTAS, MAX_PUSH_BYTES, PUSH_DELTAS, type PushSize } from "./_push_limits.ts";
import { applyPushAnswer, type PushOutcome } from "./_push_answer.ts";
import { readState } from "./_state.ts";
import { pruneOwn } from "./_settle.ts";
import type { SyncContext } from "./_sync_context.ts";

/** Pushes in which nothing moves on before a run gives up. */
const MAX_FRUITLESS = 4;

/** A push that is under way. */
interface Flight {
  readonly push: FlyingPush;
  readonly answer: Promise<Result<PushAnswer>>;
}

/** What became of a push, and whether the outbox is empty now. */
interface Landed {
  readonly done: "taken" | "again" | "refused";
  readonly isEmpty: boolean;
}

/** How {@linkcode PushRun.all} begins. */
export interface PushAllOptions {
  /**
   * What is written as flying already.
   *
   * @default {undefined} what the outbox has
   */
  flying?: FlyingPush | undefined;
  /**
   * Whether what is written meanwhile may follow at once, {@linkcode PushRun.add}.
   *
   * @default {false}
   */
  live?: boolean;
}

/**
 * Pushes of one run, one after the other. While one is under way the next is made ready, and as soon as
 * it is answered that one goes out: what the answer says is written down meanwhile.
 */
export class PushRun {
  /** How many deltas were accepted. */
  pushed = 0;
  /** How many of them the gateway had already. */
  duplicates = 0;
  /** How many became dead letters. */
  rejected = 0;
  /** The log position of the base after the last answer. */
  seq: LogSeq = 0;
  /** Whether an answer told of another log: a checkpoint is due. */
  due = false;
  readonly #context: SyncContext;
  readonly #signal: AbortSignal;
  #limit = PUSH_DELTAS;
  // Up to where the outbox is pushed, while it is.
  #through: number | undefined;
  // Written as flying, and not sent yet.
  #ready: FlyingDelta[] = [];
  // What is flying, sent or not.
  #size: PushSize = { deltas: 0, bytes: 0 };
  #open = false;

  constructor(context: SyncContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
  }

  /** Whether so much may be written as flying now, to follow what is under way. */
  takes({ deltas, bytes }: PushSize): boolean {
    return this.#open && !this.#signal.aborted &&
      this.#size.deltas + deltas <= MAX_FLYING_DELTAS &&
      this.#size.bytes + bytes <= MAX_PUSH_BYTES;
  }

  /** Takes what was written as flying; false where it is too late for that. */
  add({ deltas }: FlyingPush): boolean {
    if (!this.#open) return false;
    this.#makeReady(deltas);
    return true;
  }

  /**
   * Pushes what is in the outbox now; how many deltas were sent. What is written meanwhile is for the
   * next run where there is no room for it: so a busy writer does not hold the sync here.
   */
  async all({ flying, live = false }: PushAllOptions = {}): Promise<Result<number>> {
    this.#through = undefined;
    this.#size = { deltas: 0, bytes: 0 };
    const pushed = await this.#all(flying, live);
    this.#open = false;
    const [first] = this.#ready;
    this.#ready = [];
    if (first !== undefined) await this.#release(first.ord - 1);
    return pushed;
  }

  async #all(flying: FlyingPush | undefined, live: boolean): Promise<Result<number>> {
    if (flying !== undefined) this.#grow(flying.deltas);
    let sent = 0;
    let flight = flying && this.#depart(flying);
    for (let fruitless = 0; fruitless < MAX_FRUITLESS;) {
      if (flight === undefined) {
        this.#open = false;
        const begun = await this.#begin();
        if (!begun.ok) return begun;
        if (begun.value === undefined) return ok(sent);
        flight = this.#depart(begun.value);
      }
      sent += flight.push.deltas.length;
      this.#open = live;
      await this.#prepare(flight.push);
      const answer = await flight.answer;
      const receivedAt = this.#context.clock.now();
      // After one that is not clean, what follows is made anew.
      const isClean = answer.ok && answer.value.rejected.length === 0 && !this.#signal.aborted;
      const next = isClean && this.#ready.length > 0 ? this.#departReady(flight.push) : undefined;
      this.#open &&= isClean;
      const landed = await this.#land(flight.push, answer, receivedAt);
      if (!landed.ok) {
        await next?.answer;
        return landed;
      }
      const { done, isEmpty } = landed.value;
      if (done === "again") fruitless++;
      else if (done === "taken") fruitless = 0;
      if (isEmpty && next === undefined && this.#ready.length === 0) return ok(sent);
      flight = next ??
        (this.#open && this.#ready.length > 0 ? this.#departReady(flight.push) : undefined);
    }
    return err(
      new LakeSyncError(
        "CLOCK_DRIFT",
        "Cannot push: the gateway keeps refusing this device's time, check the clocks of both",
      ),
    );
  }

  /** Begins the next push from the outbox; undefined where there is nothing to push. */
  async #begin(): Promise<Result<FlyingPush | undefined>> {
    if (this.#signal.aborted) return aborted();
    const begun = await this.#context.database.transaction(async (tx) => {
      const through = this.#through ??= await endOfOutbox(tx);
      const deltas = through === 0 ? [] : await beginPush(tx, { limit: this.#limit, through });
      return { deltas, base: (await readState(tx)).seq };
    });
    if (!begun.ok) return begun;
    const { deltas } = begun.value;
    this.#size = { deltas: 0, bytes: 0 };
    this.#grow(deltas);
    return ok(deltas.length === 0 ? undefined : begun.value);
  }

  /** Makes the push after this one ready, where the outbox has one. */
  async #prepare({ deltas }: FlyingPush): Promise<void> {
    const { database, board } = this.#context;
    if (this.#ready.length > 0 || board.status.outbox <= deltas.length) return;
    const after = deltas.at(-1)!.ord;
    const prepared = await database.transaction(async (tx) => {
      const through = this.#through ??= await endOfOutbox(tx);
      return await prepareNext(tx, { limit: this.#limit, through, after, flying: this.#size });
    });
    if (prepared.ok) this.#makeReady(prepared.value);
  }

  /** Takes back what was never sent. Where that fails, it is repeated like what was. */
  async #release(after: number): Promise<void> {
    await this.#context.database.transaction((tx) => releaseAfter(tx, after));
  }

  #makeReady(deltas: readonly FlyingDelta[]): void {
    this.#grow(deltas);
    for (const flying of deltas) this.#ready.push(flying);
  }

  #grow(deltas: readonly FlyingDelta[], sign: 1 | -1 = 1): void {
    const bytes = deltas.reduce((sum, { bytes }) => sum + bytes + 1, 0);
    this.#size = {
      deltas: this.#size.deltas + sign * deltas.length,
      bytes: this.#size.bytes + sign * bytes,
    };
  }

  #depart(push: FlyingPush): Flight {
    const { transport, clientId, schemaVersion } = this.#context;
    const deltas = push.deltas.map(({ delta }) => delta);
    const answer = transport.push({ clientId, deltas, schemaVersion }, { signal: this.#signal });
    return { push, answer };
  }

  /** Sends what is ready. The base is at least where it was when the push before was sent. */
  #departReady({ base }: FlyingPush): Flight {
    const deltas = headOf(this.#ready, this.#limit);
    this.#ready = this.#ready.slice(deltas.length);
    return this.#depart({ deltas, base });
  }

  /**
   * Writes down what became of a push: whether that took any of it for good, none of it because of its
   * stamps, or refused it as a whole.
   */
  async #land(
    push: FlyingPush,
    answer: Result<PushAnswer>,
    receivedAt: number,
  ): Promise<Result<Landed>> {
    const { deltas: pushed, base } = push;
    const { database, retentionMs, tables } = this.#context;
    const after = pushed.at(-1)!.ord;
    if (!answer.ok) {
      this.#ready = [];
      await this.#release(after);
      const refused = await this.#refusePush(pushed, answer.error, receivedAt);
      return refused.ok ? ok({ done: "refused", isEmpty: false }) : refused;
    }
    const isClean = answer.value.rejected.length === 0;
    const apply = async (tx: SqlTransaction): Promise<PushOutcome & { isEmpty: boolean }> => {
      if (!isClean) await releaseAfter(tx, after);
      const outcome = await applyPushAnswer(tx, answer.value, { pushed, base, tables, receivedAt });
      await pruneOwn(tx, { before: receivedAt - retentionMs });
      return { ...outcome, isEmpty: await isOutboxEmpty(tx) };
    };
    if (!isClean) this.#ready = [];
    // The same push once more would have the same answer: that nothing was rejected may be forgotten.
    const applied = isClean ? await commitSoon(database, apply) : await database.transaction(apply);
    if (!applied.ok) return applied;
    const { accepted, duplicates } = answer.value;
    this.#limit = Math.min(PUSH_DELTAS, this.#limit * 2);
    this.pushed += accepted;
    this.duplicates += duplicates;
    const { again, refusals, seq, due, isEmpty } = applied.value;
    this.seq = seq;
    this.due = due;
    this.#grow(pushed, -1);
    this.#report(applied.value, refusals, pushed.length - again);
    return ok({ done: again === pushed.length ? "again" : "taken", isEmpty });
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
    this.rejected += refusals.length;
    board.set({ outbox: board.status.outbox - done });
    this.#context.changed(outcome.changed);
    if (refusals.length > 0) this.#context.refused(refusals);
  }
}

/** What was asked for was stopped. */
export function aborted(): Result<never> {
  return err(new LakeSyncError("ABORTED", "The sync was stopped: call syncOnce to go on"));
}
