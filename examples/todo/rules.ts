/** Who may see and change what: one's own lists, and those that one was let in to. */
import type { RuleBucket, RuleJoin, Rules } from "@lakesync/core";

/** The row's list is one of the caller's own. */
function inOwnList(column: string): RuleJoin {
  const where = [{ column: "owner", op: "eq", value: "jwt:sub" }] as const;
  return { column, op: "in", table: "lists", select: "id", where };
}

/** The row's list is one that the caller was let in to. */
function inSharedList(column: string): RuleJoin {
  const where = [{ column: "person", op: "eq", value: "jwt:sub" }] as const;
  return { column, op: "in", table: "shares", select: "list", where };
}

const ownLists: RuleBucket = {
  name: "own lists",
  tables: ["lists"],
  filters: [{ column: "owner", op: "eq", value: "jwt:sub" }],
};
const inOwnLists: RuleBucket = {
  name: "in own lists",
  tables: ["todos", "shares"],
  filters: [inOwnList("list")],
};
const todosInSharedLists: RuleBucket = {
  name: "to-dos in shared lists",
  tables: ["todos"],
  filters: [inSharedList("list")],
};

/** The rules. Who was let in to a list changes its to-dos; the list itself stays its owner's. */
export const rules: Rules = {
  version: 1,
  buckets: [
    ownLists,
    inOwnLists,
    { name: "shared lists", tables: ["lists"], filters: [inSharedList("id")] },
    {
      name: "own shares",
      tables: ["shares"],
      filters: [{ column: "person", op: "eq", value: "jwt:sub" }],
    },
    todosInSharedLists,
  ],
  write: [ownLists, inOwnLists, todosInSharedLists],
};
