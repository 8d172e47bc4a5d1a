import {
  type AppendPlan,
  type AppendView,
  compareHlc,
  compareStamps,
  type Delta,
  type Hlc,
  type JsonValue,
  type NewEntry,
  packHlc,
  type Rejection,
  type RejectionCode,
  type RowState,
  unpackHlc,
} from "@lakesync/core";
import { joinedValues, type RulesInForce } from "./rules_registry.ts";
import type { WriteRules } from "./rules_write.ts";
import { appendTransaction, WorkingRows } from "./working_rows.ts";

/** A delta of a push after it was decoded, or why it was refused there. */
export interface DecodedDelta {
  /** Its place in the push. */
  readonly index: number;
  /** Its id as it was sent, or `""`. */
  readonly deltaId: string;
  /** Names its transaction: deltas of one transaction share it, others differ. */
  readonly tx: string | undefined;
  /** The delta; undefined where it is refused already. */
  readonly delta: Delta | undefined;
  /** Why it is refused, where it is. */
  readonly fault: { readonly code: RejectionCode; readonly message: string } | undefined;
}

/** What a push comes to. */
export interface PushPlan extends AppendPlan {
  /** How many deltas are appended. */
  readonly accepted: number;
  /** How many were there already. */
  readonly duplicates: number;
  /** The others. */
  readonly rejected: readonly Rejection[];
}

/** Options of {@linkcode planPush}. */
export interface PlanPushOptions {
  /** The gateway's clock, one reading for the whole push, in ms. */
  readonly now: number;
  /** How far ahead of it a stamp may be, in ms. */
  readonly maxDriftMs: number;
  /**
   * The rules in force, and what they let the pusher write; undefined where there are none.
   *
   * @default {undefined}
   */
  readonly rules?: { readonly inForce: RulesInForce; readonly write: WriteRules } | undefined;
  /**
   * Whether it follows a delta that was too far ahead: what is not a duplicate is `CLOCK_DRIFT`.
   *
   * @default {false}
   */
  readonly late?: boolean;
}

interface Fault {
  readonly code: RejectionCode;
  readonly message: string;
}

/**
 * Decides what of a push is appended (PROTOCOL, sections 1, 2 and 4). Pure.
 *
 * @param deltas The push's deltas in order.
 * @param view The log and its rows as they are.
 * @param options The clock.
 * @returns The plan with its answer.
 */
export function planPush(
  deltas: readonly DecodedDelta[],
  view: AppendView,
  options: PlanPushOptions,
): PushPlan {
  const rows = new WorkingRows(view, options.rules?.inForce);
  const entries: NewEntry[] = [];
  const rejected: Rejection[] = [];
  /** What this push appends so far: each delta's id, with the start of its transaction. */
  const seen = new Map<string, number>();
  let duplicates = 0;
  let drifted = options.late === true;
  const latest = latestStamp(options);

  for (let start = 0; start < deltas.length;) {
    const end = transactionEnd(deltas, start);
    const fresh: Delta[] = [];
    let cause: Fault | undefined;
    let repeats = 0;
    // Made where they are needed: most transactions have neither.
    let known: Set<DecodedDelta> | undefined;
    let faults: Map<DecodedDelta, Fault> | undefined;
    // After the first CLOCK_DRIFT all that follows is refused, so that the order is kept.
    const late = drifted;
    for (let i = start; i < end; i++) {
      const item = deltas[i]!;
      const { delta } = item;
      if (delta !== undefined) {
        const place = seen.get(delta.deltaId);
        if (place === start) {
          // A repetition within the transaction shares its fate.
          repeats++;
          continue;
        }
        if (place !== undefined || view.duplicate(delta) !== undefined) {
          duplicates++;
          (known ??= new Set()).add(item);
          continue;
        }
      }
      const fault = late
        ? DRIFTED
        : cause === undefined
        ? judge(item, { view, rows, options, latest })
        : undefined;
      if (fault !== undefined) {
        cause ??= fault;
        (faults ??= new Map()).set(item, fault);
        if (fault.code === "CLOCK_DRIFT") drifted = true;
      } else if (cause === undefined && delta !== undefined) {
        seen.set(delta.deltaId, start);
        fresh.push(delta);
      }
    }
    if (cause === undefined) {
      const forbidden = options.rules?.write.judge(fresh, (table, rowId) => rows.get(table, rowId));
      if (forbidden !== undefined) {
        cause = { code: "FORBIDDEN_WRITE", message: forbidden.message };
        const culprit = fresh[forbidden.index]!;
        const item = deltas.slice(start, end).find(({ delta }) => delta === culprit)!;
        faults = new Map([[item, cause]]);
      }
    }
    if (cause === undefined) {
      appendTransaction(fresh, rows, entries);
      duplicates += repeats;
    } else {
      for (const delta of fresh) seen.delete(delta.deltaId);
      for (const item of deltas.slice(start, end)) {
        if (known?.has(item) === true) continue;
        const { index, deltaId } = item;
        rejected.push({ index, deltaId, ...(faults?.get(item) ?? TX_REJECTED) });
      }
    }
    start = end;
  }
  const values = joinedValues(entries, rows.rules, view.head.seq);
  return { entries, rows: rows.changed(), values, accepted: entries.length, duplicates, rejected };
}

const DRIFTED: Fault = {
  code: "CLOCK_DRIFT",
  message:
    "It follows a delta that is too far ahead: correct the clock by serverHlc and send it again",
};

const TX_REJECTED: Fault = {
  code: "TX_REJECTED",
  message: "Another delta of its transaction was rejected",
};

/** One past the last delta of the transaction that begins at `start`. */
function transactionEnd(deltas: readonly DecodedDelta[], start: number): number {
  const tx = deltas[start]!.tx;
  let end = start + 1;
  if (tx !== undefined) { while (end < deltas.length && deltas[end]!.tx === tx) end++; }
  return end;
}

/** The greatest stamp that is not too far ahead: to compare with it takes no arithmetic. */
function latestStamp({ now, maxDriftMs }: PlanPushOptions): Hlc {
  const wallMs = Math.min(2 ** 48 - 1, Math.max(0, Math.floor(now + maxDriftMs)));
  return packHlc({ wallMs, counter: 0xffff });
}

function judge(
  item: DecodedDelta,
  by: { view: AppendView; rows: WorkingRows; options: PlanPushOptions; latest: Hlc },
): Fault | undefined {
  if (item.delta === undefined) return item.fault;
  const { view, rows, options, latest } = by;
  const { hlc, table, rowId } = item.delta;
  if (compareHlc(hlc, latest) > 0) {
    const aheadMs = unpackHlc(hlc).wallMs - options.now;
    return {
      code: "CLOCK_DRIFT",
      message:
        `Its stamp is ${aheadMs} ms ahead, more than ${options.maxDriftMs}: correct the clock by serverHlc and send it again`,
    };
  }
  if (
    view.purged !== undefined && compareStamps(item.delta, view.purged) <= 0 &&
    mayBePurged(item.delta, rows.get(table, rowId))
  ) {
    return {
      code: "STALE",
      message: "It is older than what was purged, and its row is gone: make it anew",
    };
  }
  return undefined;
}

/**
 * Whether a row may have died and been purged after a delta that is not above the purged stamp. An
 * UPDATE that came after the purge has left a row without life: an older one must not be given it.
 */
function mayBePurged(delta: Delta, state: RowState | undefined): boolean {
  return state === undefined || (state.life === undefined && delta.op !== "UPDATE");
}

/**
 * Names the transaction that a delta as it was sent belongs to, also where it is malformed.
 *
 * @param value The delta as it was sent.
 * @returns A text that contiguous deltas of one transaction share; undefined for one by itself.
 */
export function transactionOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { clientId, txId } = value as { readonly [key: string]: JsonValue };
  if (typeof clientId !== "string" || typeof txId !== "string") return undefined;
  return JSON.stringify([clientId, txId]);
}
