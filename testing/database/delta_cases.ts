import { emptyRow, type JsonValue, mergeDelta, type RowState, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";
import { Prng } from "../prng.ts";
import {
  allDeltas,
  batchOf,
  deltaOf,
  EVERYTHING,
  insert,
  statuses,
  type TestDatabase,
  todo,
  TODOS,
} from "./fixture.ts";

/** Registers one test. */
export type Check = (title: string, body: (database: TestDatabase) => Promise<void>) => void;

/** Values of all types at their edges, by column of {@linkcode EVERYTHING}. */
export const EDGES: { readonly [column: string]: readonly JsonValue[] } = {
  text: ["", "a\u0000b", "\\N \t\r\n'\"\\", "\u{1F600} é \uFFFF", " trailing ", "\u0001"],
  num: [0, 1.5, -1e-300, 1.7976931348623157e308, 5e-324, 0.1],
  int: [0, -1, 9007199254740991, "9007199254740993", "9223372036854775807", "-9223372036854775808"],
  flag: [true, false],
  at: [
    "2026-01-02T03:04:05.678901Z",
    "0000-02-29T00:00:00.000001Z",
    "9999-12-31T23:59:59.999999Z",
    "1969-12-31T23:59:59.000001Z",
  ],
  raw: ["", "AAECAw==", "/w==", "XHgwMA=="],
  doc: [{ a: [1, null, { "b\u0000": "\u0000" }] }, "text", 1e300, true, [], { "": "\\u0000" }],
  ["__proto__"]: ["own"],
};

/** What `insertDeltas`, `queryDeltasSince` and `getLatestState` have to hold. */
export function registerDeltaCases(check: Check): void {
  check("gives every value of every type back as it went in", async (database) => {
    const adapter = await database.open();
    const deltas = Object.entries(EDGES).flatMap(([column, values]) =>
      values.map((value, i) =>
        deltaOf({
          op: "INSERT",
          table: "everything",
          rowId: `${column} ${i}`,
          hlc: i + 1,
          columns: Object.fromEntries([[column, value]]),
        })
      )
    );
    for (const rowId of ["a", "a ", "A", "a\u0000", "\u0001", "é", "\u{1F600}", "\uFF5E"]) {
      deltas.push(deltaOf({ op: "INSERT", table: "everything", rowId, hlc: 7 }));
    }
    await insert(adapter, deltas, [EVERYTHING]);
    assertEquals((await allDeltas(adapter)).map(({ delta }) => delta), deltas);
    const { rows } = unwrapOrThrow(await adapter.getLatestState("everything"));
    const states = new Map(rows.map(({ rowId, state }) => [rowId, state]));
    assertEquals(states.size, deltas.length);
    for (const delta of deltas) {
      const state = emptyRow();
      mergeDelta(state, delta);
      assertEquals(states.get(delta.rowId), state);
    }
  });

  check(
    "moves a watermark with the deltas, and leaves a batch that comes again",
    async (database) => {
      const adapter = await database.open();
      assertEquals(unwrapOrThrow(await adapter.watermarks(["todos", "other"])).size, 0);
      const first = { deltas: [todo("r1", 1), todo("r2", 2)] };
      assertEquals(statuses(await adapter.insertDeltas(batchOf(first))), { todos: "committed" });
      assertEquals(statuses(await adapter.insertDeltas(batchOf(first))), { todos: "moved" });
      const marks = unwrapOrThrow(await adapter.watermarks(["todos", "other"]));
      assertEquals([...marks], [["todos", { epoch: "e", seq: 2 }]]);
      const outcomes = unwrapOrThrow(
        await adapter.insertDeltas(batchOf({ deltas: [todo("r3", 3)], from: 1 })),
      );
      assertEquals(outcomes.get("todos"), { status: "moved", watermark: { epoch: "e", seq: 2 } });
      assertEquals((await allDeltas(adapter)).length, 2);
    },
  );

  check(
    "keeps the log's hash with a watermark, also in tables of before there was one",
    async (database) => {
      const hashes = ["q3yvs3jbuq", undefined, "1z5iy95lx96"];
      await insert(await database.open(), [todo("r1", 1)]);
      await database.execute('ALTER TABLE "lakesync_tables" DROP COLUMN "log_hash"');
      const adapter = await database.open();
      const markNow = async () => unwrapOrThrow(await adapter.watermarks(["todos"])).get("todos");
      assertEquals(await markNow(), { epoch: "e", seq: 1 });
      for (const [i, hash] of hashes.entries()) {
        const batch = batchOf({ deltas: [todo(`r${i + 2}`, i + 2)], from: i + 1 });
        const to = { ...batch.to, ...(hash !== undefined && { hash }) };
        assertEquals(statuses(await adapter.insertDeltas({ ...batch, to })), {
          todos: "committed",
        });
        assertEquals(await markNow(), to);
      }
      // One that does not know of it has gone on.
      await database.execute(`UPDATE "lakesync_tables" SET "seq" = 9 WHERE "table_name" = 'todos'`);
      assertEquals(await markNow(), { epoch: "e", seq: 9 });
    },
  );

  check("leaves out entries that a table has, and tables without entries", async (database) => {
    const adapter = await database.open();
    await insert(adapter, [todo("r1", 1), todo("r2", 2)]);
    const again = batchOf({ deltas: [todo("r1", 1), todo("r2", 2), todo("r3", 3)] });
    const tables = new Map([
      ["todos", { schema: TODOS, from: { epoch: "e", seq: 2 } }],
      ["everything", { schema: EVERYTHING, from: undefined }],
    ]);
    const outcomes = await adapter.insertDeltas({ ...again, tables });
    assertEquals(statuses(outcomes), { todos: "committed", everything: "empty" });
    assertEquals((await allDeltas(adapter)).map(({ seq }) => seq), [1, 2, 3]);
    assertEquals(unwrapOrThrow(await adapter.watermarks(["everything"])).size, 0);
  });

  check("takes 25,000 deltas in one batch, in one commit", async (database) => {
    const adapter = await database.open();
    const deltas = Array.from({ length: 25_000 }, (_, i) => todo(`row ${i}`, i + 1, { n: i }));
    await insert(adapter, deltas);
    const stored = await allDeltas(adapter, 10_000);
    assertEquals(stored.length, deltas.length);
    assertEquals(stored.map(({ seq }) => seq), deltas.map((_, i) => i + 1));
    assertEquals(stored.at(-1)?.delta, deltas.at(-1));
  });

  check("takes many deltas of one row at one seq, as a rebuild gives them", async (database) => {
    const adapter = await database.open();
    const deltas = [
      todo("r1", 1),
      deltaOf({ op: "UPDATE", rowId: "r1", hlc: 9, columns: { n: 9 } }),
    ];
    const entries = deltas.map((delta) => ({ seq: 40, at: 1, delta }));
    const batch = { ...batchOf({ deltas: [] }), to: { epoch: "e", seq: 40 } };
    async function* once() {
      yield await Promise.resolve(entries);
    }
    const outcomes = await adapter.insertDeltas({ ...batch, entries: once() });
    assertEquals(statuses(outcomes), { todos: "committed" });
    assertEquals((await allDeltas(adapter, 1)).map(({ delta }) => delta), deltas);
  });

  check("lets one of two writers commit, and tells the other that it moved", async (database) => {
    const [one, two] = [await database.open(), await database.open()];
    await insert(one, [todo("r0", 1)]);
    const outcomes = await Promise.all(
      [one, two].map(async (adapter, i) =>
        statuses(await adapter.insertDeltas(batchOf({ deltas: [todo(`r${i + 1}`, 2)], from: 1 })))
      ),
    );
    assertEquals(outcomes.map(({ todos }) => todos).sort(), ["committed", "moved"]);
    assertEquals((await allDeltas(one)).length, 2);
  });

  check("writes nothing of a batch that breaks off or is stopped", async (database) => {
    const adapter = await database.open();
    await insert(adapter, [todo("r1", 1)]);
    const batch = batchOf({ deltas: [todo("r2", 2)], from: 1 });
    const broken = async function* () {
      yield* batch.entries;
      throw new Error("the log is gone");
    };
    const failed = await adapter.insertDeltas({ ...batch, entries: broken() });
    assert(!failed.ok);
    const stopping = new AbortController();
    const stops = async function* () {
      yield* batchOf({ deltas: [todo("r2", 2)], from: 1 }).entries;
      stopping.abort();
      yield [];
    };
    const { signal } = stopping;
    const stopped = await adapter.insertDeltas({ ...batch, entries: stops(), signal });
    assertEquals(stopped.ok || stopped.error.code, "ABORTED");
    assertEquals((await allDeltas(adapter)).length, 1);
    await insert(adapter, [todo("r2", 2)]);
  });

  check("reads deltas by pages, also of some tables only", async (database) => {
    const adapter = await database.open();
    const deltas = Array.from(
      { length: 9 },
      (_, i) =>
        i % 3 === 0
          ? deltaOf({ op: "INSERT", table: "everything", rowId: `r${i}`, hlc: i + 1 })
          : todo(`r${i}`, i + 1),
    );
    await insert(adapter, deltas, [TODOS, EVERYTHING]);
    assertEquals((await allDeltas(adapter, 2)).map(({ delta }) => delta), deltas);
    const page = unwrapOrThrow(
      await adapter.queryDeltasSince(undefined, { tables: ["everything"], limit: 2 }),
    );
    assertEquals(page.entries.map(({ seq }) => seq), [1, 4]);
    assert(page.hasMore);
    const rest = unwrapOrThrow(
      await adapter.queryDeltasSince(page.cursor, { tables: ["everything"], limit: 2 }),
    );
    assertEquals([rest.entries.map(({ seq }) => seq), rest.hasMore], [[7], false]);
    const end = unwrapOrThrow(
      await adapter.queryDeltasSince(rest.cursor, { tables: [], limit: 1 }),
    );
    assertEquals([end.entries, end.cursor], [[], rest.cursor]);
    const wrong = await adapter.queryDeltasSince("no cursor", { limit: 1 });
    assertEquals(wrong.ok || wrong.error.code, "VALIDATION_ERROR");
  });

  check(
    "merges deltas that come late, repeated and in any order as PROTOCOL says",
    async (database) => {
      const adapter = await database.open();
      const random = new Prng(42);
      const model = new Map<string, RowState>();
      for (let round = 0; round < 8; round++) {
        const deltas = Array.from({ length: 60 }, () => {
          const op = (["INSERT", "UPDATE", "UPDATE", "DELETE"] as const)[random.int(0, 4 - 1)]!;
          return deltaOf({
            op,
            rowId: `r${random.int(0, 12 - 1)}`,
            hlc: 1 + random.int(0, 40 - 1),
            clientId: random.int(0, 2 - 1) === 0 ? "a" : "b",
            columns: op === "DELETE"
              ? {}
              : { title: `t${random.int(0, 9 - 1)}`, n: random.int(0, 9 - 1) },
          });
        });
        await insert(adapter, [...deltas, deltas[0]!]);
        for (const delta of deltas) {
          const state = model.get(delta.rowId) ?? emptyRow();
          model.set(delta.rowId, state);
          mergeDelta(state, delta);
        }
      }
      const { rows } = unwrapOrThrow(await adapter.getLatestState("todos"));
      assertEquals(new Map(rows.map(({ rowId, state }) => [rowId, state])), model);
    },
  );

  check("gives states in the order of code points, by pages, by keys", async (database) => {
    const adapter = await database.open();
    const ids = ["\u{1F600}", "\uFF5E", "b", "a ", "a", "B", "a\u0000", "é"];
    await insert(adapter, ids.map((id, i) => todo(id, i + 1)));
    const seen: string[] = [];
    for (let after: string | undefined, more = true; more;) {
      const page = unwrapOrThrow(
        await adapter.getLatestState("todos", { limit: 3, ...(after !== undefined && { after }) }),
      );
      seen.push(...page.rows.map(({ rowId }) => rowId));
      after = page.next;
      more = after !== undefined;
    }
    assertEquals(seen, ["B", "a", "a\u0000", "a ", "b", "é", "\uFF5E", "\u{1F600}"]);
    const some = await adapter.getLatestState("todos", { rowIds: ["b", "a ", "nobody"] });
    assertEquals(unwrapOrThrow(some).rows.map(({ rowId }) => rowId), ["a ", "b"]);
    assertEquals(unwrapOrThrow(await adapter.getLatestState("nothing")).rows, []);
  });

  check(
    "makes its tables once, also by several at once, and is CLOSED in the end",
    async (database) => {
      const adapters = await Promise.all(Array.from({ length: 3 }, () => database.open()));
      const made = await Promise.all(adapters.map((adapter) => adapter.ensureSchema([TODOS])));
      assertEquals(made.map(({ ok }) => ok), [true, true, true]);
      await adapters[0]!.close();
      await adapters[0]!.close();
      const closed = await adapters[0]!.watermarks(["todos"]);
      assertEquals(closed.ok || closed.error.code, "CLOSED");
    },
  );
}
