import {
  canonicalJson,
  compareCodePoints,
  compareHlc,
  compareStamps,
  type JsonValue,
  type Stamp,
} from "@lakesync/core";
import type { OwnDelta, RowFacts } from "../inspect.ts";
import type { DeadLetter } from "../status.ts";

/** Something that was said about a row: that it lives or is dead, what a column is, or both. */
export interface Claim extends Stamp {
  /** Who told it: the gateway, or this device by a delta of its own that is still on top. */
  readonly from: "gateway" | "device";
  /** The device's delta that it comes from, where it does; a settled one is told by the gateway. */
  readonly own?: OwnDelta;
  /** Whether it says that the row lives or is dead; undefined where it says neither. */
  readonly alive: boolean | undefined;
  /** The column's value; undefined where it says nothing of the column. */
  readonly value: JsonValue | undefined;
}

/** The rule of the merge that decided (PROTOCOL, section 1, *Merge*). */
export type MergeRule =
  /** Nothing else is known. */
  | "only"
  /** The later HLC wins. */
  | "later"
  /** At one HLC the greater client id wins, by code point. */
  | "client"
  /** At one stamp the greater canonical JSON wins, by code point. */
  | "value"
  /** At one stamp a DELETE wins over an INSERT. */
  | "dead"
  /** What is older than the row's life counts for nothing. */
  | "life"
  /** Nobody has set the column since the row was made: it is null. */
  | "unset"
  /** There is no row: it is deleted, or only UPDATEs are known. */
  | "no row";

/** How a claim fared. */
export interface Judged {
  /** The claim. */
  readonly claim: Claim;
  /** Whether the cell has this value; `same` where it says what the winner says, with the same stamp. */
  readonly outcome: "won" | "same" | "lost";
  /** By which rule. */
  readonly rule: MergeRule;
}

/** A claim that does not count any more. */
export type PastClaim =
  /** It is in what the gateway told, or was overruled there. */
  | { readonly settled: OwnDelta; readonly value: JsonValue | undefined }
  /** The gateway rejected it. */
  | { readonly rejected: DeadLetter; readonly value: JsonValue | undefined };

/** Why a cell has its value. */
export interface Explanation {
  /** Whether there is such a row. */
  readonly visible: boolean;
  /** The value; null where none was set. */
  readonly value: JsonValue;
  /** The rule that decided over the strongest of the others. */
  readonly rule: MergeRule;
  /** What decided whether there is a row. */
  readonly life: Claim | undefined;
  /** Why there is a row, or none. */
  readonly lifeRule: MergeRule;
  /** What competes for the cell, the greatest stamp first. */
  readonly claims: readonly Judged[];
  /** What does not compete any more, the newest first. */
  readonly past: readonly PastClaim[];
}

/**
 * Tells why a cell has its value: what competed for it as far as the device knows, and which rule of the
 * merge decided. What lost at the gateway before it reached this device is not known here.
 *
 * @param facts What is known of the row, from `inspect(client).rows`.
 * @param column The column's name.
 * @returns The value, which is the one that the app sees, and what led to it.
 *
 * @example Two values, one later
 * ```ts
 * import { explainCell } from "@lakesync/client/devtools";
 * import { emptyRow, mergeDelta } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const base = emptyRow();
 * const columns = [{ column: "x", value: 1 }];
 * mergeDelta(base, { op: "INSERT", hlc: "5", clientId: "b", columns });
 * const { value, rule } = explainCell({ id: "r", base, own: [], rejected: [] }, "x");
 * assertEquals([value, rule], [1, "only"]);
 * ```
 */
export function explainCell(facts: RowFacts, column: string): Explanation {
  const claims = claimsOn(facts, column);
  const [life, ...otherLives] = claims.filter(({ alive }) => alive !== undefined).sort(byLife);
  const living = claims.filter(({ value }) => value !== undefined).sort(byValue);
  const counting = living.filter((claim) => !isOlder(claim, life));
  const winner = counting[0];
  const rival = counting.find((claim) => claim !== winner && !isSame(claim, winner!));
  const visible = life?.alive === true;
  return {
    visible,
    value: winner?.value ?? null,
    rule: !visible
      ? "no row"
      : winner === undefined
      ? "unset"
      : rival !== undefined
      ? ruleOver(winner, rival)
      : living.length > counting.length
      ? "life"
      : "only",
    life,
    lifeRule: life === undefined ? "no row" : lifeRule(life, otherLives),
    claims: claims.sort(byStamp).map((claim) => judge(claim, { life, winner })),
    past: pastOf(facts, column, new Set(claims.map((claim) => claim.own))),
  };
}

function claimsOn({ base, own }: RowFacts, column: string): Claim[] {
  const claims: Claim[] = [];
  if (base?.life !== undefined) {
    const { alive, hlc, clientId } = base.life;
    const register = base.columns.get(column);
    const both = register !== undefined && register[1] === hlc && register[2] === clientId;
    const told = (stamp: Stamp, says: Pick<Claim, "alive" | "value">): Claim => {
      const { hlc, clientId } = stamp;
      const mine = own.find(({ state, delta }) =>
        state === "settled" && compareStamps(delta, stamp) === 0
      );
      return { from: "gateway", hlc, clientId, ...says, ...(mine !== undefined && { own: mine }) };
    };
    claims.push(told({ hlc, clientId }, { alive, value: both ? register[0] : undefined }));
    if (register !== undefined && !both) {
      const [value, hlc, clientId] = register;
      claims.push(told({ hlc, clientId }, { alive: undefined, value }));
    }
  }
  for (const entry of own) {
    if (entry.state === "settled") continue;
    const { op, hlc, clientId } = entry.delta;
    const alive = op === "UPDATE" ? undefined : op === "INSERT";
    const value = valueOf(entry.delta.columns, column);
    if (alive === undefined && value === undefined) continue;
    claims.push({ from: "device", own: entry, hlc, clientId, alive, value });
  }
  return claims;
}

function pastOf(
  { own, rejected }: RowFacts,
  column: string,
  present: ReadonlySet<OwnDelta | undefined>,
): PastClaim[] {
  const said = ({ op, columns }: OwnDelta["delta"]): boolean =>
    op !== "UPDATE" || valueOf(columns, column) !== undefined;
  return [
    ...own.filter((entry) => entry.state === "settled" && said(entry.delta) && !present.has(entry))
      .map((settled) => ({ settled, value: valueOf(settled.delta.columns, column) })),
    ...rejected.filter(({ delta }) => said(delta))
      .map((letter) => ({ rejected: letter, value: valueOf(letter.delta.columns, column) })),
  ].sort((a, b) => compareStamps(pastDelta(b), pastDelta(a)));
}

function pastDelta(past: PastClaim): Stamp {
  return "settled" in past ? past.settled.delta : past.rejected.delta;
}

function valueOf(
  columns: OwnDelta["delta"]["columns"],
  column: string,
): JsonValue | undefined {
  return columns.find((change) => change.column === column)?.value;
}

function judge(
  claim: Claim,
  { life, winner }: { life: Claim | undefined; winner: Claim | undefined },
): Judged {
  if (claim === winner) return { claim, outcome: "won", rule: "only" };
  if (claim.value === undefined) {
    return claim === life
      ? { claim, outcome: "won", rule: "life" }
      : { claim, outcome: "lost", rule: ruleOver(life!, claim) };
  }
  if (isOlder(claim, life)) return { claim, outcome: "lost", rule: "life" };
  if (isSame(claim, winner!)) return { claim, outcome: "same", rule: "only" };
  return { claim, outcome: "lost", rule: ruleOver(winner!, claim) };
}

/** The rule by which one claim beats another. */
function ruleOver(winner: Claim, loser: Claim): MergeRule {
  if (compareHlc(winner.hlc, loser.hlc) !== 0) return "later";
  if (winner.clientId !== loser.clientId) return "client";
  return winner.value === undefined || loser.value === undefined ? "dead" : "value";
}

function lifeRule(life: Claim, others: readonly Claim[]): MergeRule {
  const rival = others.find((other) => other.alive !== life.alive);
  if (rival === undefined) return "only";
  return compareStamps(life, rival) === 0 ? "dead" : ruleOver(life, rival);
}

function byStamp(a: Claim, b: Claim): number {
  return compareStamps(b, a);
}

function byLife(a: Claim, b: Claim): number {
  return compareStamps(b, a) || Number(a.alive) - Number(b.alive);
}

function byValue(a: Claim, b: Claim): number {
  return compareStamps(b, a) ||
    compareCodePoints(canonicalJson(b.value!), canonicalJson(a.value!));
}

function isOlder(claim: Claim, life: Claim | undefined): boolean {
  return life !== undefined && compareStamps(claim, life) < 0;
}

function isSame(a: Claim, b: Claim): boolean {
  return compareStamps(a, b) === 0 && canonicalJson(a.value!) === canonicalJson(b.value!);
}
