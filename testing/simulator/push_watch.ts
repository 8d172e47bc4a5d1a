import { type Delta, type PushAnswer, type PushRequest, unpackHlc } from "@lakesync/core";
import type { Device } from "./device.ts";
import { describe, type Line } from "./line.ts";
import type { Trace } from "./trace.ts";

/** What a {@linkcode PushWatch} works with. */
export interface PushWatchOptions {
  readonly trace: Trace;
  readonly line: () => Line;
  readonly violate: (promise: string, details: string) => void;
}

/** Holds each answer to a push, as it leaves a gateway, to the log as it then is on stable storage. */
export class PushWatch {
  readonly #options: PushWatchOptions;
  /** The log's head when a delta was refused so that it will be stamped anew. */
  readonly #refused = new Map<string, number>();
  /** Deltas that a restore took and whose devices could not know. */
  readonly #excused = new Set<string>();

  constructor(options: PushWatchOptions) {
    this.#options = options;
  }

  /** A gateway has answered. */
  answered(request: PushRequest, answer: PushAnswer): void {
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
      const fault = this.#rejectionFault(delta, { deltas, index, answer });
      if (fault !== undefined) {
        violate("a rejection has its reason", `${rejection.code} for ${describe(delta)}: ${fault}`);
      }
      this.#refused.set(delta.deltaId, line.head);
    });
    for (const [index, delta] of deltas.entries()) {
      const next = deltas[index + 1];
      if (delta.txId === undefined || next?.txId !== delta.txId) continue;
      if (rejected.has(index) === rejected.has(index + 1)) continue;
      violate(
        "a transaction is taken whole or not at all",
        `${describe(delta)}, ${describe(next)}`,
      );
    }
  }

  #rejectionFault(
    delta: Delta,
    context: { deltas: readonly Delta[]; index: number; answer: PushAnswer },
  ): string | undefined {
    const { deltas, index, answer } = context;
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
      default:
        return "nothing here may be that";
    }
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

/** A gateway may stand still between judging a push and reading the clock for its answer. */
const SLOWEST_PUSH_MS = 120_000;
