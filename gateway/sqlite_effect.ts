import type { EntryEffect, JudgedFacts, RowFacts, RowStatus } from "@lakesync/core";
import { rowFromJson, rowToJson } from "./row_json.ts";

const STATUSES: readonly RowStatus[] = ["none", "lifeless", "dead", "alive"];

/** An entry's effect as columns of the log. */
export interface EffectColumns {
  /** `before | after << 2 | last << 4 | life << 5`. */
  readonly effect: number;
  /** The columns that won, comma-separated; null where all did. */
  readonly won: string | null;
  /** The row's state, where the entry has it; else null. */
  readonly state: string | null;
  /** `[before, after]` of the judged facts, null for a side that has none; null without any. */
  readonly judged: string | null;
}

/** Packs an effect. Names are identifiers, so a comma separates them. */
export function packEffect(effect: EntryEffect): EffectColumns {
  const { before, after, last, life, columns, state, judged } = effect;
  return {
    effect: STATUSES.indexOf(before) | STATUSES.indexOf(after) << 2 | Number(last) << 4 |
      Number(life) << 5,
    won: columns === undefined ? null : columns.join(","),
    state: state === undefined ? null : rowToJson(state),
    judged: judged === undefined
      ? null
      : JSON.stringify([judged.before ?? null, judged.after ?? null]),
  };
}

/** The effects that are nothing but their number, as most are: each once, for all entries. */
const PLAIN: readonly EntryEffect[] = Array.from({ length: 64 }, (_, effect) => ({
  before: STATUSES[effect & 3]!,
  after: STATUSES[effect >> 2 & 3]!,
  last: (effect >> 4 & 1) === 1,
  life: (effect >> 5 & 1) === 1,
  columns: undefined,
  state: undefined,
  judged: undefined,
}));

/** The effect that {@linkcode packEffect} packed. */
export function unpackEffect(packed: EffectColumns): EntryEffect {
  const { effect, won, state, judged } = packed;
  const plain = PLAIN[effect & 63]!;
  if (isPlain(packed)) return plain;
  return {
    ...plain,
    columns: won === null ? undefined : won === "" ? [] : won.split(","),
    state: state === null ? undefined : rowFromJson(state),
    judged: judged === null ? undefined : unpackJudged(judged),
  };
}

/** An effect that is kept for a while: the shared one in its place, where there is one. */
export function sharedEffect(effect: EntryEffect, packed: EffectColumns): EntryEffect {
  return isPlain(packed) ? PLAIN[packed.effect]! : effect;
}

function isPlain({ won, state, judged }: EffectColumns): boolean {
  return won === null && state === null && judged === null;
}

function unpackJudged(text: string): JudgedFacts {
  const [before, after] = JSON.parse(text) as [RowFacts | null, RowFacts | null];
  return { before: before ?? undefined, after: after ?? undefined };
}
