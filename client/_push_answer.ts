import {
  type Delta,
  hasReached,
  LakeSyncError,
  type LogSeq,
  NO_SUCH_ROW,
  type PushAnswer,
  type Rejection,
  type SqlTransaction,
  unpackHlc,
} from "@lakesync/core";
import type { Changed } from "./_live_hub.ts";
import { widened } from "./_learned.ts";
import type { LocalTable } from "./_local_table.ts";
import { bury, type DeltaGroup, type FlyingDelta, groupDeltas, type Refusal } from "./_outbox.ts";
import { OwnState } from "./_own.ts";
import { restampUnsent } from "./_restamp.ts";
import { takeServerTime } from "./_server_time.ts";
import { settle } from "./_settle.ts";
import { showTouched, TouchedRows } from "./_show.ts";
import { type ClientState, observe, readState, writeState } from "./_state.ts";
import { seqToSql } from "./_log_seq.ts";

/** What {@linkcode applyPushAnswer} works with. */
export interface ApplyPushAnswerOptions {
  /** What was sent. */
  pushed: readonly FlyingDelta[];
  /** The log position of the base before it was sent. A page may have come since. */
  base: LogSeq;
  /** The declared tables. */
  tables: ReadonlyMap<string, LocalTable>;
  /** The device's time when the answer came, in ms. */
  receivedAt: number;
}

/** What became of a push. */
export interface PushOutcome {
  /** The deltas that were taken off. */
  readonly refusals: readonly Refusal[];
  /** How many were stamped anew and will be sent again. */
  readonly again: number;
  /** The rows that may show differently. */
  readonly changed: Changed;
  /** The log position of the base. */
  readonly seq: LogSeq;
  /** Whether a checkpoint is due now. */
  readonly due: boolean;
}

/** Applies the answer to a push, within one transaction. */
export async function applyPushAnswer(
  tx: SqlTransaction,
  answer: PushAnswer,
  options: ApplyPushAnswerOptions,
): Promise<PushOutcome> {
  const { pushed, receivedAt } = options;
  const state = await readState(tx);
  const tables = widened(options.tables, state.learned);
  takeServerTime(state, answer.serverHlc, options);
  const judgement = judge(pushed, answer);
  const { accepted, refusals, again, unchanged } = judgement;

  for (const { delta } of accepted) observe(state, delta.hlc);
  // The usual case first: the whole push at once.
  if (accepted.length === pushed.length) {
    await tx.run(
      "UPDATE lakesync_own_state SET state = ?, seq = ?, at = ? " +
        "WHERE state < 4 AND state = ? AND seq IS NULL AND ord <= ?",
      [
        OwnState.ACCEPTED,
        seqToSql(answer.seq),
        receivedAt,
        OwnState.FLYING,
        // The next push may be under way.
        pushed.at(-1)!.ord,
      ],
    );
  } else {
    await tx.runMany(
      "UPDATE lakesync_own_state SET state = ?, seq = ?, at = ? WHERE ord = ?",
      accepted.map(({ ord }) => [OwnState.ACCEPTED, seqToSql(answer.seq), receivedAt, ord]),
    );
  }
  await tx.runMany(
    "UPDATE lakesync_own_state SET state = ? WHERE ord = ?",
    unchanged.map(({ ord }) => [OwnState.SENT, ord]),
  );
  // A log that ends before our base did is another one: the next pull would be told so too.
  if (!hasReached(answer.seq, options.base)) state.due = 2;
  const changed = await bury(tx, refusals, { now: receivedAt, tables });

  if (again.length > 0) {
    const stale = new Set(
      answer.rejected.filter(({ code }) => code === "STALE").map(({ index }) => pushed[index]!.ord),
    );
    await freshenStale(tx, state, { judgement, stale, receivedAt });
    await tx.runMany(
      "UPDATE lakesync_own_state SET state = ?, tries = 0 WHERE ord = ?",
      again.map(({ ord }) => [OwnState.UNSENT, ord]),
    );
    changed.addAll(await restampUnsent(tx, state, { tables, now: receivedAt }));
  }
  await writeState(tx, state);
  const settled = new TouchedRows();
  await settle(tx, state, { now: receivedAt, touched: settled });
  await showTouched(tx, tables, settled);
  changed.addAll(settled);
  return {
    refusals,
    again: again.length + unchanged.length,
    changed: changed.changed,
    seq: state.seq,
    due: state.due !== 0,
  };
}

interface Judgement {
  readonly accepted: readonly FlyingDelta[];
  readonly refusals: Refusal[];
  readonly again: FlyingDelta[];
  /** Those that go into the next push as they are. */
  readonly unchanged: FlyingDelta[];
}

/** Decides what becomes of each delta of a push. */
function judge(pushed: readonly FlyingDelta[], answer: PushAnswer): Judgement {
  if (answer.rejected.length === 0) {
    return { accepted: pushed, refusals: [], again: [], unchanged: [] };
  }
  const rejected = new Map<number, Rejection>();
  for (const rejection of answer.rejected) {
    const sent = pushed[rejection.index];
    if (sent === undefined) {
      throw new LakeSyncError(
        "INTERNAL",
        `Cannot apply a push answer that rejects delta ${rejection.index} of ${pushed.length}: report this to the gateway's operator`,
      );
    }
    rejected.set(sent.ord, rejection);
  }
  const accepted: FlyingDelta[] = [];
  const judgement: Judgement = { accepted, refusals: [], again: [], unchanged: [] };
  const renewed = new Set<string>();
  const deleted = new Set<string>();
  for (const { ord, delta } of pushed) {
    if (delta.op === "DELETE" && !rejected.has(ord)) deleted.add(rowKey(delta));
  }
  for (const group of groupDeltas(pushed)) {
    const fate = groupFate(group, {
      rejected,
      renewed,
      deleted,
    });
    for (const flying of group) {
      const rejection = rejected.get(flying.ord);
      if (rejection === undefined || isDoneDelete(flying, rejection)) {
        accepted.push(flying);
      } else if (fate === "unchanged") judgement.unchanged.push(flying);
      else if (fate === "again") judgement.again.push(flying);
      else {
        const { code, message } = rejection;
        judgement.refusals.push({ flying, code, message });
      }
    }
  }
  return judgement;
}

/**
 * A transaction is sent again where each of its faults is one that a new stamp heals; `TX_REJECTED`
 * shares the fate of its cause. `renewed` collects rows whose INSERT is stamped anew: what follows
 * on them has to be above it. `deleted` holds rows that an accepted DELETE of the same push removes.
 * Where its one fault is a DELETE that is done already, the rest is sent again as it is.
 */
function groupFate(
  group: DeltaGroup,
  context: {
    rejected: ReadonlyMap<number, Rejection>;
    renewed: Set<string>;
    deleted: ReadonlySet<string>;
  },
): "again" | "unchanged" | "refused" {
  const { rejected, renewed, deleted } = context;
  const fresh: string[] = [];
  let causes = 0;
  let done = 0;
  for (const flying of group) {
    const { ord, delta, tries } = flying;
    const rejection = rejected.get(ord);
    const code = rejection?.code;
    if (rejection !== undefined && isDoneDelete(flying, rejection)) {
      done++;
      continue;
    }
    if (code === undefined || code === "TX_REJECTED") continue;
    causes++;
    if (code === "CLOCK_DRIFT") continue;
    const row = rowKey(delta);
    // Sent once, so that it cannot be in the log; and not to rise from the dead, where a later
    // DELETE of ours was accepted.
    const curable = code === "STALE" && tries === 1 && !deleted.has(row) &&
      (delta.op === "INSERT" || renewed.has(row) || fresh.includes(row));
    if (!curable) return "refused";
    if (delta.op === "INSERT") fresh.push(row);
  }
  if (causes === 0) return done > 0 ? "unchanged" : "refused";
  for (const row of fresh) renewed.add(row);
  return "again";
}

/** Whether a delta is a DELETE of a row that somebody else has deleted: just what it wanted. */
function isDoneDelete({ delta }: FlyingDelta, { code, message }: Rejection): boolean {
  return delta.op === "DELETE" && code === "FORBIDDEN_WRITE" && message === NO_SUCH_ROW;
}

/**
 * Sees to it that stale deltas get the present time when they are stamped anew. An INSERT takes the
 * columns along that later updates of its row, already accepted, have set: its new stamp is above
 * theirs.
 */
async function freshenStale(
  tx: SqlTransaction,
  state: ClientState,
  work: { judgement: Judgement; stale: ReadonlySet<number>; receivedAt: number },
): Promise<void> {
  const { judgement, stale, receivedAt } = work;
  for (const { ord, delta } of judgement.again) {
    if (!stale.has(ord)) continue;
    // A new stamp is the old one shifted by what the offset has changed: so it comes to be now, and
    // later than the old one at any rate.
    const { wallMs } = unpackHlc(delta.hlc);
    const offsetMs = Math.min(wallMs - Math.floor(receivedAt), state.offsetMs - 1);
    const columns = new Map(delta.columns.map((change) => [change.column, change]));
    if (delta.op === "INSERT") {
      for (const later of judgement.accepted) {
        if (later.ord < ord || rowKey(later.delta) !== rowKey(delta)) continue;
        for (const change of later.delta.columns) columns.set(change.column, change);
      }
    }
    const folded: Delta = { ...delta, columns: [...columns.values()] };
    await tx.run("UPDATE lakesync_own_state SET offset_ms = ? WHERE ord = ?", [offsetMs, ord]);
    await tx.run("UPDATE lakesync_own_json SET json = ? WHERE ord = ?", [
      JSON.stringify(folded),
      ord,
    ]);
  }
}

function rowKey(delta: Delta): string {
  return JSON.stringify([delta.table, delta.rowId]);
}
