import { assert, assertEquals } from "@std/assert";
import { type Delta, type LogEntry, type LogStore, unwrapOrThrow } from "@lakesync/core";
import fc from "fast-check";
import { withTempDir } from "../temp.ts";
import { test } from "../test.ts";
import {
  append,
  appendRequest,
  type LogStoreSubject,
  look,
  makeDelta,
  readAll,
  snapshotRows,
} from "./fixture.ts";
import { LogModel, type ModelEntry } from "./model.ts";

const CLIENTS = ["alice:phone", "bob", "__proto__"] as const;
const TABLES = ["todos", "__proto__"] as const;
const ROWS = ["r1", "r2", "r3", "nul\0"] as const;
const KEYS = ["k1", "k2", "k3", "t:other"] as const;
const VALUES = ["schema", "source:crm"] as const;

interface Change {
  readonly op: Delta["op"];
  readonly table: number;
  readonly row: number;
  readonly time: number;
  readonly value: number;
  readonly keys: readonly number[];
  readonly endsTx: boolean;
}

type Step =
  | {
    readonly kind: "append";
    readonly client: number;
    readonly changes: readonly Change[];
    readonly repeats: readonly number[];
    readonly value: readonly [number, number | null] | undefined;
  }
  | { readonly kind: "value"; readonly key: number; readonly value: number | null }
  | { readonly kind: "trim"; readonly which: number }
  | { readonly kind: "time"; readonly ms: number }
  | { readonly kind: "reopen" };

const change: fc.Arbitrary<Change> = fc.record({
  op: fc.constantFrom("INSERT", "UPDATE", "UPDATE", "DELETE"),
  table: fc.nat(TABLES.length - 1),
  row: fc.nat(ROWS.length - 1),
  time: fc.nat(9),
  value: fc.nat(9),
  keys: fc.uniqueArray(fc.nat(KEYS.length - 2), { maxLength: 2 }),
  endsTx: fc.boolean(),
});
const value = fc.option(fc.nat(3), { freq: 4 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("append"),
      client: fc.nat(CLIENTS.length - 1),
      changes: fc.array(change, { maxLength: 6 }),
      repeats: fc.array(fc.nat(50), { maxLength: 2 }),
      value: fc.option(fc.tuple(fc.nat(VALUES.length - 1), value), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("value"), key: fc.nat(VALUES.length - 1), value }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("trim"), which: fc.nat(20) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("time"),
      ms: fc.integer({ min: -5_000, max: 5_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen") }) },
);

/** A store and its model, driven by steps. */
class Driver {
  readonly model: LogModel = new LogModel();
  readonly #open: () => Promise<LogStore>;
  readonly #time: { now: number };
  readonly #hashes = new Map<number, string>([[0, "0"]]);
  /** The heads after appends: where a trim of the model is exact. */
  readonly #bounds: number[] = [0];
  #store: LogStore;
  #made = 0;
  #clock = 0;

  constructor(store: LogStore, open: () => Promise<LogStore>, time: { now: number }) {
    this.#store = store;
    this.#open = open;
    this.#time = time;
  }

  async run(step: Step, durable: boolean): Promise<void> {
    const store = this.#store;
    if (step.kind === "append") await this.#append(step);
    else if (step.kind === "value") {
      const text = step.value === null ? null : `v${step.value}`;
      this.model.setValue(VALUES[step.key]!, text);
      unwrapOrThrow(await store.setValue(VALUES[step.key]!, text));
    } else if (step.kind === "trim") {
      const through = this.#bounds[step.which % this.#bounds.length]!;
      this.model.trim(through);
      unwrapOrThrow(await store.trim({ through }));
    } else if (step.kind === "time") this.#time.now += step.ms;
    else if (durable) {
      await this.compare();
      await store.close();
      this.#store = await this.#open();
      await this.compare();
    }
  }

  async #append(step: Step & { kind: "append" }): Promise<void> {
    const clientId = CLIENTS[step.client]!;
    const known = this.model.known(clientId);
    const repeats = known.length === 0 ? [] : step.repeats.map((n) => known[n % known.length]!);
    const changes = step.changes.map((change) => this.#delta(change, clientId));
    // An earlier delta comes again first, as in a push that is repeated.
    const deltas = [...new Set([...repeats, ...changes])];
    const place = new Map(changes.map((delta, i) => [delta.deltaId, step.changes[i]!]));
    const request = appendRequest(deltas, {
      clientId,
      endsTx: (i) => step.changes[i]?.endsTx ?? true,
      keys: ({ deltaId, table }) => [
        ...place.get(deltaId)!.keys.map((n) => KEYS[n]!),
        `t:${table}`,
      ],
      judged: ({ deltaId, rowId }) =>
        place.get(deltaId)!.value % 2 === 0 ? undefined : {
          before: undefined,
          after: [["id", rowId], ["__proto__", { a: [null, "\0"] }]],
        },
      ...(step.value !== undefined && {
        values: new Map([[
          VALUES[step.value[0]]!,
          step.value[1] === null ? null : `v${step.value[1]}`,
        ]]),
      }),
    });
    const expected = this.model.append(request);
    const { first, head } = await append(this.#store, request);
    assertEquals(first, expected);
    assertEquals(head.seq, this.model.entries.length);
    this.#bounds.push(head.seq);
    this.#hashes.set(head.seq, head.hash);
  }

  #delta({ op, table, row, time, value }: Change, clientId: string): Delta {
    const columns = op === "DELETE" ? [] : [{ column: "__proto__", value }, {
      column: "title",
      value: value % 3 === 0 ? null : `€ ${value}`,
    }].slice(0, op === "INSERT" ? 2 : 1 + value % 2);
    return makeDelta({
      op,
      table: TABLES[table]!,
      rowId: ROWS[row]!,
      clientId,
      columns,
      // No two deltas share a stamp, and they come in any order.
      hlc: String(1 + time * 10_000 + this.#made++),
    });
  }

  /** Holds everything that can be seen of the store to the model. */
  async compare(): Promise<void> {
    const store = this.#store;
    const { model } = this;
    const head = unwrapOrThrow(await store.head());
    const entries = await readAll(store, model.trimmed);
    assertEquals(entries.map(plain), model.read(model.trimmed).map(plainModel));
    assertEquals(head.seq, model.entries.length);
    for (const { seq, hash } of entries) {
      assertEquals(this.#hashes.get(seq) ?? hash, hash, "a hash stays as it was");
      this.#hashes.set(seq, hash);
      assertEquals(unwrapOrThrow(await store.hashAt(seq)), hash);
    }
    assertEquals(head.hash, this.#hashes.get(head.seq));
    assertEquals(unwrapOrThrow(await store.hashAt(model.trimmed)), this.#hashes.get(model.trimmed));
    for (const keys of [["k1"], ["k2", "k3"], ["t:todos", "k1"], [...KEYS]]) {
      const found = unwrapOrThrow(await store.read(model.trimmed, { limit: 1_000, keys }));
      assertEquals(found.map(plain), model.read(model.trimmed, { keys }).map(plainModel));
    }
    if (model.trimmed > 0) {
      const early = await store.read(model.trimmed - 1, { limit: 1 });
      assertEquals(early.ok || early.error.code, "CHECKPOINT_REQUIRED");
    }
    assertEquals(
      [...await snapshotRows(store)].sort(),
      [...model.rows].map(([key, { state }]) => [key, state] as const).sort(),
    );
    await this.#compareRest(entries);
  }

  async #compareRest(entries: readonly LogEntry[]): Promise<void> {
    const store = this.#store;
    const { model } = this;
    const stats = unwrapOrThrow(await store.stats());
    assertEquals([stats.head, stats.trimmed], [model.entries.length, model.trimmed]);
    assertEquals(stats.clients, model.clients);
    for (const table of TABLES) {
      assertEquals(stats.rows.get(table) ?? 0, model.visible.get(table) ?? 0);
    }
    const deltas = model.known();
    model.look(deltas);
    const rows = TABLES.flatMap((table) => ROWS.map((rowId) => ({ table, rowId })));
    const seen = await look(store, { deltas, rows, values: VALUES }, (view) => ({
      head: view.head,
      purged: view.purged,
      unknown: deltas.filter((delta) => view.duplicate(delta) === undefined),
      rows: rows.map(({ table, rowId }) => view.row(table, rowId)),
      values: VALUES.map((key) => view.value(key)),
    }));
    assertEquals(seen, {
      head: unwrapOrThrow(await store.head()),
      purged: model.purged,
      unknown: [],
      rows: rows.map(({ table, rowId }) => model.rows.get(`${table}/${rowId}`)?.state),
      values: VALUES.map((key) => model.values.get(key)),
    });
    const now = unwrapOrThrow(await store.now());
    assert(now >= this.#clock && now >= this.#time.now, "the clock does not go back");
    this.#clock = now;
    const times = entries.map(({ at }) => at);
    assertEquals(times, [...times].sort((a, b) => a - b));
    for (const at of new Set([...times, now + 1])) {
      const before = entries.filter((entry) => entry.at < at).at(-1)?.seq ?? model.trimmed;
      assertEquals(unwrapOrThrow(await store.seqBefore(at)), before);
    }
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

function plain({ hash: _, at: _at, json, ...entry }: LogEntry): unknown {
  return { ...entry, delta: JSON.parse(json) };
}

function plainModel({ seq, txLast, delta, effect }: ModelEntry): unknown {
  const { clientId, table, rowId } = delta;
  return { seq, txLast, clientId, table, rowId, delta, effect };
}

/** Random histories against a model. */
export function registerModelCases(subject: LogStoreSubject): void {
  test(`LogStore ${subject.name} is as its model after any appends, trims and restarts`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 20 }),
        (steps) =>
          withTempDir(async (directory) => {
            const time = { now: 1_000_000 };
            const open = () => subject.open({ directory, clock: { now: () => time.now } });
            const driver = new Driver(await open(), open, time);
            try {
              for (const step of steps) await driver.run(step, subject.durable);
              await driver.compare();
            } finally {
              await driver.close();
            }
          }),
      ),
      { seed: 42, numRuns: 40 },
    );
  });
}
