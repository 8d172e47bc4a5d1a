import type { OwnDelta } from "../inspect.ts";
import type { Claim, Explanation, Judged, MergeRule, PastClaim } from "./explain.ts";

/** Why a cell has its value, in a sentence. */
export function ruleText({ rule, life }: Explanation): string {
  switch (rule) {
    case "only":
      return "Nothing else is known of it: this is the only value that competes.";
    case "later":
      return "It has the later stamp. Of two values the one with the greater HLC wins.";
    case "client":
      return "The stamps have the same HLC, so the greater client id (by code point) wins.";
    case "value":
      return "The stamps are equal, so the greater JSON text (by code point) wins.";
    case "life":
      return "The row was made anew after the other value was written, and what is older than its row's life counts for nothing.";
    case "unset":
      return "Nobody has set it since the row was made, so it is null.";
    default:
      return life === undefined
        ? "There is no row: no INSERT of it is known here, and an UPDATE makes none."
        : "There is no row: a DELETE has the greatest stamp of what made or ended it.";
  }
}

/** Why a row lives or does not, in a few words. */
export function lifeText(rule: MergeRule, life: Claim | undefined): string {
  if (life === undefined) return "no INSERT of it is known here";
  const what = life.alive === true ? "made" : "deleted";
  switch (rule) {
    case "later":
      return `${what}: later than what said otherwise`;
    case "client":
      return `${what}: same HLC, greater client id than what said otherwise`;
    case "dead":
      return "deleted: at equal stamps DELETE wins over INSERT";
    default:
      return what;
  }
}

/** What became of one of the competitors. */
export function lossText({ claim, outcome, rule }: Judged): string {
  if (outcome === "won") {
    return claim.value === undefined
      ? claim.alive === true ? "It makes the row." : "It ends the row."
      : "It won.";
  }
  if (outcome === "same") return "The gateway has told it, too.";
  switch (rule) {
    case "later":
      return "It lost: its stamp is earlier.";
    case "client":
      return "It lost: same HLC, lesser client id.";
    case "value":
      return "It lost: same stamp, lesser JSON text.";
    case "dead":
      return "It lost: at equal stamps DELETE wins.";
    default:
      return "It counts for nothing: it is older than the row's life.";
  }
}

/** Where a competitor comes from. */
export function whereFrom({ from, own }: Claim): string {
  if (own === undefined) return "Told by the gateway";
  return from === "gateway"
    ? "Written here, and told by the gateway"
    : `Written here; ${fateText(own)}`;
}

/** How far an own delta is. */
export function fateText({ state, tries }: OwnDelta): string {
  switch (state) {
    case "unsent":
      return "not sent yet";
    case "flying":
      return tries > 1 ? `on its way for the ${ordinal(tries)} time` : "on its way";
    case "sent":
      return "sent, and goes again";
    case "accepted":
      return "accepted, and not come back yet";
    default:
      return "accepted, and in what the gateway told";
  }
}

/** What became of a delta that does not compete any more. */
export function pastText(past: PastClaim, moment: (ms: number) => string): string {
  if ("settled" in past) {
    const { at } = past.settled;
    const when = at === undefined ? "" : ` ${moment(at)}`;
    return `Written here and settled${when}: the gateway tells something else by now.`;
  }
  const { code, message, at } = past.rejected;
  return `Written here and rejected ${moment(at)}: ${code}. ${message}`;
}

function ordinal(n: number): string {
  const tens = n % 100;
  const suffix = tens > 10 && tens < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return `${n}${suffix}`;
}
