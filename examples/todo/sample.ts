/** What Ann and Ben have to do, so that the app does not open onto nothing. */
import { createClient, inProcessTransport } from "@lakesync/client";
import { unwrapOrThrow } from "@lakesync/core";
import { type Person, tables } from "./tables.ts";

/** A list with what is on it, in the order of writing. */
export interface SampleList {
  readonly id: string;
  readonly title: string;
  readonly colour: string;
  readonly owner: Person;
  /** Who else sees it. */
  readonly people?: readonly Person[];
  readonly open: readonly string[];
  readonly done?: readonly string[];
}

/** The lists. */
export const SAMPLE: readonly SampleList[] = [
  {
    id: "groceries",
    title: "Groceries",
    colour: "green",
    owner: "ann",
    people: ["ben"],
    open: ["Oat milk", "Sourdough, the dark one", "Lemons", "Coffee beans"],
    done: ["Tomatoes"],
  },
  {
    id: "trip",
    title: "A week at the lake",
    colour: "blue",
    owner: "ann",
    people: ["ben"],
    open: ["Book the cabin", "Ask Mira for her tent", "Maps that work offline"],
    done: ["Agree on a week", "Tell the neighbours"],
  },
  {
    id: "work",
    title: "Work",
    colour: "violet",
    owner: "ann",
    open: ["Review the schema change", "Answer Jonas", "Slides for Thursday"],
  },
  {
    id: "guitar",
    title: "Guitar",
    colour: "amber",
    owner: "ben",
    open: ["New strings", "Learn the bridge by heart"],
    done: ["Find a teacher"],
  },
];

/** How a person's changes reach the gateway. */
export type Reach = Pick<Parameters<typeof inProcessTransport>[0], "getToken"> & {
  readonly url: string;
};

/** Writes a person's lists through a client of theirs, as the app would. */
export async function writeLists(
  person: Person,
  samples: readonly SampleList[],
  reach: Reach,
): Promise<void> {
  const client = unwrapOrThrow(
    await createClient({
      ...reach,
      tables,
      database: ":memory:",
      clientId: `${person}:sample-${crypto.randomUUID()}`,
      sync: { auto: false },
    }),
  );
  let time = Date.now() - 86_400_000;
  const created = (): Date => new Date(time += 1_000);
  for (const { id, title, colour, owner, people = [], open, done = [] } of samples) {
    if (owner !== person) continue;
    unwrapOrThrow(
      await client.transaction(async ({ tables: { lists, shares, todos } }) => {
        await lists.insert({ id, title, colour, owner, created: created() });
        for (const other of people) {
          await shares.insert({ id: `${id}:${other}`, list: id, person: other });
        }
        for (const [titles, isDone] of [[open, false], [done, true]] as const) {
          for (const text of titles) {
            await todos.insert({ list: id, title: text, done: isDone, person, created: created() });
          }
        }
      }),
    );
  }
  unwrapOrThrow(await client.syncOnce());
  await client.close();
}
