import {
  cloneRow,
  type Delta,
  emptyRow,
  isVisible,
  mergeDelta,
  packHlc,
  type RowState,
  unwrapOrThrow,
} from "@lakesync/core";
import { Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { OwnDelta, RowFacts } from "../inspect.ts";
import { foreignDelta, withBench } from "../testdata/bench.ts";
import { explainCell, inspect } from "./mod.ts";

const COLUMNS = ["a", "b", "__proto__"];

/** Few stamps, so that many are equal. */
const deltas: fc.Arbitrary<Delta> = fc.record({
  op: fc.constantFrom("INSERT" as const, "UPDATE" as const, "DELETE" as const),
  table: fc.constant("t"),
  rowId: fc.constant("r"),
  clientId: fc.constantFrom("x", "y", "\u{1F600}", "\uFFFD"),
  hlc: fc.integer({ min: 1, max: 12 }).map(String),
  deltaId: fc.uuid(),
  columns: fc.uniqueArray(
    fc.record({ column: fc.constantFrom(...COLUMNS), value: fc.constantFrom(null, 0, 1, "1") }),
    { selector: ({ column }) => column },
  ),
}).map((delta) => delta.op === "DELETE" ? { ...delta, columns: [] } : delta);

function ownOf(delta: Delta, ord: number, state: OwnDelta["state"] = "unsent"): OwnDelta {
  return { ord, delta, state, tries: 0, bytes: 0, seq: undefined, at: undefined };
}

/** A row as a client has it: the base holds only what is visible. */
function factsOf(told: readonly Delta[], own: readonly OwnDelta[]): RowFacts {
  const base = emptyRow();
  for (const delta of told) mergeDelta(base, delta);
  return { id: "r", base: isVisible(base) ? base : undefined, own, rejected: [] };
}

function merged({ base, own }: RowFacts): RowState {
  const state = base === undefined ? emptyRow() : cloneRow(base);
  for (const { delta, state: how } of own) if (how !== "settled") mergeDelta(state, delta);
  return state;
}

test("explainCell() says what core's merge says, for random histories", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(
      fc.array(deltas, { maxLength: 8 }),
      fc.array(fc.tuple(deltas, fc.constantFrom("unsent", "accepted", "settled")), {
        maxLength: 6,
      }),
      (told, mine) => {
        const own = mine.map(([delta, state], i) => ownOf(delta, i, state as OwnDelta["state"]));
        const facts = factsOf(told, own);
        const state = merged(facts);
        for (const column of COLUMNS) {
          const explained = explainCell(facts, column);
          const register = state.columns.get(column);
          assertEquals(explained.visible, isVisible(state));
          assertEquals(explained.value, register?.[0] ?? null);
          const winner = explained.claims.find(({ outcome, claim }) =>
            outcome === "won" && claim.value !== undefined
          )?.claim;
          assertEquals([winner?.hlc, winner?.clientId], [register?.[1], register?.[2]]);
          const { life } = explained;
          assertEquals([life?.alive, life?.hlc, life?.clientId], [
            state.life?.alive,
            state.life?.hlc,
            state.life?.clientId,
          ]);
          seen.add(explained.rule).add(`life ${explained.lifeRule}`);
        }
      },
    ),
    { seed: 42, numRuns: 3_000 },
  );
  for (const rule of ["only", "later", "client", "value", "life", "unset", "no row"]) {
    assert(seen.has(rule), `no history was decided by "${rule}"`);
  }
  for (const rule of ["only", "later", "client", "dead", "no row"]) {
    assert(seen.has(`life ${rule}`), `no life was decided by "${rule}"`);
  }
});

test("the rule that explainCell() names is what the outcome hangs on: without the winner the next one wins", () => {
  fc.assert(
    fc.property(fc.array(deltas, { minLength: 2, maxLength: 8 }), (mine) => {
      const own = mine.map((delta, i) => ownOf(delta, i));
      for (const column of COLUMNS) {
        const { rule, claims } = explainCell(factsOf([], own), column);
        if (!["later", "client", "value"].includes(rule)) continue;
        const values = claims.filter(({ claim }) => claim.value !== undefined);
        const won = values.find(({ outcome }) => outcome === "won")!.claim;
        const rival = values.find(({ outcome, rule: by }) => outcome === "lost" && by === rule)!;
        const same = [won.hlc === rival.claim.hlc, won.clientId === rival.claim.clientId];
        assertEquals(rule === "later", !same[0]);
        assertEquals(rule === "client", same[0]! && !same[1]);
        assertEquals(rule === "value", same[0]! && same[1]!);
      }
    }),
    { seed: 42 },
  );
});

test("explainCell() lists what does not count any more: settled and rejected deltas", () => {
  const change = (hlc: string, value: number): Delta => ({
    op: "UPDATE",
    table: "t",
    rowId: "r",
    clientId: "x",
    hlc,
    deltaId: hlc,
    columns: [{ column: "a", value }],
  });
  const facts: RowFacts = {
    ...factsOf([{ ...change("1", 1), op: "INSERT" }], [ownOf(change("2", 2), 1, "settled")]),
    rejected: [{ delta: change("3", 3), code: "FORBIDDEN_WRITE", message: "No", at: 0 }],
  };
  const { value, rule, past } = explainCell(facts, "a");
  assertEquals([value, rule], [1, "only"]);
  assertEquals(past.map((of) => ["settled" in of, of.value]), [[false, 3], [true, 2]]);
  assertEquals(explainCell(facts, "b").past, []);
});

test("explainCell() takes a delta that has come back for what it is: the same value, told twice", () => {
  const delta: Delta = {
    op: "INSERT",
    table: "t",
    rowId: "r",
    clientId: "x",
    hlc: "7",
    deltaId: "d",
    columns: [{ column: "a", value: "v" }],
  };
  const { rule, claims } = explainCell(factsOf([delta], [ownOf(delta, 1, "accepted")]), "a");
  assertEquals(rule, "only");
  assertEquals(claims.map(({ outcome }) => outcome), ["won", "same"]);
});

test("explainCell() gives what the app's table shows, whatever a client and others do", async () => {
  const rules = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    await withBench(async (bench) => {
      const random = new Prng(seed);
      const client = await bench.client();
      const inspection = inspect(client);
      const ids = ["r", "s"];
      for (let step = 0; step < 40; step++) {
        const id = random.pick(ids);
        switch (random.int(0, 6)) {
          case 0:
          case 1: {
            const op = random.pick(["INSERT", "UPDATE", "DELETE"] as const);
            const wallMs = bench.clock.now() + random.int(-3, 3);
            const columns = op === "DELETE" ? {} : { title: `${step}`, done: step % 2 === 0 };
            const hlc = packHlc({ wallMs, counter: random.int(0, 2) });
            bench.gateway.append([foreignDelta({ op, rowId: id, hlc, columns })]);
            break;
          }
          case 2:
            await client.tables.todos.upsert({ id, title: `own ${step}`, done: false });
            break;
          case 3:
            await client.tables.todos.update(id, { rank: step });
            break;
          case 4:
            await client.tables.todos.delete(id);
            break;
          case 5:
            bench.gateway.reject = random.int(0, 2) === 0
              ? () => "FORBIDDEN_WRITE"
              : () => undefined;
            await client.syncOnce();
            break;
          default:
            await bench.clock.advance(1);
        }
        const facts = unwrapOrThrow(await inspection.rows("todos", { ids, history: true }));
        for (const known of facts) {
          const row = unwrapOrThrow(await client.tables.todos.get(known.id));
          for (const column of ["title", "done", "rank"] as const) {
            const { visible, value, rule } = explainCell(known, column);
            assertEquals(visible, row !== undefined);
            if (row !== undefined) assertEquals(value, row[column]);
            rules.add(rule);
          }
        }
      }
    });
  }
  for (const rule of ["only", "later", "life", "unset", "no row"]) {
    assert(rules.has(rule), `no value was decided by "${rule}"`);
  }
});
