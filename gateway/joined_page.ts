import { Buffer } from "node:buffer";
import {
  encodeRow,
  isVisible,
  type LogEntry,
  type LogPosition,
  type LogStore,
  ok,
  type ResolvedJoin,
  type Result,
  type RowFacts,
  type RowKey,
  type RowStatus,
} from "@lakesync/core";
import type { CallerView } from "./caller_view.ts";
import { cursorFault } from "./cursor.ts";
import type { MemberCounts, MembersBetween, Memberships } from "./memberships.ts";
import { type Page, type PageSize, readPage } from "./page.ts";
import type { RulesView } from "./rules_view.ts";
import { rowKey } from "./working_rows.ts";

/** Of a table with more visible rows than this nobody looks for those that a membership brings. */
const MAX_ROWS = 10_000;
/** Nor behind so many entries. */
const MAX_ENTRIES = 10_000;
const READ_LIMIT = 1_000;

/** What pages are read from. */
export interface JoinedPageContext {
  /** The log. */
  readonly store: LogStore;
  /** What joins select. */
  readonly memberships: Memberships;
}

/** What a caller may see at both ends of a page. */
interface Ends {
  readonly was: RulesView;
  readonly is: RulesView;
  /** The tables whose rows may come or go by a change of membership. */
  readonly moved: ReadonlySet<string>;
}

/** A row that entries on the way have touched. */
interface Touched {
  readonly row: RowKey;
  /** What it was before the first of them. */
  readonly before: RowStatus;
  readonly facts: RowFacts | undefined;
  /** Whether the caller may see it before and after each of them, so that its deltas say all. */
  steady: boolean;
}

/**
 * Reads a page for a caller, also for one whose rules look into another table. Where what such a rule
 * selects has changed behind the caller's place, the page goes up to the head: rows that came come as
 * ENTER in the state at the head, those that went as REMOVE or DELETE.
 *
 * @param view What the caller may see and asked for.
 * @param after Where it stands.
 * @param options What is read from, and how large the page may become.
 * @returns The page; `CHECKPOINT_REQUIRED` where too many rows come or go for one.
 */
export async function readPageFor(
  view: CallerView,
  after: LogPosition,
  options: JoinedPageContext & { size: PageSize },
): Promise<Result<Page>> {
  const { store, size } = options;
  const joins = view.rules?.joins(view.tables) ?? [];
  if (joins.length === 0) {
    return await readPage(store, after, { filter: view.filter(after.seq, view.rules), size });
  }
  const head = await store.head();
  if (!head.ok) return head;
  const ends = await bindEnds(view, { from: after.seq, to: head.value.seq }, options);
  if (!ends.ok) return ends;
  const { is, moved } = ends.value;
  if (moved.size === 0) {
    const filter = view.filter(after.seq, is);
    return await readPage(store, after, { filter, size, head: head.value });
  }
  return await readMoved(view, after, options);
}

/** What the caller's joins select at both ends of a stretch. */
async function bindEnds(
  view: CallerView,
  stretch: { from: number; to: number },
  { memberships }: JoinedPageContext,
): Promise<Result<Ends>> {
  const rules = view.rules!;
  const found = new Map<ResolvedJoin, MembersBetween>();
  for (const join of rules.joins()) {
    const between = await memberships.between(join, stretch, rules.inForce);
    if (!between.ok) return between;
    found.set(join, between.value);
  }
  const bind = (end: "was" | "is") => bindTo(rules, (join) => found.get(join)![end]);
  const moved = [...rules.resolved.tables].filter(([table, buckets]) =>
    view.tables?.has(table) !== false &&
    buckets.some(({ joins }) => joins.some((join) => found.get(join)!.changed))
  );
  return ok({ was: bind("was"), is: bind("is"), moved: new Set(moved.map(([table]) => table)) });
}

/**
 * A caller's rules with what their joins select at one place of the log.
 *
 * @param rules The rules; undefined where there are none.
 * @param seq The place.
 * @param memberships What joins select.
 * @returns The rules without joins.
 */
export async function bindRules(
  rules: RulesView | undefined,
  seq: number,
  memberships: Memberships,
): Promise<Result<RulesView | undefined>> {
  if (rules === undefined || rules.joins().length === 0) return ok(rules);
  const found = new Map<ResolvedJoin, MemberCounts>();
  for (const join of rules.joins()) {
    const between = await memberships.between(join, { from: seq, to: seq }, rules.inForce);
    if (!between.ok) return between;
    found.set(join, between.value.is);
  }
  return ok(bindTo(rules, (join) => found.get(join)!));
}

interface Binding {
  readonly members: readonly MemberCounts[];
  readonly bound: RulesView;
}

/** The last binding of each caller's rules: members seldom change, and to sort many takes a while. */
const BINDINGS = new WeakMap<RulesView, Binding>();

function bindTo(rules: RulesView, membersOf: (join: ResolvedJoin) => MemberCounts): RulesView {
  const members = rules.joins().map(membersOf);
  const held = BINDINGS.get(rules);
  // What has not changed is the very same object.
  if (held?.members.every((counts, i) => counts === members[i]) === true) return held.bound;
  const bound = rules.bind((join) => [...membersOf(join).values()].map(({ value }) => value));
  BINDINGS.set(rules, { members, bound });
  return bound;
}

async function readMoved(
  view: CallerView,
  after: LogPosition,
  context: JoinedPageContext & { size: PageSize },
): Promise<Result<Page>> {
  const { store, size } = context;
  const snapshot = await store.snapshot();
  if (!snapshot.ok) return snapshot;
  try {
    const { position } = snapshot.value;
    const ends = await bindEnds(view, { from: after.seq, to: position.seq }, context);
    if (!ends.ok) return ends;
    const { was, is, moved } = ends.value;
    const stats = await store.stats();
    if (!stats.ok) return stats;
    for (const table of moved) {
      if ((stats.value.rows.get(table) ?? 0) > MAX_ROWS) return cursorFault("moved");
    }
    const touched = await touchedRows(store, { from: after.seq, to: position.seq }, {
      is,
      keys: [was, is].flatMap((rules) => rules.keys({ tables: moved, after: after.seq })),
    });
    if (!touched.ok) return touched;

    const items: string[] = [];
    let bytes = 0;
    const add = (item: string) => {
      items.push(item);
      bytes += Buffer.byteLength(item);
    };
    const isFull = () => items.length > MAX_ENTRIES || bytes > size.maxBytes;
    /** Rows whose deltas go out as ever. */
    const steady = new Set<string>();
    for await (const chunk of snapshot.value.rows([...moved])) {
      for (const row of chunk) {
        const key = rowKey(row.table, row.rowId);
        const touch = touched.value.get(key);
        touched.value.delete(key);
        const before = touch === undefined
          ? isVisible(row.state) && was.seesState(row)
          : sawBefore(was, row, touch);
        const now = isVisible(row.state) && is.seesState(row);
        if (before && now && touch?.steady !== false) steady.add(key);
        else if (now) add(JSON.stringify({ op: "ENTER", ...encodeRow(row) }));
        else if (before) add(gone(row, isVisible(row.state) ? "REMOVE" : "DELETE"));
      }
      if (isFull()) return cursorFault("moved");
    }
    for (const touch of touched.value.values()) {
      if (sawBefore(was, touch.row, touch)) add(gone(touch.row, "DELETE"));
    }
    const filter = view.filter(after.seq, is);
    const page = await readPage(store, after, {
      filter: {
        ...filter,
        sees: (row, facts) =>
          moved.has(row.table) ? steady.has(rowKey(row.table, row.rowId)) : is.sees(row, facts),
      },
      size: { limit: Infinity, maxBytes: size.maxBytes },
      head: position,
    });
    if (!page.ok) return page;
    const all = [...page.value.items, ...items];
    const tooMany = page.value.hasMore || all.length > MAX_ENTRIES || isFull();
    return tooMany ? cursorFault("moved") : ok({ items: all, position, hasMore: false });
  } finally {
    await snapshot.value.close();
  }
}

/**
 * The rows that entries of a stretch have touched, by {@linkcode rowKey}: all of those that the caller
 * could see at one of its ends.
 */
async function touchedRows(
  store: LogStore,
  { from, to }: { from: number; to: number },
  { is, keys }: { is: RulesView; keys: readonly string[] },
): Promise<Result<Map<string, Touched>>> {
  const touched = new Map<string, Touched>();
  let count = 0;
  for (let readTo = from; readTo < to;) {
    const read = await store.read(readTo, { limit: READ_LIMIT, through: to, keys });
    if (!read.ok) return read;
    for (const entry of read.value) touch(touched, entry, is);
    const last = read.value.at(-1);
    if (last === undefined) break;
    count += read.value.length;
    if (count > MAX_ENTRIES) return cursorFault("moved");
    readTo = last.seq;
  }
  return ok(touched);
}

function touch(touched: Map<string, Touched>, entry: LogEntry, is: RulesView): void {
  const { table, rowId } = entry;
  const { before, after, judged } = entry.effect;
  const key = rowKey(table, rowId);
  const steady = before === "alive" && is.sees(entry, judged?.before) &&
    after === "alive" && is.sees(entry, judged?.after);
  const held = touched.get(key);
  if (held === undefined) {
    touched.set(key, { row: { table, rowId }, before, facts: judged?.before, steady });
  } else held.steady &&= steady;
}

function sawBefore(was: RulesView, row: RowKey, { before, facts }: Touched): boolean {
  return before === "alive" && was.sees(row, facts);
}

function gone({ table, rowId }: RowKey, op: "REMOVE" | "DELETE"): string {
  return JSON.stringify({ op, table, rowId });
}
