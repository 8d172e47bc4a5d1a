import type { EntryEffect, RowStatus } from "@lakesync/core";
import { rowFromJson, rowToJson } from "./row_json.ts";

const STATUSES: readonly RowStatus[] = ["none", "lifeless", "dead", "alive"];

/** An entry's effect as columns of the log. */
export interface EffectColumns {
  /** `before | after << 2 | last << 4 | life << 5`. */
  readonly effect: number;
  /** The columns that won, comma-separated; null where all did. */
  readonly won: string | null;
  /** The row as it entered; null where it did not. */
  readonly state: string | null;
}

/** Packs an effect. Names are identifiers, so a comma separates them. */
export function packEffect(effect: EntryEffect): EffectColumns {
  const { before, after, last, life, columns, state } = effect;
  return {
    effect: STATUSES.indexOf(before) | STATUSES.indexOf(after) << 2 | Number(last) << 4 |
      Number(life) << 5,
    won: columns === undefined ? null : columns.join(","),
    state: state === undefined ? null : rowToJson(state),
  };
}

/** The effect that {@linkcode packEffect} packed. */
export function unpackEffect({ effect, won, state }: EffectColumns): EntryEffect {
  return {
    before: STATUSES[effect & 3]!,
    after: STATUSES[effect >> 2 & 3]!,
    last: (effect >> 4 & 1) === 1,
    life: (effect >> 5 & 1) === 1,
    columns: won === null ? undefined : won === "" ? [] : won.split(","),
    state: state === null ? undefined : rowFromJson(state),
  };
}
