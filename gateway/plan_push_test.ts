import { assert, assertEquals } from "@std/assert";
import {
  type AppendView,
  type Delta,
  emptyRow,
  mergeDelta,
  packHlc,
  type RejectionCode,
  type RowState,
  type Stamp,
} from "@lakesync/core";
import { insertTodo, test } from "@lakesync/testing";
import { type DecodedDelta, planPush, type PushPlan, transactionOf } from "./plan_push.ts";
import { deleteTodo, inTx, updateTodo } from "./testdata/fixture.ts";
import { rowKey } from "./working_rows.ts";

const NOW = 1_000_000;

function view(
  options: { known?: readonly Delta[]; rows?: readonly Delta[]; purged?: Stamp } = {},
): AppendView {
  const rows = new Map<string, RowState>();
  for (const delta of options.rows ?? []) {
    const state = rows.get(rowKey(delta.table, delta.rowId)) ?? emptyRow();
    mergeDelta(state, delta);
    rows.set(rowKey(delta.table, delta.rowId), state);
  }
  const known = new Set((options.known ?? []).map(({ deltaId }) => deltaId));
  return {
    head: { seq: 7, hash: "x" },
    now: NOW,
    purged: options.purged,
    duplicate: (delta) => known.has(delta.deltaId) ? 3 : undefined,
    row: (table, rowId) => rows.get(rowKey(table, rowId)),
    value: () => undefined,
  };
}

function good(delta: Delta): Omit<DecodedDelta, "index"> {
  const tx = delta.txId === undefined ? undefined : transactionOf(delta);
  return { deltaId: delta.deltaId, tx, delta, fault: undefined };
}

function bad(delta: Delta, code: RejectionCode = "SCHEMA_ERROR"): Omit<DecodedDelta, "index"> {
  return { ...good(delta), delta: undefined, fault: { code, message: "It does not fit" } };
}

function plan(
  items: readonly Omit<DecodedDelta, "index">[],
  given: AppendView = view(),
): PushPlan {
  const deltas = items.map((item, index) => ({ ...item, index }));
  return planPush(deltas, given, { now: NOW, maxDriftMs: 5_000 });
}

/** Each delta's verdict in order: a code, or `""` where it is not rejected. */
function verdicts(result: PushPlan, count: number): string[] {
  const codes = new Map(result.rejected.map(({ index, code }) => [index, code]));
  return Array.from({ length: count }, (_, i) => codes.get(i) ?? "");
}

function appended(result: PushPlan): string[] {
  return result.entries.map(({ delta, txEnd }) => `${delta.rowId}${txEnd ? "." : ""}`);
}

const ahead = (ms: number) => packHlc({ wallMs: NOW + ms, counter: 0 });
const drifting = (rowId: string, txId?: string) =>
  updateTodo(rowId, ahead(5_001), { title: "t" }, txId === undefined ? {} : { txId });

test("planPush() appends in the order of the push, each delta without txId by itself", () => {
  const result = plan(["a", "b", "c"].map((rowId, i) => good(insertTodo(rowId, 9 - i))));
  assertEquals(appended(result), ["a.", "b.", "c."]);
  assertEquals([result.accepted, result.duplicates, result.rejected], [3, 0, []]);
});

test("planPush() counts what the log knows as a duplicate and appends it no more", () => {
  const known = [insertTodo("a", 1)];
  const result = plan([good(known[0]!), good(insertTodo("b", 2))], view({ known }));
  assertEquals(appended(result), ["b."]);
  assertEquals([result.accepted, result.duplicates], [1, 1]);
});

test("planPush() counts a repetition within the push as a duplicate", () => {
  const a = insertTodo("a", 1);
  const txA = inTx(insertTodo("b", 2), "t");
  const result = plan([good(a), good(a), good(txA), good(txA), good(a)]);
  assertEquals(appended(result), ["a.", "b."]);
  assertEquals([result.accepted, result.duplicates, result.rejected.length], [2, 3, 0]);
});

test("planPush() rejects a repetition along with its transaction, and takes it where it is good", () => {
  const a = insertTodo("a", 1);
  const items = [
    good(inTx(a, "t")),
    good(inTx(a, "t")),
    bad(inTx(insertTodo("b", 2), "t")),
    good(a),
  ];
  const result = plan(items);
  assertEquals(verdicts(result, 4), ["TX_REJECTED", "TX_REJECTED", "SCHEMA_ERROR", ""]);
  assertEquals(appended(result), ["a."]);
  assertEquals([result.accepted, result.duplicates], [1, 0]);
});

test("planPush() appends a transaction whole and marks only its end", () => {
  const items = ["a", "b", "c"].map((rowId, i) => good(inTx(insertTodo(rowId, i + 1), "t1")));
  const result = plan([...items, good(inTx(insertTodo("d", 9), "t2"))]);
  assertEquals(appended(result), ["a", "b", "c.", "d."]);
});

test("planPush() takes the same txId for two transactions where something stands between", () => {
  const result = plan([
    good(inTx(insertTodo("a", 1), "t")),
    bad(insertTodo("x", 2)),
    good(inTx(insertTodo("b", 3), "t")),
  ]);
  assertEquals(appended(result), ["a.", "b."]);
});

test("planPush() takes the same txId of two clients for two transactions", () => {
  const result = plan([
    good(inTx(insertTodo("a", 1, "alice:phone"), "t")),
    bad(inTx(insertTodo("b", 2, "alice:tablet"), "t")),
  ]);
  assertEquals(verdicts(result, 2), ["", "SCHEMA_ERROR"]);
});

for (const place of [0, 1, 2]) {
  test(`planPush() rejects a transaction for its delta ${place}: the others are TX_REJECTED`, () => {
    const items = ["a", "b", "c"].map((rowId, i) => {
      const delta = inTx(insertTodo(rowId, i + 1), "t");
      return i === place ? bad(delta, "BAD_DELTA_ID") : good(delta);
    });
    const result = plan([good(insertTodo("before", 1)), ...items, good(insertTodo("after", 9))]);
    const expected = ["TX_REJECTED", "TX_REJECTED", "TX_REJECTED"];
    expected[place] = "BAD_DELTA_ID";
    assertEquals(verdicts(result, 5), ["", ...expected, ""]);
    assertEquals(appended(result), ["before.", "after."]);
    assertEquals(result.rows.map(({ rowId }) => rowId), ["before", "after"]);
    assertEquals(result.rejected.map(({ index }) => index), [1, 2, 3]);
  });
}

test("planPush() counts the known part of a rejected transaction as duplicates", () => {
  const known = inTx(insertTodo("a", 1), "t");
  const result = plan([good(known), bad(inTx(insertTodo("b", 2), "t"))], view({ known: [known] }));
  assertEquals(verdicts(result, 2), ["", "SCHEMA_ERROR"]);
  assertEquals([result.accepted, result.duplicates], [0, 1]);
});

test("planPush() takes a stamp of exactly 5 s ahead and refuses one of a millisecond more", () => {
  assertEquals(plan([good(updateTodo("a", ahead(5_000), { title: "t" }))]).accepted, 1);
  assertEquals(verdicts(plan([good(drifting("a"))]), 1), ["CLOCK_DRIFT"]);
});

test("planPush() takes any counter of the last millisecond that is not too far ahead, and none of the next", () => {
  const verdict = (wallMs: number, counter: number, maxDriftMs: number) => {
    const item = good(insertTodo("a", 1));
    const delta = { ...item.delta!, hlc: packHlc({ wallMs, counter }) };
    const result = planPush([{ ...item, delta, index: 0 }], view(), { now: NOW, maxDriftMs });
    return result.rejected.map(({ code }) => code);
  };
  assertEquals(verdict(NOW + 5_000, 65_535, 5_000), []);
  assertEquals(verdict(NOW + 5_001, 0, 5_000), ["CLOCK_DRIFT"]);
  assertEquals(verdict(NOW, 65_535, 0.5), []);
  assertEquals(verdict(NOW + 1, 0, 0.5), ["CLOCK_DRIFT"]);
  assertEquals(verdict(2 ** 48 - 1, 65_535, Infinity), []);
});

test("planPush() refuses everything after the first CLOCK_DRIFT as CLOCK_DRIFT", () => {
  const known = insertTodo("k", 1);
  const items = [
    good(insertTodo("a", 1)),
    good(drifting("b")),
    good(insertTodo("c", 2)),
    good(inTx(insertTodo("d", 3), "t")),
    good(inTx(insertTodo("e", 4), "t")),
    bad(insertTodo("f", 5)),
    good(known),
  ];
  const result = plan(items, view({ known: [known] }));
  const drift = "CLOCK_DRIFT";
  assertEquals(verdicts(result, 7), ["", drift, drift, drift, drift, drift, ""]);
  assertEquals(appended(result), ["a."]);
  assertEquals(result.duplicates, 1);
});

test("planPush() refuses the rest of a drifting transaction as TX_REJECTED, then as CLOCK_DRIFT", () => {
  const items = [
    good(inTx(insertTodo("a", 1), "t")),
    good(drifting("b", "t")),
    good(inTx(insertTodo("c", 2), "t")),
    good(insertTodo("d", 3)),
  ];
  const result = plan(items);
  assertEquals(verdicts(result, 4), ["TX_REJECTED", "CLOCK_DRIFT", "TX_REJECTED", "CLOCK_DRIFT"]);
  assertEquals(result.entries, []);
});

test("planPush() refuses as STALE what is not above the purged stamp on a row without state", () => {
  const purged = { hlc: "10", clientId: "bob" };
  const rows = [insertTodo("there", 3)];
  const items = [
    insertTodo("older", 9, "zoe"),
    insertTodo("same", 10, "bob"),
    insertTodo("above", 10, "carol"),
    insertTodo("newer", 11, "a"),
    updateTodo("there", 4, { title: "x" }),
    deleteTodo("gone", 5),
  ];
  const result = plan(items.map(good), view({ purged, rows }));
  assertEquals(verdicts(result, 6), ["STALE", "STALE", "", "", "", "STALE"]);
});

test("planPush() gives no old life to a purged row that a later UPDATE has touched", () => {
  const purged = { hlc: "10", clientId: "bob" };
  const items = [
    updateTodo("a", 11, { title: "x" }),
    deleteTodo("a", 4),
    insertTodo("a", 5),
    updateTodo("a", 6, { done: true }),
    insertTodo("a", 12),
  ];
  const result = plan(items.map(good), view({ purged }));
  assertEquals(verdicts(result, 5), ["", "STALE", "STALE", "", ""]);
  assertEquals(result.rows[0]?.state.life?.hlc, "12");
});

test("planPush() judges STALE by the rows as the push has left them", () => {
  const purged = { hlc: "10", clientId: "bob" };
  const items = [insertTodo("a", 11), updateTodo("a", 5, { title: "x" })];
  const result = plan(items.map(good), view({ purged }));
  assertEquals(verdicts(result, 2), ["", ""]);
  assertEquals(result.entries[1]?.effect.columns, []);
});

test("planPush() says in entries what of each delta still counts after its transaction", () => {
  const result = plan([
    good(inTx(insertTodo("a", 5), "t")),
    good(inTx(updateTodo("a", 6, { title: "x", done: true }), "t")),
    good(inTx(updateTodo("a", 4, { title: "lost" }), "t")),
    good(deleteTodo("a", 7)),
    good(insertTodo("a", 8)),
  ]);
  const effects = result.entries.map(({ effect }) => [
    effect.before,
    effect.after,
    effect.last,
    effect.life,
    effect.columns,
    effect.state?.columns.get("title")?.[0],
  ]);
  assertEquals(effects, [
    ["none", "alive", false, true, [], undefined],
    ["none", "alive", false, false, undefined, undefined],
    ["none", "alive", true, false, [], undefined],
    ["alive", "dead", true, true, [], undefined],
    ["dead", "alive", true, true, undefined, "Todo a"],
  ]);
});

test("planPush() keeps an ENTER's state as it was just after its transaction", () => {
  const result = plan([
    good(deleteTodo("a", 1)),
    good(insertTodo("a", 2)),
    good(updateTodo("a", 3, { title: "later" })),
  ]);
  assertEquals(result.entries[1]?.effect.state?.columns.get("title")?.[0], "Todo a");
  assertEquals(result.rows[0]?.state.columns.get("title")?.[0], "later");
});

test("planPush() leaves the view's rows as they are", () => {
  const given = view({ rows: [insertTodo("a", 1)] });
  const before = structuredClone(given.row("todos", "a"));
  plan([good(updateTodo("a", 2, { title: "x" }))], given);
  assertEquals(given.row("todos", "a"), before);
});

test("planPush() rejects in words that carry no row value", () => {
  const purged = { hlc: "10", clientId: "bob" };
  const secret = updateTodo("gone", 2, { title: "s3cret" });
  const late = updateTodo("b", ahead(9_000), { title: "s3cret" });
  const { rejected } = plan([good(secret), good(late), good(late)], view({ purged }));
  assertEquals(rejected.map(({ code }) => code), ["STALE", "CLOCK_DRIFT", "CLOCK_DRIFT"]);
  assert(!JSON.stringify(rejected).includes("s3cret"));
});

test("transactionOf() names a transaction by client and txId, also of a malformed delta", () => {
  assertEquals(transactionOf({ clientId: "a", txId: "b" }), '["a","b"]');
  for (const value of [null, 1, "x", [], {}, { clientId: "a" }, { clientId: 1, txId: "b" }]) {
    assertEquals(transactionOf(value), undefined);
  }
});
