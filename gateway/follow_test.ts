// Clients that follow the log by pages always hold the rows that merging all deltas gives.
import { assert, assertEquals } from "@std/assert";
import {
  type CheckpointRow,
  compareCodePoints,
  decodeRow,
  type Delta,
  emptyRow,
  isDelta,
  isVisible,
  type LogStore,
  mergeDelta,
  type PageItem,
  type PullAnswer,
  type RowState,
  unwrapOrThrow,
} from "@lakesync/core";
import { makeDelta, test, withTempDir } from "@lakesync/testing";
import fc from "fast-check";
import type { Gateway } from "./gateway.ts";
import { pageToAnswer } from "./page_form.ts";
import { memoryLogStore } from "./store_memory.ts";
import { openSqliteLogStore } from "./store_sqlite.ts";
import { ANYONE, checkpoint, openGateway, push } from "./testdata/fixture.ts";
import { rowKey } from "./working_rows.ts";

const CLIENTS = ["alice:phone", "bob:laptop", "carol:tablet"] as const;
const ROWS = ["r1", "r2", "__proto__"] as const;

interface Change {
  readonly op: Delta["op"];
  readonly row: number;
  readonly table: number;
  readonly hlc: number;
  readonly value: number;
  readonly columns: number;
}

type Step =
  /** A push of transactions; an empty list is a push of nothing. */
  | {
    readonly kind: "push";
    readonly client: number;
    readonly txs: readonly { named: boolean; changes: readonly Change[] }[];
  }
  /** An earlier push arrives (again). */
  | { readonly kind: "repeat"; readonly which: number }
  | { readonly kind: "pull"; readonly follower: number; readonly limit: number }
  | { readonly kind: "checkpoint"; readonly follower: number }
  | { readonly kind: "trim"; readonly part: number };

const change: fc.Arbitrary<Change> = fc.record({
  op: fc.constantFrom("INSERT", "INSERT", "UPDATE", "UPDATE", "DELETE"),
  row: fc.nat(ROWS.length - 1),
  table: fc.constantFrom(0, 0, 1),
  hlc: fc.integer({ min: 1, max: 40 }),
  value: fc.nat(3),
  columns: fc.integer({ min: 0, max: 7 }),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("push"),
      client: fc.nat(CLIENTS.length - 1),
      txs: fc.array(
        fc.record({
          named: fc.boolean(),
          changes: fc.array(change, { minLength: 1, maxLength: 4 }),
        }),
        { maxLength: 3 },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("repeat"), which: fc.nat(20) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("pull"),
      follower: fc.nat(3),
      limit: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("checkpoint"), follower: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("trim"), part: fc.nat(10) }) },
);

function toDelta(change: Change, clientId: string, txId: string | undefined): Delta {
  const { op, value, columns: mask } = change;
  const table = change.table === 0 ? "todos" : "__proto__";
  const all = table === "todos"
    ? [["title", `t${value}`], ["done", value > 1], ["note", value === 0 ? null : [value]]] as const
    : [["constructor", `c${value}`]] as const;
  // An INSERT carries what must not be null; an UPDATE any of them; a DELETE nothing.
  const carried = all.filter(([name], i) =>
    op !== "DELETE" &&
    ((mask >> i & 1) === 1 || (op === "INSERT" && (name === "title" || name === "done")))
  );
  return makeDelta({
    op,
    table,
    rowId: ROWS[change.row]!,
    clientId,
    hlc: String(change.hlc),
    columns: carried.map(([column, value]) => ({ column, value })),
    ...(txId !== undefined && { txId }),
  });
}

type Rows = ReadonlyMap<string, unknown>;

/** Visible rows in a form that can be compared. */
function visible(states: Iterable<[string, RowState]>, table: string | undefined): Rows {
  const shown = [...states].filter(([key, state]) =>
    isVisible(state) && (table === undefined || key.startsWith(`${table}\0`))
  );
  return new Map(
    shown.sort(([a], [b]) => compareCodePoints(a, b)).map(([key, { life, columns }]) => [
      key,
      { life, columns: [...columns].sort(([a], [b]) => compareCodePoints(a, b)) },
    ]),
  );
}

/** What the log comes to: every delta that was ever accepted, merged without regard to effects. */
class Oracle {
  readonly deltas: Delta[] = [];

  /** Takes over what the log has got since. */
  async grow(store: LogStore): Promise<readonly Delta[]> {
    const read = unwrapOrThrow(await store.read(this.deltas.length, { limit: 1_000 }));
    const grown = read.map(({ json }) => JSON.parse(json) as Delta);
    this.deltas.push(...grown);
    return grown;
  }

  at(seq: number, table: string | undefined): Rows {
    const states = new Map<string, RowState>();
    for (const delta of this.deltas.slice(0, seq)) {
      const key = rowKey(delta.table, delta.rowId);
      if (!states.has(key)) states.set(key, emptyRow());
      mergeDelta(states.get(key)!, delta);
    }
    return visible(states, table);
  }
}

/** A client's base, by PROTOCOL's section 2. */
class Follower {
  readonly #gateway: Gateway;
  readonly #params: { readonly [name: string]: string };
  readonly #own: ReadonlyMap<string, Delta>;
  #base = new Map<string, RowState>();
  #cursor = "";
  seq = 0;

  constructor(
    gateway: Gateway,
    params: { readonly [name: string]: string },
    own: ReadonlyMap<string, Delta>,
  ) {
    this.#gateway = gateway;
    this.#params = params;
    this.#own = own;
  }

  get table(): string | undefined {
    return this.#params.tables;
  }

  rows(): Rows {
    for (const [key, state] of this.#base) assert(isVisible(state), `${key} is no tombstone`);
    return visible(this.#base, undefined);
  }

  /** Pulls a page, or a checkpoint where that is what the gateway wants. */
  async pull(limit: number): Promise<PullAnswer | undefined> {
    const query = new URLSearchParams({
      ...this.#params,
      cursor: this.#cursor,
      limit: String(limit),
    });
    const pulled = await this.#gateway.pull(query, { caller: ANYONE });
    if (!pulled.ok) {
      assertEquals(pulled.error.code, "CHECKPOINT_REQUIRED");
      assertEquals(pulled.error.details, { reason: "trimmed" });
      await this.checkpoint();
      return undefined;
    }
    const page = pageToAnswer(pulled.value);
    for (const item of page.deltas) this.#apply(item);
    this.#cursor = page.cursor;
    this.seq = page.seq as number;
    return page;
  }

  #apply(item: PageItem): void {
    if (item.op === "OWN") {
      const delta = this.#own.get(item.deltaId);
      assert(delta !== undefined, "an OWN item names a delta of this client's own");
      assertEquals(item.txId, delta.txId);
      this.#merge(delta);
    } else if (isDelta(item)) this.#merge(item);
    else if (item.op === "ENTER") this.#base.set(rowKey(item.table, item.rowId), decodeRow(item));
    else assert(this.#base.delete(rowKey(item.table, item.rowId)), `${item.op} of a row it has`);
  }

  #merge(delta: Delta): void {
    const key = rowKey(delta.table, delta.rowId);
    const state = this.#base.get(key) ?? emptyRow();
    mergeDelta(state, delta);
    this.#base.set(key, state);
  }

  async checkpoint(): Promise<void> {
    const [header, ...rest] = await checkpoint(this.#gateway, this.#params);
    const { seq, cursor } = (header as { checkpoint: { seq: number; cursor: string } }).checkpoint;
    const rows = rest.slice(0, -1) as CheckpointRow[];
    assertEquals(rest.at(-1), { end: { rows: rows.length } });
    this.#base = new Map(rows.map((row) => [rowKey(row.table, row.rowId), decodeRow(row)]));
    this.#cursor = cursor;
    this.seq = seq;
  }
}

/** A page exceeds its limit only to finish the transaction that its last item belongs to. */
function checkSize(page: PullAnswer, limit: number): void {
  if (page.deltas.length <= limit) return;
  const last = page.deltas.at(-1)?.txId;
  assert(last !== undefined && page.deltas[limit - 1]?.txId === last, "the limit holds");
}

async function follow(store: LogStore, steps: readonly Step[]): Promise<void> {
  const gateway = await openGateway({ store });
  const oracle = new Oracle();
  const own = new Map<string, Delta>();
  const followers = [
    new Follower(gateway, { clientId: "dave:watch" }, own),
    new Follower(gateway, { clientId: CLIENTS[0], own: "ids" }, own),
    new Follower(gateway, { clientId: CLIENTS[1], tables: "todos" }, own),
    new Follower(gateway, { clientId: "eve", tables: "__proto__" }, own),
  ];
  const pushes: { client: string; deltas: Delta[] }[] = [];
  const made = new Set<string>();
  let txs = 0;

  const send = async ({ client, deltas }: { client: string; deltas: Delta[] }): Promise<void> => {
    const answer = await push(gateway, deltas, client);
    for (const { code } of answer.rejected) {
      assert(code === "STALE" || code === "TX_REJECTED", code);
    }
    assertEquals(answer.accepted + answer.duplicates + answer.rejected.length, deltas.length);
    const grown = await oracle.grow(store);
    assertEquals(grown.length, answer.accepted);
    assertEquals(answer.seq, oracle.deltas.length);
    const rejected = new Set(answer.rejected.map(({ index }) => index));
    const allowed = deltas.filter((_, i) => !rejected.has(i));
    assertEquals(
      grown,
      allowed.filter((delta) => grown.some((is) => is.deltaId === delta.deltaId)),
    );
  };
  const check = (follower: Follower): void => {
    assertEquals(follower.rows(), oracle.at(follower.seq, follower.table));
    const [last, next] = oracle.deltas.slice(follower.seq - 1, follower.seq + 1);
    if (follower.seq > 0 && last?.txId !== undefined) {
      assert(last.txId !== next?.txId, "a page never ends within a transaction");
    }
  };

  for (const step of steps) {
    if (step.kind === "push") {
      const client = CLIENTS[step.client]!;
      const deltas = step.txs.flatMap(({ named, changes }) => {
        const txId = named ? `tx${++txs}` : undefined;
        return changes.map((change) => toDelta(change, client, txId));
      }).filter(({ deltaId }) => !made.has(deltaId) && made.add(deltaId));
      if (client === CLIENTS[0]) { for (const delta of deltas) own.set(delta.deltaId, delta); }
      pushes.push({ client, deltas });
      // Every fourth is lost on its way and arrives with a `repeat`, or never.
      if (pushes.length % 4 !== 0) await send({ client, deltas });
    } else if (step.kind === "repeat") {
      const earlier = pushes[step.which];
      if (earlier !== undefined) await send(earlier);
    } else if (step.kind === "pull") {
      const follower = followers[step.follower]!;
      const page = await follower.pull(step.limit);
      if (page !== undefined) checkSize(page, step.limit);
      check(follower);
    } else if (step.kind === "checkpoint") {
      await followers[step.follower]!.checkpoint();
      assertEquals(followers[step.follower]!.seq, oracle.deltas.length);
      check(followers[step.follower]!);
    } else {
      const head = oracle.deltas.length;
      unwrapOrThrow(await store.trim({ through: Math.floor(head * step.part / 10) }));
    }
  }
  // One that begins now is told the same.
  followers.push(new Follower(gateway, { clientId: "frank" }, own));
  for (const follower of followers) {
    for (let more = true; more;) more = (await follower.pull(3))?.hasMore ?? true;
    assertEquals(follower.seq, oracle.deltas.length);
    check(follower);
  }
  await gateway.close();
}

test("a client that follows by pages, from wherever it starts, holds the rows of all deltas", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: "max" }),
      (steps) => follow(memoryLogStore(), steps),
    ),
    { seed: 42, numRuns: 300 },
  );
});

test("a client that follows a SQLite log by pages holds the rows of all deltas", () =>
  withTempDir(async (directory) => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const path = `${directory}/${++runs}.db`;
        await follow(unwrapOrThrow(await openSqliteLogStore({ path })), steps);
      }),
      { seed: 42, numRuns: 25, endOnFailure: true },
    );
  }));
