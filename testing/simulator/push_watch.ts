import {
  type Delta,
  NO_SUCH_ROW,
  type PushAnswer,
  type PushRequest,
  unpackHlc,
} from "@lakesync/core";
import type { Device } from "./device.ts";
import { describe, Line } from "./line.ts";
import { writeFault } from "./rules_oracle.ts";
import type { RulesWatch, Seen } from "./rules_watch.ts";
import type { Trace } from "./trace.ts";

/** What a {@linkcode PushWatch} works with. */
export interface PushWatchOptions {
  readonly trace: Trace;
  readonly line: () => Line;
  readonly rules: RulesWatch;
  readonly violate: (promise: string, details: string) => void;
}

/** Holds each answer to a push, as it leaves a gateway, to the log as it then is on stable storage. */
export class PushWatch {
  readonly #options: PushWatchOptions;
  /** The log's head when a delta was refused so that it will be stamped anew. */
  readonly #refused = new Map<string, number>();
  /** Deltas that a restore took and whose devices could not know. */
  readonly #excused = new Set<string>();

  /** DELETEs of rows that were gone already. */
  readonly #done = new Set<string>();
  /** Pushes that have come to an instance and are not answered yet. */
  readonly #open = new Set<Arrived>();

  constructor(options: PushWatchOptions) {
    this.#options = options;
  }

  /** A push has come to an instance. */
  arrived(request: PushRequest, seen: Seen): Arrived {
    const arrived = { request, seen, head: this.#options.line().head };
    this.#open.add(arrived);
    void seen.process.onKill(() => this.#open.delete(arrived));
    return arrived;
  }

  /** It was refused as a whole. */
  refused(arrived: Arrived): void {
    this.#open.delete(arrived);
  }

  /** What a store is about to have: somebody who has pushed it must be allowed to. */
  appends(clientId: string, deltas: readonly Delta[]): void {
    const { line: lineOf, rules: { rules }, trace, violate } = this.#options;
    if (rules === undefined) return;
    const line = lineOf();
    const written = new Line(line.entries);
    for (const transaction of transactionsOf(deltas)) {
      trace.count("check write allowed");
      const claims = [...this.#open].flatMap(({ request, seen }) =>
        request.clientId === clientId && seen.token !== undefined ? [seen.token.claims] : []
      );
      const bag = (table: string, id: string) => written.bagAt(table, id, written.head);
      const faults = claims.map((claims) =>
        writeFault(transaction, { view: { rules, claims }, bag })
      );
      if (faults.every((fault) => fault !== undefined)) {
        const what = describe(transaction[faults[0]?.index ?? 0]!);
        violate("nobody writes what the rules forbid them", `${clientId} writes ${what}`);
      }
      written.append(transaction);
    }
  }

  /** A gateway has answered. */
  answered(arrived: Arrived, answer: PushAnswer): void {
    this.#open.delete(arrived);
    const { request } = arrived;
    const { trace, violate } = this.#options;
    const line = this.#options.line();
    const { deltas } = request;
    const rejected = new Map(answer.rejected.map((rejection) => [rejection.index, rejection]));
    if (answer.accepted + answer.duplicates + rejected.size !== deltas.length) {
      violate("an answer accounts for each delta of its push", JSON.stringify(answer));
    }
    trace.count("check push answer");
    // Only a router's answer has another form.
    const seqNow = answer.seq as number;
    trace.count("accepted", answer.accepted);
    trace.count("duplicate", answer.duplicates);
    deltas.forEach((delta, index) => {
      const rejection = rejected.get(index);
      if (rejection === undefined) {
        const seq = line.seqOf(delta.deltaId);
        if (seq === undefined) {
          violate("acknowledged is on stable storage", `${describe(delta)} is not`);
        } else if (seq > seqNow) {
          violate("a push's seq is behind its deltas", `${seq} is above ${seqNow}`);
        }
        return;
      }
      trace.count(`rejected ${rejection.code}`);
      const { code, message } = rejection;
      if (code === "FORBIDDEN_WRITE" && delta.op === "DELETE" && message === NO_SUCH_ROW) {
        this.#done.add(delta.deltaId);
      }
      const fault = this.#rejectionFault(delta, { deltas, index, answer, arrived });
      if (fault !== undefined) {
        violate("a rejection has its reason", `${rejection.code} for ${describe(delta)}: ${fault}`);
      }
      this.#refused.set(delta.deltaId, line.head);
    });
    for (const [index, delta] of deltas.entries()) {
      const next = deltas[index + 1];
      if (delta.txId === undefined || next?.txId !== delta.txId) continue;
      if (rejected.has(index) === rejected.has(index + 1)) continue;
      // After a DELETE that counted as done the others went alone; this is a late copy of before.
      if (this.#done.has(delta.deltaId) || this.#done.has(next.deltaId)) continue;
      violate(
        "a transaction is taken whole or not at all",
        `${describe(delta)}, ${describe(next)}`,
      );
    }
  }

  #rejectionFault(
    delta: Delta,
    context: { deltas: readonly Delta[]; index: number; answer: PushAnswer; arrived: Arrived },
  ): string | undefined {
    const { deltas, index, answer, arrived } = context;
    const line = this.#options.line();
    const { code } = answer.rejected.find((rejection) => rejection.index === index)!;
    switch (code) {
      case "CLOCK_DRIFT": {
        // The answer's clock is read later than the one that judged.
        const now = unpackHlc(answer.serverHlc).wallMs;
        const ahead = deltas.slice(0, index + 1).some(({ hlc }) =>
          unpackHlc(hlc).wallMs > now + 5_000 - SLOWEST_PUSH_MS
        );
        return ahead ? undefined : `no delta up to it is ahead of ${now}`;
      }
      case "STALE":
        // Judged somewhere between the log before its push and after it.
        return line.staleFault(delta, answer.seq as number - answer.accepted) &&
          line.staleFault(delta);
      case "TX_REJECTED":
        return answer.rejected.some((other) =>
            other.code !== "TX_REJECTED" && deltas[other.index]?.txId === delta.txId
          )
          ? undefined
          : "nothing else of its transaction is rejected";
      case "FORBIDDEN_WRITE":
        return this.#isForbidden(delta, arrived) ? undefined : "the rules allow it";
      default:
        return "nothing here may be that";
    }
  }

  /** Whether the rules forbade a delta's transaction at any moment since its push came. */
  #isForbidden(delta: Delta, { request, seen, head }: Arrived): boolean {
    const line = this.#options.line();
    const transaction = transactionsOf(request.deltas).find((deltas) => deltas.includes(delta))!;
    for (const view of this.#options.rules.viewsSince(seen.at, seen.token?.claims ?? {})) {
      for (let seq = head; seq <= line.head; seq++) {
        const bag = (table: string, id: string) => line.bagAt(table, id, seq);
        // What was there already is not written once more, as far as a restored log knows of it.
        const fresh = transaction.filter(({ deltaId }) => {
          const known = line.seqOf(deltaId) ?? Infinity;
          return known > seq || (line.isRestored && known <= line.trimmed);
        });
        if (writeFault(fresh, { view, bag }) !== undefined) return true;
      }
    }
    return false;
  }

  /** Whether a delta is a DELETE of a row that was gone already. */
  isDone(deltaId: string): boolean {
    return this.#done.has(deltaId);
  }

  /** The log's head when that delta was refused. */
  refusedAt(deltaId: string): number | undefined {
    return this.#refused.get(deltaId);
  }

  /** A restore takes what came after that head; devices whose cursors are before it cannot know. */
  restored(options: { head: number; devices: readonly Device[] }): void {
    const line = this.#options.line();
    for (const { watch } of options.devices) {
      watch.mayGoBack = true;
      const tells = watch.base.line === line && watch.base.seq > options.head;
      if (tells) continue;
      for (const { deltaId } of watch.own) {
        if ((line.seqOf(deltaId) ?? 0) > options.head) this.#excused.add(deltaId);
      }
    }
  }

  /** Behind a trim there is no hash: who comes back from there cannot know of a restore either. */
  trimmed(options: { through: number; devices: readonly Device[] }): void {
    const line = this.#options.line();
    if (!line.isRestored) return;
    for (const { watch } of options.devices) {
      if (watch.base.line === line || watch.base.seq > options.through) continue;
      for (const { deltaId } of watch.own) {
        if (line.seqOf(deltaId) === undefined) this.#excused.add(deltaId);
      }
    }
  }

  /** Whether a delta may be lost. */
  isExcused(delta: Delta): boolean {
    return this.#excused.has(delta.deltaId);
  }
}

/** A push at an instance, and where the log ended when it came there. */
export interface Arrived {
  readonly request: PushRequest;
  readonly seen: Seen;
  readonly head: number;
}

function transactionsOf(deltas: readonly Delta[]): readonly (readonly Delta[])[] {
  const found: Delta[][] = [];
  for (const delta of deltas) {
    const last = found.at(-1);
    const first = last?.[0];
    const isSame = delta.txId !== undefined && first?.txId === delta.txId &&
      first.clientId === delta.clientId;
    if (isSame) last!.push(delta);
    else found.push([delta]);
  }
  return found;
}

/** A gateway may stand still between judging a push and reading the clock for its answer. */
const SLOWEST_PUSH_MS = 120_000;
