/**
 * The conformance suite of the `LogStore` port: what every implementation must hold.
 */
import { assert, assertEquals } from "@std/assert";
import {
  type AppendOutcome,
  type AppendRequest,
  type Clock,
  cloneRow,
  type Delta,
  deltaId,
  emptyRow,
  type EntryEffect,
  type LogEntry,
  type LogStore,
  mergeDelta,
  type NewEntry,
  type RowState,
  type RowStatus,
  type RowWrite,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "./test.ts";
import { withTempDir } from "./temp.ts";

/** What the suite needs to know of an implementation. */
export interface LogStoreSubject {
  /** Names it in the tests' titles. */
  readonly name: string;
  /** Whether its contents survive closing and opening again. */
  readonly durable: boolean;
  /** Opens the store of a directory; the same directory is the same store. */
  open(options: { directory: string; clock: Clock }): Promise<LogStore>;
}

/** Makes a delta with a right id. */
export function makeDelta(content: Omit<Delta, "deltaId">): Delta {
  const { txId: _, ...hashed } = content;
  return { ...content, deltaId: deltaId(hashed) };
}

/** An INSERT into `todos` at a stamp. */
export function insertTodo(rowId: string, hlc: number, clientId = "alice:phone"): Delta {
  const columns = [{ column: "title", value: `Todo ${rowId}` }, { column: "done", value: false }];
  return makeDelta({ op: "INSERT", table: "todos", rowId, clientId, columns, hlc: String(hlc) });
}

/** An append of deltas, each a transaction by itself, or all of them one. */
export function appendRequest(
  deltas: readonly Delta[],
  options: {
    clientId?: string;
    oneTransaction?: boolean;
    values?: ReadonlyMap<string, string | null>;
  } = {},
): AppendRequest {
  const { clientId = deltas[0]?.clientId ?? "alice:phone", oneTransaction = false, values } =
    options;
  return {
    clientId,
    deltas,
    rows: deltas,
    plan(view) {
      const entries: NewEntry[] = [];
      const rows = new Map<string, RowWrite>();
      const fresh = deltas.filter((delta) => view.duplicate(delta) === undefined);
      fresh.forEach((delta, i) => {
        const { table, rowId } = delta;
        const key = `${table}\0${rowId}`;
        const held = rows.get(key)?.state ?? view.row(table, rowId);
        const state = held === undefined ? emptyRow() : cloneRow(held);
        const before = status(held);
        const { life, columns } = mergeDelta(state, delta);
        rows.set(key, { table, rowId, state });
        const all = columns.length > 0 && columns.length === delta.columns.length;
        const effect: EntryEffect = {
          before,
          after: status(state),
          last: true,
          life,
          columns: all ? undefined : columns,
          state: before === "dead" && status(state) === "alive" ? cloneRow(state) : undefined,
        };
        entries.push({ delta, effect, txEnd: !oneTransaction || i === fresh.length - 1 });
      });
      return { entries, rows: [...rows.values()], ...(values !== undefined && { values }) };
    },
  };
}

function status(state: RowState | undefined): RowStatus {
  if (state === undefined) return "none";
  return state.life === undefined ? "lifeless" : state.life.alive ? "alive" : "dead";
}

async function append(store: LogStore, request: AppendRequest): Promise<AppendOutcome> {
  return unwrapOrThrow(await store.append(request));
}

async function readAll(store: LogStore, after = 0): Promise<readonly LogEntry[]> {
  return unwrapOrThrow(await store.read(after, { limit: 1_000_000 }));
}

async function snapshotRows(
  store: LogStore,
  tables?: readonly string[],
): Promise<Map<string, RowState>> {
  const snapshot = unwrapOrThrow(await store.snapshot());
  const rows = new Map<string, RowState>();
  for await (const chunk of snapshot.rows(tables)) {
    for (const { table, rowId, state } of chunk) {
      const key = `${table}/${rowId}`;
      assert(!rows.has(key), `row ${key} comes once`);
      rows.set(key, state);
    }
  }
  await snapshot.close();
  return rows;
}

/** Registers the suite for one implementation. */
export function testLogStore(subject: LogStoreSubject): void {
  const check = (
    title: string,
    body: (
      context: { store: LogStore; time: { now: number }; reopen: () => Promise<LogStore> },
    ) => Promise<void>,
  ) =>
    test(`LogStore ${subject.name} ${title}`, () =>
      withTempDir(async (directory) => {
        const time = { now: 1_000_000 };
        const clock = { now: () => time.now };
        let store = await subject.open({ directory, clock });
        try {
          await body({
            store,
            time,
            reopen: async () => {
              await store.close();
              store = await subject.open({ directory, clock });
              return store;
            },
          });
        } finally {
          await store.close();
        }
      }));

  check("gives seqs 1, 2, 3 … and a hash that depends on each entry", async ({ store }) => {
    assertEquals(unwrapOrThrow(await store.head()), { seq: 0, hash: "0" });
    const deltas = [insertTodo("a", 1), insertTodo("b", 2), insertTodo("c", 3)];
    const outcome = await append(store, appendRequest(deltas));
    assertEquals(outcome.first, 1);
    assertEquals(outcome.head, unwrapOrThrow(await store.head()));
    const entries = await readAll(store);
    assertEquals(entries.map(({ seq }) => seq), [1, 2, 3]);
    assertEquals(entries.map(({ json }) => JSON.parse(json)), deltas);
    assertEquals(new Set(entries.map(({ hash }) => hash)).size, 3);
    for (const { seq, hash } of entries) {
      assertEquals(unwrapOrThrow(await store.hashAt(seq)), hash);
    }
    assertEquals(unwrapOrThrow(await store.hashAt(0)), "0");
    assertEquals(unwrapOrThrow(await store.hashAt(4)), undefined);
  });

  check("gives each of 50 concurrent appends a stretch of its own", async ({ store }) => {
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const deltas = [0, 1, 2].map((n) => insertTodo(`r${i}-${n}`, 10 + n, `client${i}`));
        return append(store, appendRequest(deltas, { oneTransaction: true }));
      }),
    );
    const firsts = outcomes.map(({ first }) => first ?? 0).sort((a, b) => a - b);
    assertEquals(firsts, Array.from({ length: 50 }, (_, i) => 1 + 3 * i));
    const entries = await readAll(store);
    for (let i = 0; i < entries.length; i += 3) {
      const clients = entries.slice(i, i + 3).map(({ clientId }) => clientId);
      assertEquals(new Set(clients).size, 1, "a transaction is contiguous");
      assertEquals(entries.slice(i, i + 3).map(({ txEnd }) => txEnd), [false, false, true]);
    }
  });

  check("lets a plan see earlier appends of the same commit", async ({ store }) => {
    const delta = insertTodo("a", 1);
    const [one, two] = await Promise.all([
      append(store, appendRequest([delta])),
      append(store, appendRequest([delta])),
    ]);
    assertEquals([one.first, two.first], [1, undefined]);
    assertEquals(unwrapOrThrow(await store.head()).seq, 1);
  });

  check(
    "knows a duplicate by stamp and id, and tells deltas of one stamp apart",
    async ({ store }) => {
      const delta = insertTodo("a", 7);
      const twin = insertTodo("b", 7);
      await append(store, appendRequest([delta]));
      let seen: (number | undefined)[] = [];
      await append(store, {
        clientId: "alice:phone",
        deltas: [delta, twin],
        rows: [],
        plan(view) {
          seen = [view.duplicate(delta), view.duplicate(twin)];
          return { entries: [], rows: [] };
        },
      });
      assertEquals(seen, [1, undefined]);
    },
  );

  check("keeps rows merged and effects as they were appended", async ({ store }) => {
    const insert = insertTodo("a", 10);
    const update = makeDelta({
      op: "UPDATE",
      table: "todos",
      rowId: "a",
      clientId: "bob",
      columns: [{ column: "done", value: true }, { column: "title", value: "Late" }],
      hlc: "20",
    });
    const lost = makeDelta({ ...update, hlc: "15", columns: [{ column: "done", value: false }] });
    const gone = makeDelta({ ...update, op: "DELETE", hlc: "30", columns: [] });
    for (const delta of [insert, update, lost, gone]) {
      await append(store, appendRequest([delta]));
    }
    const again = insertTodo("a", 40);
    await append(store, appendRequest([again]));
    const effects = (await readAll(store)).map(({ effect }) => effect);
    assertEquals(effects.map(({ before, after }) => `${before}-${after}`), [
      "none-alive",
      "alive-alive",
      "alive-alive",
      "alive-dead",
      "dead-alive",
    ]);
    assertEquals(effects.map(({ columns }) => columns), [undefined, undefined, [], [], undefined]);
    assertEquals(effects.map(({ life }) => life), [true, false, false, true, true]);
    const expected = emptyRow();
    for (const delta of [insert, update, lost, gone, again]) mergeDelta(expected, delta);
    assertEquals(effects[4]?.state, expected);
    assertEquals((await snapshotRows(store)).get("todos/a"), expected);
  });

  check("reads by limit, by size and up to a seq", async ({ store }) => {
    await append(
      store,
      appendRequest(Array.from({ length: 10 }, (_, i) => insertTodo(`r${i}`, i + 1))),
    );
    const seqs = async (after: number, options: Parameters<LogStore["read"]>[1]) =>
      unwrapOrThrow(await store.read(after, options)).map(({ seq }) => seq);
    assertEquals(await seqs(0, { limit: 3 }), [1, 2, 3]);
    assertEquals(await seqs(8, { limit: 5 }), [9, 10]);
    assertEquals(await seqs(2, { limit: 5, through: 4 }), [3, 4]);
    assertEquals(await seqs(0, { limit: 5, maxChars: 1 }), [1]);
    assertEquals(await seqs(10, { limit: 5 }), []);
  });

  check("stands still in a snapshot while appends go on", async ({ store }) => {
    await append(
      store,
      appendRequest(Array.from({ length: 1200 }, (_, i) => insertTodo(`r${i}`, i + 1))),
    );
    const snapshot = unwrapOrThrow(await store.snapshot());
    assertEquals(snapshot.position, unwrapOrThrow(await store.head()));
    const rows = new Set<string>();
    let appended = false;
    for await (const chunk of snapshot.rows()) {
      if (!appended) {
        appended = true;
        const later = Array.from({ length: 600 }, (_, i) => insertTodo(`later${i}`, 5_000 + i));
        await append(
          store,
          appendRequest([
            ...later,
            makeDelta({
              op: "DELETE",
              table: "todos",
              rowId: "r1199",
              clientId: "bob",
              columns: [],
              hlc: "9000",
            }),
          ]),
        );
      }
      for (const { rowId, state } of chunk) {
        assert(state.life?.alive === true);
        rows.add(rowId);
      }
    }
    await snapshot.close();
    assertEquals(rows.size, 1200);
    assertEquals((await snapshotRows(store)).size, 1800);
  });

  check("snapshots only the tables asked for", async ({ store }) => {
    await append(
      store,
      appendRequest([
        insertTodo("a", 1),
        makeDelta({
          op: "INSERT",
          table: "notes",
          rowId: "a",
          clientId: "c",
          columns: [],
          hlc: "2",
        }),
      ]),
    );
    assertEquals([...(await snapshotRows(store, ["notes"])).keys()], ["notes/a"]);
  });

  check("sets values alone and within an append", async ({ store }) => {
    unwrapOrThrow(await store.setValue("a", "1"));
    await append(
      store,
      appendRequest([insertTodo("r", 1)], {
        values: new Map([["a", "2"], ["b", "3"]]),
      }),
    );
    assertEquals(unwrapOrThrow(await store.getValue("a")), "2");
    assertEquals(unwrapOrThrow(await store.getValue("b")), "3");
    unwrapOrThrow(await store.setValue("a", null));
    assertEquals(unwrapOrThrow(await store.getValue("a")), undefined);
  });

  check("gives a lease to one holder until it ends", async ({ store, time }) => {
    const take = async (holder: string) =>
      unwrapOrThrow(await store.acquireLease("flush", { holder, ttlMs: 1000 }));
    assertEquals(await take("one"), true);
    assertEquals(await take("two"), false);
    assertEquals(await take("one"), true);
    time.now += 1000;
    assertEquals(await take("two"), true);
    unwrapOrThrow(await store.releaseLease("flush", { holder: "one" }));
    assertEquals(await take("one"), false);
    unwrapOrThrow(await store.releaseLease("flush", { holder: "two" }));
    assertEquals(await take("one"), true);
  });

  check(
    "stamps entries with its clock, which never goes back in the log",
    async ({ store, time }) => {
      await append(store, appendRequest([insertTodo("a", 1)]));
      time.now -= 500_000;
      await append(store, appendRequest([insertTodo("b", 2)]));
      time.now += 1_000_000;
      await append(store, appendRequest([insertTodo("c", 3)]));
      assertEquals((await readAll(store)).map(({ at }) => at), [1_000_000, 1_000_000, 1_500_000]);
      assertEquals(unwrapOrThrow(await store.seqBefore(1_000_000)), 0);
      assertEquals(unwrapOrThrow(await store.seqBefore(1_000_001)), 2);
      assertEquals(unwrapOrThrow(await store.seqBefore(2_000_000)), 3);
    },
  );

  check("counts visible rows and pushers", async ({ store }) => {
    await append(store, appendRequest([insertTodo("a", 1), insertTodo("b", 2)]));
    await append(
      store,
      appendRequest([
        makeDelta({
          op: "DELETE",
          table: "todos",
          rowId: "a",
          clientId: "bob",
          columns: [],
          hlc: "3",
        }),
      ]),
    );
    const stats = unwrapOrThrow(await store.stats());
    assertEquals(stats, { head: 3, trimmed: 0, rows: new Map([["todos", 1]]), clients: 2 });
  });

  check("trims whole transactions and says so afterwards", async ({ store }) => {
    await append(store, appendRequest([insertTodo("a", 1)]));
    await append(
      store,
      appendRequest([insertTodo("b", 2), insertTodo("c", 3)], { oneTransaction: true }),
    );
    await append(store, appendRequest([insertTodo("d", 4)]));
    const edge = unwrapOrThrow(await store.hashAt(1));
    unwrapOrThrow(await store.trim({ through: 2 }));
    assertEquals(unwrapOrThrow(await store.stats()).trimmed, 1);
    assertEquals(unwrapOrThrow(await store.hashAt(1)), edge);
    assertEquals(unwrapOrThrow(await store.hashAt(0)), undefined);
    assertEquals((await readAll(store, 1)).map(({ seq }) => seq), [2, 3, 4]);
    const early = await store.read(0, { limit: 1 });
    assertEquals(early.ok ? undefined : early.error.code, "CHECKPOINT_REQUIRED");
    assertEquals((await snapshotRows(store)).size, 4, "rows stay");
    unwrapOrThrow(await store.trim({ through: 99 }));
    assertEquals(unwrapOrThrow(await store.head()).seq, 4);
    assertEquals((await append(store, appendRequest([insertTodo("e", 5)]))).first, 5);
  });

  check("purges what is gone behind the trim and keeps the greatest stamp", async ({ store }) => {
    const at = async (): Promise<unknown> => {
      let purged: unknown;
      await append(store, {
        clientId: "x",
        deltas: [],
        rows: [{ table: "todos", rowId: "a" }],
        plan(view) {
          purged = [view.purged, view.row("todos", "a")];
          return { entries: [], rows: [] };
        },
      });
      return purged;
    };
    await append(store, appendRequest([insertTodo("a", 1), insertTodo("b", 2)]));
    await append(
      store,
      appendRequest([
        makeDelta({
          op: "DELETE",
          table: "todos",
          rowId: "a",
          clientId: "bob",
          columns: [],
          hlc: "9",
        }),
      ]),
    );
    await append(store, appendRequest([insertTodo("c", 10)]));
    unwrapOrThrow(await store.trim({ through: 3 }));
    assertEquals(await at(), [{ hlc: "9", clientId: "bob" }, undefined]);
    assertEquals([...(await snapshotRows(store)).keys()].sort(), ["todos/b", "todos/c"]);
  });

  check("remembers each pusher's last push beyond the trim, and only that", async ({ store }) => {
    const old = insertTodo("a", 1);
    const last = [insertTodo("b", 2), insertTodo("c", 3)];
    await append(store, appendRequest([old]));
    await append(store, appendRequest(last));
    await append(store, appendRequest([insertTodo("d", 1, "bob")]));
    unwrapOrThrow(await store.trim({ through: 3 }));
    let seen: boolean[] = [];
    const look = () =>
      append(store, {
        clientId: "carol",
        deltas: [old, ...last],
        rows: [],
        plan(view) {
          seen = [old, ...last].map((delta) => view.duplicate(delta) !== undefined);
          return { entries: [], rows: [] };
        },
      });
    await look();
    assertEquals(seen, [false, true, true]);
    await append(store, appendRequest([insertTodo("e", 5)]));
    unwrapOrThrow(await store.trim({ through: 4 }));
    await look();
    assertEquals(seen, [false, false, false]);
  });

  check(
    "keeps tables and columns called __proto__ apart from everything else",
    async ({ store }) => {
      const delta = makeDelta({
        op: "INSERT",
        table: "__proto__",
        rowId: "constructor",
        clientId: "toString",
        columns: [{ column: "__proto__", value: { __proto__: 1 } }],
        hlc: "1",
      });
      await append(store, appendRequest([delta]));
      const row = (await snapshotRows(store)).get("__proto__/constructor");
      assertEquals([...(row?.columns.keys() ?? [])], ["__proto__"]);
    },
  );

  check(
    "keeps keys apart that differ behind a NUL, and gives them back whole",
    async ({ store }) => {
      const keys = ["a\0b", "a\0c", "a\x01", "a\x01\x02", "\0"];
      await append(store, appendRequest(keys.map((key, i) => insertTodo(key, i + 1, `c${key}`))));
      assertEquals(
        (await readAll(store)).map(({ rowId, clientId }) => [rowId, clientId]),
        keys.map((key) => [key, `c${key}`]),
      );
      assertEquals(
        [...(await snapshotRows(store)).keys()].sort(),
        keys.map((key) => `todos/${key}`).sort(),
      );
      assertEquals(
        (await append(store, appendRequest([insertTodo("a\0b", 1, "ca\0b")]))).first,
        undefined,
      );
    },
  );

  check("answers CLOSED after close()", async ({ store }) => {
    await store.close();
    await store.close();
    const head = await store.head();
    const appended = await store.append(appendRequest([insertTodo("a", 1)]));
    assertEquals([head.ok || head.error.code, appended.ok || appended.error.code], [
      "CLOSED",
      "CLOSED",
    ]);
  });

  check("goes on with others when a plan throws", async ({ store }) => {
    const [bad, good] = await Promise.all([
      store.append({
        clientId: "x",
        deltas: [],
        rows: [],
        plan() {
          throw new TypeError("a fault in the plan");
        },
      }),
      store.append(appendRequest([insertTodo("a", 1)])),
    ]);
    assertEquals([bad.ok, good.ok], [false, true]);
    assertEquals(unwrapOrThrow(await store.head()).seq, 1);
  });

  if (!subject.durable) return;

  check("is the same after it was closed and opened again", async ({ store, reopen }) => {
    await append(
      store,
      appendRequest(Array.from({ length: 700 }, (_, i) => insertTodo(`r${i}`, i + 1))),
    );
    await append(
      store,
      appendRequest([
        makeDelta({
          op: "DELETE",
          table: "todos",
          rowId: "r5",
          clientId: "bob",
          columns: [],
          hlc: "9000",
        }),
      ]),
    );
    await append(store, appendRequest([insertTodo("nul\0", 9001), insertTodo("nul\0\0", 9002)]));
    unwrapOrThrow(await store.trim({ through: 300 }));
    unwrapOrThrow(await store.setValue("k", "v"));
    const facts = async (of: LogStore) => [
      of.epoch,
      unwrapOrThrow(await of.head()),
      unwrapOrThrow(await of.stats()),
      unwrapOrThrow(await of.getValue("k")),
      unwrapOrThrow(await of.hashAt(300)),
      await readAll(of, 300),
      [...await snapshotRows(of)].sort(),
    ];
    const before = await facts(store);
    const again = await reopen();
    assertEquals(await facts(again), before);
    const duplicate = await append(again, appendRequest([insertTodo("r600", 601)]));
    assertEquals(duplicate.first, undefined);
  });
}
