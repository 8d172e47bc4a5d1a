import { type Claims, type LogStore, ok, type Result } from "@lakesync/core";
import { joinText, type MemberCounts, type Memberships } from "./memberships.ts";
import { JOINED_KEY, type RulesRegistry } from "./rules_registry.ts";
import { type Members, WriteRules } from "./rules_write.ts";

/** What a pusher's rules find in other tables; good for as long as both texts are the stored ones. */
export interface MembersNow {
  /** The stored rules. */
  readonly text: string;
  /** What {@linkcode JOINED_KEY} stands at. */
  readonly joined: string | undefined;
  /** What the rules' joins select. */
  readonly counts: Members;
}

/**
 * Looks up what a pusher's rules find in other tables.
 *
 * @param claims The pusher's claims.
 * @param context What is looked into.
 * @returns What is found, with what tells whether it still holds when the push is appended; undefined
 * where, as far as this instance knows, no rule looks into another table.
 */
export async function membersNow(
  claims: Claims,
  context: { store: LogStore; rules: RulesRegistry; memberships: Memberships },
): Promise<Result<MembersNow | undefined>> {
  const { store, rules, memberships } = context;
  if ((rules.known?.joined.size ?? 0) === 0) return ok(undefined);
  const current = await rules.current();
  if (!current.ok) return current;
  const inForce = current.value;
  if (inForce === undefined) return ok(undefined);
  // Read before the log is: what changes in between is noticed.
  const joined = await store.getValue(JOINED_KEY);
  if (!joined.ok) return joined;
  const head = await store.head();
  if (!head.ok) return head;
  const { seq } = head.value;
  const counts = new Map<string, MemberCounts>();
  for (const join of new WriteRules(inForce, claims).joins) {
    const found = await memberships.between(join, { from: seq, to: seq }, inForce);
    if (!found.ok) return found;
    counts.set(joinText(join), found.value.is);
  }
  return ok({ text: inForce.text, joined: joined.value, counts });
}
