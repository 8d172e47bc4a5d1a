// Random histories with rules and claims that change: nobody is given a row that their rules hide,
// and in the end everybody has exactly what they let through.
import { join } from "node:path";
import { assert, assertEquals } from "@std/assert";
import {
  type CheckpointRow,
  decodeRow,
  type Delta,
  emptyRow,
  type JsonValue,
  type LogStore,
  mergeDelta,
  type PageItem,
  type RowState,
  type RuleFilter,
  type Rules,
  unwrapOrThrow,
} from "@lakesync/core";
import { Prng, test, withTempDir } from "@lakesync/testing";
import { memoryLogStore } from "./store_memory.ts";
import { openSqliteLogStore } from "./store_sqlite.ts";
import {
  openRuled,
  type RuledGateway,
  task,
  type Who,
  WRITE_ALL,
} from "./testdata/rules_fixture.ts";

const ROWS = 12;
const OWNERS = ["ann", "ben", "cy", null];
const RANKS = [1, 2, 3, null];

type Facts = ReadonlyMap<string, JsonValue>;

/** Rules and, apart from them, what they mean. */
interface Policy {
  readonly filters: readonly (readonly RuleFilter[])[];
  readonly passes: (row: Facts, who: Who) => boolean;
}

const POLICIES: readonly Policy[] = [
  {
    filters: [[{ column: "owner", op: "eq", value: "jwt:sub" }]],
    passes: (row, who) => row.get("owner") === who.sub,
  },
  {
    filters: [
      [{ column: "owner", op: "in", value: "jwt:friends" }],
      [{ column: "rank", op: "gte", value: 3 }],
    ],
    passes: (row, who) => {
      const [owner, rank] = [row.get("owner"), row.get("rank")];
      return (typeof owner === "string" && (who.friends as string[]).includes(owner)) ||
        (typeof rank === "number" && rank >= 3);
    },
  },
  {
    filters: [[
      { column: "rank", op: "eq", value: "jwt:level" },
      { column: "owner", op: "neq", value: "jwt:sub" },
    ]],
    passes: (row, who) => {
      const owner = row.get("owner");
      return row.get("rank") === who.level && typeof owner === "string" && owner !== who.sub;
    },
  },
  { filters: [[]], passes: () => true },
  { filters: [], passes: () => false },
];

function rulesOf({ filters }: Policy, version: number): Rules {
  const buckets = filters.map((all, i) => ({ name: `b${i}`, tables: ["tasks"], filters: all }));
  return { version, buckets, write: WRITE_ALL };
}

/** A row's columns as they show; nulls count as absent. */
function factsOf(state: RowState): Facts {
  return new Map([...state.columns].map(([name, [value]]) => [name, value]));
}

/** What somebody was told, and where they stand. */
class Reader {
  who: Who;
  cursor = "";
  readonly base = new Map<string, RowState>();
  checkpoints = 0;

  constructor(who: Who) {
    this.who = who;
  }

  apply(item: PageItem, ownDeltas: ReadonlyMap<string, Delta>): void {
    const delta = item.op === "OWN" ? ownDeltas.get(item.deltaId)! : item;
    if (delta.op === "ENTER") this.base.set(delta.rowId, decodeRow(delta));
    else if ("hlc" in delta) {
      const state = this.base.get(delta.rowId) ?? emptyRow();
      this.base.set(delta.rowId, state);
      mergeDelta(state, delta);
    } else this.base.delete(delta.rowId);
  }

  replace(checkpoint: { cursor: string; rows: readonly CheckpointRow[] }): void {
    this.checkpoints++;
    this.cursor = checkpoint.cursor;
    this.base.clear();
    for (const row of checkpoint.rows) this.base.set(row.rowId, decodeRow(row));
  }
}

class Play {
  readonly #prng: Prng;
  readonly #ruled: RuledGateway;
  readonly #rows = new Map<string, RowState>();
  /** Each delta, and its row just after its transaction. */
  readonly #deltas = new Map<string, { delta: Delta; after: Facts | undefined }>();
  readonly #readers = ["ann", "ben", "cy"].map((sub) =>
    new Reader({ sub, friends: [sub], level: 1 })
  );
  #policy: Policy = POLICIES[0]!;
  #version = 1;
  items = 0;

  constructor(seed: number, ruled: RuledGateway) {
    this.#prng = new Prng(seed);
    this.#ruled = ruled;
  }

  get checkpoints(): number {
    return this.#readers.reduce((sum, { checkpoints }) => sum + checkpoints, 0);
  }

  async run(steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      const chance = this.#prng.int(0, 99);
      if (chance < 60) await this.#write();
      else if (chance < 92) await this.#read(this.#prng.pick(this.#readers));
      else if (chance < 97) this.#changeClaims(this.#prng.pick(this.#readers));
      else await this.#changeRules();
    }
    for (const reader of this.#readers) {
      while (await this.#read(reader));
      this.#hasExactlyItsRows(reader);
    }
  }

  async #write(): Promise<void> {
    const txId = this.#prng.int(0, 1) === 0 ? `tx${this.#deltas.size}` : undefined;
    const by = this.#prng.pick(this.#readers).who;
    const deltas: Delta[] = [];
    const alive = new Map<string, boolean>();
    for (let n = txId === undefined ? 1 : this.#prng.int(1, 4); n > 0; n--) {
      const rowId = `r${this.#prng.int(1, ROWS)}`;
      const lives = alive.get(rowId) ?? this.#rows.get(rowId)?.life?.alive === true;
      const op = !lives
        ? "INSERT"
        : this.#prng.pick(["UPDATE", "UPDATE", "UPDATE", "DELETE", "INSERT"]);
      alive.set(rowId, op !== "DELETE");
      const values: { [column: string]: JsonValue } = {};
      if (op !== "DELETE") {
        if (this.#prng.int(0, 1) === 0) values.owner = this.#prng.pick(OWNERS);
        if (this.#prng.int(0, 1) === 0) values.rank = this.#prng.pick(RANKS);
        if (this.#prng.int(0, 1) === 0) values.title = `t${this.#deltas.size}-${n}`;
      }
      const options = { by: by.sub, ...(txId !== undefined && { txId }) };
      deltas.push(task(op as "INSERT", rowId, values, options));
    }
    const { rejected } = await this.#ruled.push(by, deltas);
    assertEquals(rejected, []);
    for (const delta of deltas) {
      const state = this.#rows.get(delta.rowId) ?? emptyRow();
      this.#rows.set(delta.rowId, state);
      mergeDelta(state, delta);
    }
    for (const delta of deltas) {
      const state = this.#rows.get(delta.rowId)!;
      const after = state.life?.alive === true ? factsOf(state) : undefined;
      this.#deltas.set(delta.deltaId, { delta, after });
    }
  }

  /** A page or, where that is refused, a checkpoint; returns whether there is more. */
  async #read(reader: Reader): Promise<boolean> {
    const { who, cursor } = reader;
    const own = this.#prng.int(1, 10) <= 3;
    const query = new URLSearchParams({
      clientId: who.sub,
      cursor,
      limit: String(this.#prng.int(1, 5)),
      ...(own && { own: "ids" }),
    });
    const response = await this.#ruled.ask(who, `sync/default/pull?${query}`);
    const page = await response.json();
    if (response.status === 410) {
      reader.replace(await this.#ruled.checkpoint(who));
      for (const [, state] of reader.base) assert(this.#policy.passes(factsOf(state), who));
      return true;
    }
    assertEquals(response.status, 200);
    for (const item of page.deltas as PageItem[]) {
      this.items++;
      this.#mayBeTold(item, who);
      const ownDeltas = new Map([...this.#deltas].map(([id, { delta }]) => [id, delta]));
      reader.apply(item, ownDeltas);
    }
    reader.cursor = page.cursor;
    return page.hasMore;
  }

  #mayBeTold(item: PageItem, who: Who): void {
    if (!("deltaId" in item) && item.op !== "ENTER") {
      return assertEquals("columns" in item, false, "what goes takes no values along");
    }
    const row = item.op === "ENTER"
      ? factsOf(decodeRow(item))
      : this.#deltas.get(item.deltaId)!.after;
    assert(row !== undefined && this.#policy.passes(row, who), `${who.sub}: ${item.op}`);
  }

  #changeClaims(reader: Reader): void {
    const friends = OWNERS.filter((owner) => owner !== null && this.#prng.int(0, 1) === 0);
    reader.who = { sub: reader.who.sub, friends, level: this.#prng.pick([1, 2, 3]) };
  }

  async #changeRules(): Promise<void> {
    this.#policy = this.#prng.pick(POLICIES);
    unwrapOrThrow(await this.#ruled.gateway.putRules(rulesOf(this.#policy, ++this.#version)));
  }

  #hasExactlyItsRows({ who, base }: Reader): void {
    const expected = [...this.#rows].filter(([, state]) =>
      state.life?.alive === true && this.#policy.passes(factsOf(state), who)
    );
    const sorted = (rows: Iterable<[string, RowState]>) =>
      [...rows].map(([rowId, { life, columns }]) => [rowId, life, new Map([...columns].sort())])
        .sort(([a], [b]) => (a as string) < (b as string) ? -1 : 1);
    assertEquals(sorted(base), sorted(expected), who.sub);
  }
}

async function play(seed: number, store: LogStore, steps: number): Promise<Play> {
  await using ruled = await openRuled(rulesOf(POLICIES[0]!, 1), { store });
  const game = new Play(seed, ruled);
  await game.run(steps);
  return game;
}

test("random rules, claims and histories: nothing leaks, and all get exactly their rows", async () => {
  let items = 0;
  let checkpoints = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const game = await play(seed, memoryLogStore(), 250);
    items += game.items;
    checkpoints += game.checkpoints;
  }
  assert(items > 3_000, `${items} items were judged`);
  assert(checkpoints > 100, `${checkpoints} checkpoints were taken`);
});

test("random rules, claims and histories over a SQLite log", () =>
  withTempDir(async (dir) => {
    for (let seed = 101; seed <= 105; seed++) {
      const path = join(dir, `${seed}.db`);
      await play(seed, unwrapOrThrow(await openSqliteLogStore({ path })), 200);
    }
  }));
