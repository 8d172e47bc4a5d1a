/** The tables of the to-do example, for the page and for the gateway alike. */
import { boolean, defineTable, string, timestamp } from "@lakesync/core";

/** Lists of to-dos, each somebody's own. */
export const lists = defineTable("lists", {
  title: string(),
  colour: string(),
  owner: string(),
  created: timestamp(),
}, { indexes: [["created"]] });

/** Who else sees a list; a row's id is `LIST:PERSON`, so that nobody is let in twice. */
export const shares = defineTable("shares", { list: string(), person: string() }, {
  indexes: [["list"]],
});

/** What there is to do. */
export const todos = defineTable("todos", {
  list: string(),
  title: string(),
  done: boolean(),
  /** Who added it. */
  person: string(),
  created: timestamp(),
}, { indexes: [["list", "created"]] });

/** All of them. */
export const tables = [lists, shares, todos] as const;

/** Who can sign in: whoever the example's sign-in route signs a token for. */
export const PEOPLE = [{ id: "ann", name: "Ann" }, { id: "ben", name: "Ben" }] as const;

/** Somebody's id, the `sub` of their token. */
export type Person = typeof PEOPLE[number]["id"];

/** A person's name; the id of somebody who is not of the example. */
export function nameOf(person: string): string {
  return PEOPLE.find(({ id }) => id === person)?.name ?? person;
}
