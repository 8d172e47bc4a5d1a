import type { SqlServer, SqlWork } from "@lakesync/core";
import type { Lately } from "./_lately.ts";
import { lookUpTexts } from "./_look_up.ts";
import { readDeltaRange } from "./_read_deltas.ts";
import { firstNumber, sql } from "./_sql.ts";

/** How many deltas, or rows, are brought into a table at once. */
const WINDOW = 5_000;
/** How many windows that are read from the database are one commit. */
const WINDOWS = 20;

/** What the rows of some deltas have become. */
export interface Window {
  /** Their states, as text; a row's are all the same one where it is there more than once. */
  readonly states: readonly string[];
  /** Up to this place everything has been in a window. */
  readonly through: number;
}

/** Windows one by one: the next one may be asked for before the one before it is looked at. */
export interface Windows {
  /** Reads what follows a place; undefined where this commit has enough. */
  next(after: number): Promise<Window | undefined> | undefined;
  /** Whether there may be more than was read. */
  more(): boolean;
}

/** The rows that changed behind a place: from memory where this process has merged them, else from the database. */
export async function windowsAfter(
  work: SqlWork,
  options: { server: SqlServer; table: string; done: number; lately: Lately },
): Promise<Windows> {
  const { server, table, done, lately } = options;
  if (!lately.has(table)) return readWindows(work, options);
  const head = firstNumber(
    await work.run(sql`SELECT value FROM lakesync_head WHERE name = ${"pos"}`),
  );
  const known = head === undefined ? undefined : lately.take(table, head);
  if (known !== undefined && head! > done) {
    const before = done >= known.after ? [] : await readDeltaRange(work, {
      server,
      columns: "pos",
      after: done,
      through: known.after,
      tables: [table],
      limit: 1,
    });
    if (before.length === 0) {
      return knownWindows([...known.states.values()], { done, through: head! });
    }
  }
  return readWindows(work, options);
}

function knownWindows(
  states: readonly string[],
  { done, through }: { done: number; through: number },
): Windows {
  let next = 0;
  return {
    next() {
      if (next >= states.length) return undefined;
      const some = states.slice(next, next += WINDOW);
      return Promise.resolve({ states: some, through: next < states.length ? done : through });
    },
    more: () => false,
  };
}

function readWindows(work: SqlWork, options: { server: SqlServer; table: string }): Windows {
  let windows = 0;
  return {
    next: (after) => windows++ < WINDOWS ? readWindow(work, { ...options, after }) : undefined,
    more: () => windows > WINDOWS,
  };
}

async function readWindow(
  work: SqlWork,
  options: { server: SqlServer; table: string; after: number },
): Promise<Window | undefined> {
  const { server, table, after } = options;
  const deltas = await readDeltaRange(work, {
    server,
    columns: "pos, row_key",
    after,
    through: undefined,
    tables: [table],
    limit: WINDOW,
  });
  const through = deltas.at(-1)?.[0];
  if (through === undefined) return undefined;
  const keys = [...new Set(deltas.map(([, key]) => key!))];
  return { states: await lookUpTexts(work, { server, keys }), through: Number(through) };
}
