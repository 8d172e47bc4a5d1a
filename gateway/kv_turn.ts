import { headChange, type HeadRead, type KvContext, readHead, updateHead } from "./kv_head.ts";

/** How long one gives way: so many waits of so many ms for one turn, so many in all. */
const WAITS = 50;
const ALL_WAITS = 200;
const WAIT_MS = 20;

/**
 * Makes others give way, who else were always faster.
 *
 * @param context The store.
 * @returns The turn; undefined where another one is under way.
 */
export async function takeTurn(context: KvContext): Promise<string | undefined> {
  const turn = context.random.uuid();
  const { head } = await updateHead(
    context,
    ({ head }) => Promise.resolve(head.turn === undefined ? { head: { turn } } : undefined),
  );
  return head.turn === turn ? turn : undefined;
}

/** Ends a turn, where it has not ended already. */
export async function endTurn(context: KvContext, turn: string | undefined): Promise<void> {
  if (turn === undefined) return;
  try {
    await updateHead(
      context,
      ({ head }) => Promise.resolve(head.turn === turn ? { head: { turn: undefined } } : undefined),
    );
  } catch {
    // Others wait for a second, and then no longer.
  }
}

/**
 * The head as soon as there is nobody to wait for, or no patience left.
 *
 * @param context The store.
 * @param mustWait Tells of a head on which another's turn is under way whether to wait for it.
 */
export async function patientHead(
  context: KvContext,
  mustWait: (read: HeadRead) => boolean,
): Promise<HeadRead> {
  let turn: string | undefined;
  for (let waits = 0, all = 0;; waits++, all++) {
    const read = await readHead(context);
    if (read.head.turn === undefined || !mustWait(read)) return read;
    if (read.head.turn !== turn) waits = 0;
    turn = read.head.turn;
    if (waits >= WAITS || all >= ALL_WAITS) return read;
    await headChange(context, read, WAIT_MS);
  }
}
