import {
  type Delta,
  ok,
  type PushAnswer,
  type Rejection,
  type Result,
  unpackHlc,
} from "@lakesync/core";
import type { Caller } from "./caller.ts";
import type { PreparedPush } from "./gateway_options.ts";
import { transactionOf } from "./plan_push.ts";
import type { PushHead } from "./push.ts";
import type { Shards } from "./router_shards.ts";
import { serverStamp } from "./server_clock.ts";

/** A shard's part of a push. */
interface Part {
  /** Its deltas as they were sent. */
  readonly deltas: unknown[];
  /** The place of each in the push. */
  readonly places: number[];
}

const SPLIT: Pick<Rejection, "code" | "message"> = {
  code: "TX_REJECTED",
  message: "Its transaction is over tables of several shards: change them in one transaction each",
};

/**
 * Pushes through a router: each shard gets the transactions of its tables, all shards at once.
 *
 * @param push The push, whose form is right as a whole.
 * @param context The shards, and who pushes.
 * @returns The answer; an error where a shard refuses its part or fails. What other shards accepted
 * before that are duplicates when it is pushed again.
 */
export async function pushThrough(
  push: PushHead,
  context: { shards: Shards; caller: Caller },
): Promise<Result<PushAnswer>> {
  const { shards, caller } = context;
  const now = await shards.rest.store.now();
  if (!now.ok) return now;
  const { maxDriftMs } = shards.rest.limits;
  // What follows a delta that is too far ahead must not overtake it in another shard: it goes out
  // after the rest, marked as late. (Not just refused: it may be a duplicate.)
  const ahead = push.deltas.findIndex((delta) => wallMsOf(delta) > now.value + maxDriftMs);
  const late = ahead < 0 ? push.deltas.length : transactionStart(push.deltas, ahead);
  const rejected: Rejection[] = [];
  const stages = [
    partition(push, { shards, from: 0, to: late, rejected }),
    partition(push, { shards, from: late, to: push.deltas.length, rejected }),
  ];
  // All of it is decoded before any of it is appended: a push that is refused appends nothing.
  const prepared: { part: Part; push: PreparedPush; late: boolean; shard: number }[] = [];
  for (const [stage, parts] of stages.entries()) {
    for (const [shard, part] of parts) {
      const body = { clientId: push.clientId, deltas: part.deltas };
      const decoded = await shards.gateways[shard]!.preparePush(body, caller);
      if (!decoded.ok) return decoded;
      prepared.push({ part, push: decoded.value, late: stage === 1, shard });
    }
  }
  let accepted = 0;
  let duplicates = 0;
  const places: (number | undefined)[] = [];
  for (const isLate of [false, true]) {
    const stage = prepared.filter(({ late }) => late === isLate);
    const answers = await Promise.all(stage.map(({ push, late }) => push.append({ late })));
    for (const [i, answer] of answers.entries()) {
      if (!answer.ok) return answer;
      const { part, shard } = stage[i]!;
      accepted += answer.value.accepted;
      duplicates += answer.value.duplicates;
      for (const rejection of answer.value.rejected) {
        rejected.push({ ...rejection, index: part.places[rejection.index]! });
      }
      places[shard] = answer.value.seq;
    }
  }
  for (const [index, gateway] of shards.gateways.entries()) {
    if (places[index] !== undefined) continue;
    const head = await gateway.store.head();
    if (!head.ok) return head;
    places[index] = head.value.seq;
  }
  const serverHlc = await serverStamp(shards.rest.store);
  if (!serverHlc.ok) return serverHlc;
  return ok({
    accepted,
    duplicates,
    rejected: rejected.sort((a, b) => a.index - b.index),
    seq: shards.seq(places as number[]),
    serverHlc: serverHlc.value,
  });
}

/** Deals a stretch of a push out to the shards, whole transactions each. */
function partition(
  push: PushHead,
  options: { shards: Shards; from: number; to: number; rejected: Rejection[] },
): Map<number, Part> {
  const { shards, to, rejected } = options;
  const parts = new Map<number, Part>();
  for (let start = options.from; start < to;) {
    const end = transactionEnd(push.deltas, start);
    const members = push.deltas.slice(start, end);
    const named = new Set(members.flatMap((delta) => {
      const table = tableOf(delta);
      return table === undefined ? [] : [shards.indexOf(table)];
    }));
    // What names no table is malformed: any shard says so.
    const [shard = shards.gateways.length - 1] = named;
    for (const [i, delta] of members.entries()) {
      if (named.size > 1) {
        rejected.push({ index: start + i, deltaId: deltaIdOf(delta), ...SPLIT });
        continue;
      }
      const part = parts.get(shard) ?? { deltas: [], places: [] };
      parts.set(shard, part);
      part.deltas.push(delta);
      part.places.push(start + i);
    }
    start = end;
  }
  return parts;
}

function transactionEnd(deltas: readonly unknown[], start: number): number {
  const tx = transactionOf(deltas[start]);
  let end = start + 1;
  if (tx !== undefined) { while (end < deltas.length && transactionOf(deltas[end]) === tx) end++; }
  return end;
}

function transactionStart(deltas: readonly unknown[], index: number): number {
  const tx = transactionOf(deltas[index]);
  let start = index;
  if (tx !== undefined) { while (start > 0 && transactionOf(deltas[start - 1]) === tx) start--; }
  return start;
}

function tableOf(delta: unknown): string | undefined {
  const { table } = (delta ?? {}) as { table?: unknown };
  return typeof table === "string" ? table : undefined;
}

function deltaIdOf(delta: unknown): string {
  const { deltaId } = (delta ?? {}) as { deltaId?: unknown };
  return typeof deltaId === "string" ? deltaId.slice(0, 64) : "";
}

function wallMsOf(delta: unknown): number {
  const { hlc } = (delta ?? {}) as Partial<Delta>;
  return typeof hlc === "string" && /^[1-9][0-9]{0,19}$/.test(hlc) ? unpackHlc(hlc).wallMs : 0;
}
