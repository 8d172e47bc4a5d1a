// Way out × operation × visibility before and after × operator, against an oracle that keeps whole
// rows and knows nothing of the log.
import { assert, assertEquals } from "@std/assert";
import type { Delta, JsonValue, PageItem, RuleOp, Rules } from "@lakesync/core";
import { test } from "@lakesync/testing";
import {
  openRuled,
  type RuledGateway,
  task,
  type Values,
  WAYS_OUT,
  type Who,
  WRITE_ALL,
} from "./testdata/rules_fixture.ts";

/** For each operator: its value, ranks that it lets through and ranks that it does not. */
const OPERATORS: readonly {
  op: RuleOp;
  value: JsonValue;
  passes: readonly number[];
  fails: readonly number[];
}[] = [
  { op: "eq", value: 5, passes: [5], fails: [4, 6] },
  { op: "eq", value: [5, 7], passes: [5, 7], fails: [6] },
  { op: "in", value: [5, 7], passes: [5, 7], fails: [6] },
  { op: "neq", value: 5, passes: [4, 6], fails: [5] },
  { op: "gt", value: 5, passes: [6, 7], fails: [5, 4] },
  { op: "gte", value: 5, passes: [5, 6], fails: [4] },
  { op: "lt", value: 5, passes: [4, 3], fails: [5, 6] },
  { op: "lte", value: 5, passes: [5, 4], fails: [6] },
];

const ADMIN: Who = { sub: "admin", role: "admin" };

/** What a row is before the transaction under test. */
const BEFORE = ["none", "dead", "visible", "hidden", "null"] as const;

type Before = typeof BEFORE[number];

/** The oracle's row: its values, and who wrote each of them when. */
interface Row {
  readonly life: readonly [string, string];
  readonly columns: Map<string, [JsonValue, string, string]>;
}

/** The oracle: rows as they are, changed by deltas whose stamps rise. */
class Rows {
  readonly alive = new Map<string, Row>();
  readonly seen = new Set<string>();
  readonly passes: (rank: JsonValue | undefined) => boolean;

  constructor(passes: (rank: JsonValue | undefined) => boolean) {
    this.passes = passes;
  }

  visible(rowId: string): boolean {
    const row = this.alive.get(rowId);
    return row !== undefined && this.passes(row.columns.get("rank")?.[0]);
  }

  apply(delta: Delta): void {
    const { op, rowId, hlc, clientId, columns } = delta;
    this.seen.add(rowId);
    if (op === "DELETE") this.alive.delete(rowId);
    if (op === "INSERT") this.alive.set(rowId, { life: [hlc, clientId], columns: new Map() });
    for (const { column, value } of columns) {
      this.alive.get(rowId)?.columns.set(column, [value, hlc, clientId]);
    }
  }

  /** What a transaction of one delta, or of several on one row, comes to for a reader. */
  expect(deltas: readonly Delta[], ownId: string | undefined): PageItem[] {
    const { table, rowId, txId } = deltas[0]!;
    const tx = txId === undefined ? {} : { txId };
    const known = this.seen.has(rowId);
    const before = this.visible(rowId);
    for (const delta of deltas) this.apply(delta);
    const after = this.visible(rowId);
    if (after && (before || !known)) {
      return deltas.map((delta): PageItem => {
        if (delta.clientId === ownId) return { op: "OWN", deltaId: delta.deltaId, ...tx };
        const row = this.alive.get(rowId)!;
        // Only what still counts after the transaction.
        return {
          ...delta,
          columns: delta.columns.filter(({ column }) => row.columns.get(column)?.[1] === delta.hlc),
        };
      });
    }
    if (before && !after) {
      return [{ op: this.alive.has(rowId) ? "REMOVE" : "DELETE", table, rowId, ...tx }];
    }
    if (!after) return [];
    const { life, columns } = this.alive.get(rowId)!;
    return [{ op: "ENTER", table, rowId, life, columns: Object.fromEntries(columns), ...tx }];
  }
}

/** The transactions under test on a row: every operation, with and without the filter's column. */
function actions(rowId: string, ranks: readonly (number | null)[]): Delta[][] {
  const by = { by: ADMIN.sub };
  const all: Delta[][] = [[task("DELETE", rowId, {}, by)]];
  for (const rank of ranks) {
    all.push(
      [task("INSERT", rowId, { title: "new", rank }, by)],
      [task("UPDATE", rowId, { rank }, by)],
      [task("UPDATE", rowId, { title: "both", rank }, by)],
    );
    const inTx = { ...by, txId: `tx-${rowId}` };
    // There and back again within a transaction: only the ends count.
    for (const way of ranks) {
      all.push([
        task("INSERT", rowId, { rank: way, title: "x" }, inTx),
        task("UPDATE", rowId, { rank }, inTx),
      ]);
    }
  }
  all.push([task("INSERT", rowId, {}, by)], [task("UPDATE", rowId, { title: "else" }, by)]);
  return all;
}

function history(before: Before, rowId: string, ranks: { pass: number; fail: number }): Delta[] {
  const insert = (values: Values) => task("INSERT", rowId, { title: "old", ...values });
  switch (before) {
    case "none":
      return [];
    case "dead":
      return [insert({ rank: ranks.pass }), task("DELETE", rowId)];
    case "visible":
      return [insert({ rank: ranks.pass })];
    case "hidden":
      return [insert({ rank: ranks.fail })];
    case "null":
      return [insert({})];
  }
}

/** Everything at once: rows for each case, their histories, then the transactions under test. */
async function play(
  ruled: RuledGateway,
  who: Who,
  ranks: { passes: readonly number[]; fails: readonly number[] },
): Promise<{ cursor: string; expected: PageItem[]; own: PageItem[]; rows: Rows }> {
  const passes = (rank: JsonValue | undefined) =>
    typeof rank === "number" && ranks.passes.includes(rank);
  const rows = new Rows(passes);
  const ownRows = new Rows(passes);
  const [pass, fail] = [ranks.passes[0]!, ranks.fails[0]!];
  const all = [...ranks.passes, ...ranks.fails, null];
  const count = actions("", all).length;
  const cases = BEFORE.flatMap((before) =>
    Array.from({ length: count }, (_, i) => ({ before, i, rowId: `${before}-${i}` }))
  );
  const past = cases.flatMap(({ before, rowId }) => history(before, rowId, { pass, fail }));
  assertEquals((await ruled.push(ADMIN, past)).rejected, []);
  for (const delta of past) [rows, ownRows].forEach((oracle) => oracle.apply(delta));
  const { cursor } = await ruled.checkpoint(who);

  const expected: PageItem[] = [];
  const own: PageItem[] = [];
  for (const { before, i, rowId } of cases) {
    const deltas = actions(rowId, all)[i]!;
    const { rejected } = await ruled.push(ADMIN, deltas);
    const alive = before !== "none" && before !== "dead";
    if (!alive && deltas[0]!.op !== "INSERT") {
      assertEquals(rejected.map(({ code }) => code), ["FORBIDDEN_WRITE"]);
      continue;
    }
    assertEquals(rejected, []);
    expected.push(...rows.expect(deltas, undefined));
    own.push(...ownRows.expect(deltas, ADMIN.sub));
  }
  return { cursor, expected: expected.filter(says), own, rows };
}

/** A delta of which nothing counts is not sent. */
function says(item: PageItem): boolean {
  return !("hlc" in item) || item.op !== "UPDATE" || item.columns.length > 0;
}

for (const { op, value, passes, fails } of OPERATORS) {
  for (const from of ["the rule", "the token"]) {
    const name = `${op} ${JSON.stringify(value)} of ${from}`;
    test(`${name}: every way out gives each transaction as whole rows are judged`, async () => {
      const filter = { column: "rank", op, value: from === "the rule" ? value : "jwt:limits.rank" };
      const rules: Rules = {
        version: 1,
        buckets: [{ name: "ranked", tables: ["tasks"], filters: [filter] }],
        write: WRITE_ALL,
      };
      await using ruled = await openRuled(rules);
      const who: Who = { sub: "bob", limits: { rank: value } };
      const { cursor, expected, own, rows } = await play(ruled, who, { passes, fails });
      const kinds = new Set(expected.map((item) => item.op));
      assertEquals(kinds, new Set(["INSERT", "UPDATE", "DELETE", "ENTER", "REMOVE"]));
      for (const [way, items] of Object.entries(WAYS_OUT)) {
        assertEquals(await items(ruled, who, { cursor }), expected, way);
        const mine = { ...who, sub: ADMIN.sub };
        assertEquals(await items(ruled, mine, { cursor, own: true }), own, `${way}, own=ids`);
      }
      const checkpoint = await ruled.checkpoint(who);
      const visible = [...rows.alive].filter(([rowId]) => rows.visible(rowId));
      assertEquals(
        new Map(checkpoint.rows.map((row) => [row.rowId, row.columns])),
        new Map(visible.map(([rowId, { columns }]) => [rowId, Object.fromEntries(columns)])),
      );
      assert(visible.length > 20, `${visible.length} rows are visible`);
    });
  }
}
