import {
  defineTable,
  emptyRow,
  isVisible,
  LakeSyncError,
  mergeDelta,
  number,
  type RowState,
  type SqlDatabase,
  string,
  unwrapOrThrow,
} from "@lakesync/core";
import { FakeGateway, ManualClock, Prng, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { type Client, createClient, openSqlite } from "./mod.ts";

const notes = defineTable("notes", {
  a: number().nullable(),
  b: number().nullable(),
  label: string().nullable(),
});

const CLIENTS = 3;
const IDS = ["r1", "r2", "r3", "r4"];

type Fault = "none" | "lose-request" | "lose-answer" | "break-off" | "busy";

type Step =
  | { readonly do: "write"; readonly client: number; readonly row: string; readonly how: number }
  | { readonly do: "tx"; readonly client: number; readonly rows: readonly string[] }
  | { readonly do: "sync"; readonly client: number; readonly faults: readonly Fault[] }
  | { readonly do: "write during sync"; readonly client: number; readonly row: string }
  | { readonly do: "restart"; readonly client: number }
  | { readonly do: "wrong clock"; readonly client: number; readonly ms: number }
  | { readonly do: "time"; readonly ms: number }
  | { readonly do: "reject some"; readonly on: boolean }
  | { readonly do: "hide some"; readonly on: boolean }
  | { readonly do: "trim" }
  | { readonly do: "backup" }
  | { readonly do: "restore" }
  | { readonly do: "reset" };

const client = fc.nat({ max: CLIENTS - 1 });
const row = fc.constantFrom(...IDS);
const fault = fc.constantFrom<Fault>(
  "none",
  "none",
  "lose-request",
  "lose-answer",
  "break-off",
  "busy",
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("write" as const), client, row, how: fc.nat(9) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("tx" as const),
      client,
      rows: fc.array(row, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("sync" as const),
      client,
      faults: fc.array(fault, { maxLength: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("write during sync" as const), client, row }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("restart" as const), client }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("wrong clock" as const),
      client,
      ms: fc.constantFrom(-3_600_000, 0, 4_000, 3_600_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("time" as const),
      ms: fc.constantFrom(1, 1_000, 600_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("reject some" as const), on: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("hide some" as const), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("trim" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("backup" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restore" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reset" as const) }) },
);

type Tables = readonly [typeof notes];

/** Some devices, their gateway, and every value that was ever written. */
class World {
  readonly gatewayClock: ManualClock = new ManualClock();
  readonly clocks: ManualClock[] = [];
  readonly databases: SqlDatabase[] = [];
  readonly clients: Client<Tables>[] = [];
  readonly gateway: FakeGateway;
  // The client, row and column that each value was written to.
  readonly written: Map<number, string> = new Map();
  #value = 0;
  #restore: (() => void) | undefined;
  #restored = false;

  constructor() {
    this.gateway = new FakeGateway({
      tables: [notes.schema],
      clock: this.gatewayClock,
      chunkRows: 2,
    });
  }

  static async open(): Promise<World> {
    const world = new World();
    for (let i = 0; i < CLIENTS; i++) {
      world.clocks.push(new ManualClock());
      world.databases.push(unwrapOrThrow(await openSqlite({ path: ":memory:" })));
      await world.start(i);
    }
    return world;
  }

  async start(i: number): Promise<void> {
    const clock = this.clocks[i]!;
    this.clients[i] = unwrapOrThrow(
      await createClient({
        tables: [notes],
        database: this.databases[i]!,
        transport: this.gateway,
        clientId: `client${i}`,
        sync: { auto: false },
        clock,
        scheduler: clock,
        random: new Prng(this.#value * CLIENTS + i),
      }),
    );
  }

  /** A value that is written once only, to this place. */
  value(client: number, rowId: string, column: "a" | "b"): number {
    this.written.set(++this.#value, `${client} ${rowId} ${column}`);
    return this.#value;
  }

  async write(i: number, rowId: string, how: number): Promise<void> {
    const { notes } = this.clients[i]!.tables;
    const exists = unwrapOrThrow(await notes.get(rowId)) !== undefined;
    if (!exists) unwrapOrThrow(await notes.insert({ id: rowId, a: this.value(i, rowId, "a") }));
    else if (how < 2) unwrapOrThrow(await notes.delete(rowId));
    else if (how < 6) unwrapOrThrow(await notes.update(rowId, { a: this.value(i, rowId, "a") }));
    else unwrapOrThrow(await notes.update(rowId, { b: this.value(i, rowId, "b") }));
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case "write":
        return await this.write(step.client, step.row, step.how);
      case "tx":
        unwrapOrThrow(
          await this.clients[step.client]!.transaction(async ({ tables: { notes } }) => {
            for (const id of step.rows) {
              if (await notes.get(id) === undefined) {
                await notes.insert({ id, b: this.value(step.client, id, "b") });
              } else await notes.update(id, { a: this.value(step.client, id, "a") });
            }
          }),
        );
        return;
      case "sync":
        return await this.sync(step.client, step.faults);
      case "write during sync": {
        const syncing = this.clients[step.client]!.syncOnce();
        await this.write(step.client, step.row, 5);
        await syncing;
        return;
      }
      case "restart":
        await this.clients[step.client]!.close();
        return await this.start(step.client);
      case "wrong clock":
        this.clocks[step.client]!.set(this.gatewayClock.now() + step.ms);
        return;
      case "time":
        return await this.time(step.ms);
      case "reject some":
        this.gateway.reject = ({ columns }) =>
          step.on && columns.some(({ value }) => typeof value === "number" && value % 5 === 0)
            ? "FORBIDDEN_WRITE"
            : undefined;
        return;
      case "hide some":
        this.gateway.setRule((_, { columns }) =>
          !step.on || Number(columns.get("a")?.[0] ?? 0) % 3 !== 0
        );
        return;
      case "trim":
        // A client that comes back to a log restored and trimmed beyond its cursor has no hash either.
        if (this.#restored) { for (let i = 0; i < CLIENTS; i++) await this.sync(i, []); }
        this.#restored = false;
        return this.gateway.trim(this.gateway.head - 2);
      case "backup":
        this.#restore = this.gateway.backup();
        return;
      case "restore":
        // A client that has not pulled since the backup has no hash that could tell it.
        for (let i = 0; i < CLIENTS; i++) await this.sync(i, []);
        this.#restore?.();
        this.#restored = true;
        return;
      case "reset":
        return this.gateway.reset();
    }
  }

  async time(ms: number): Promise<void> {
    for (const clock of [this.gatewayClock, ...this.clocks]) await clock.advance(ms);
  }

  async sync(i: number, faults: readonly Fault[]): Promise<void> {
    const left = [...faults];
    this.gateway.fault = () => {
      const fault = left.shift() ?? "none";
      switch (fault) {
        case "none":
          return undefined;
        case "busy":
          return { fault: "error", error: new LakeSyncError("BACKPRESSURE", "Busy") };
        case "break-off":
          return { fault, rows: 2 };
        default:
          return { fault };
      }
    };
    await this.clients[i]!.syncOnce();
    this.gateway.fault = () => undefined;
  }

  /** All faults are healed, and everybody syncs until nobody has anything new. */
  async settle(): Promise<void> {
    this.gateway.reject = () => undefined;
    this.gateway.setRule(() => true);
    await this.time(1_000);
    for (let round = 0; round < 3; round++) {
      for (const client of this.clients) unwrapOrThrow(await client.syncOnce());
    }
  }

  async check(): Promise<void> {
    const oracle = new Map<string, RowState>();
    for (const delta of this.gateway.accepted) {
      const state = oracle.get(delta.rowId) ?? emptyRow();
      oracle.set(delta.rowId, state);
      mergeDelta(state, delta);
    }
    const expected = [...oracle].filter(([, state]) => isVisible(state)).sort().map((
      [id, state],
    ) => ({
      id,
      a: state.columns.get("a")?.[0] ?? null,
      b: state.columns.get("b")?.[0] ?? null,
      label: null,
    }));
    const accounted: Set<unknown> = new Set();
    for (const { columns } of this.gateway.accepted) {
      for (const { value } of columns) accounted.add(value);
    }
    for (const client of this.clients) {
      const shown: unknown = unwrapOrThrow(await client.query("SELECT * FROM notes ORDER BY id"));
      assertEquals(shown, expected);
      assertEquals(unwrapOrThrow(await client.pending()), 0);
      for (const { delta } of unwrapOrThrow(await client.rejected.list())) {
        for (const { value } of delta.columns) accounted.add(value);
      }
    }
    // Each write is in the log or among the dead letters; or it was folded into a stale INSERT
    // together with a later write of the same client to the same place.
    const lost = [...this.written].filter(([value, place]) =>
      !accounted.has(value) &&
      ![...this.written].some(([later, where]) =>
        later > value && where === place && accounted.has(later)
      )
    );
    assertEquals(lost, []);
  }

  async close(): Promise<void> {
    for (const client of this.clients) await client.close();
    for (const database of this.databases) await database.close();
  }
}

test({
  name: "clients converge to the merge of the accepted deltas, and lose none, through lost " +
    "answers, restarts, rejections, wrong clocks, trims, restores and resets",
  timeoutMs: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const world = await World.open();
      try {
        for (const step of steps) await world.step(step);
        await world.settle();
        await world.check();
      } finally {
        await world.close();
      }
    }),
    { seed: 42, numRuns: 150 },
  );
});
