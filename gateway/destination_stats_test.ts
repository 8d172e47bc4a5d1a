import { LakeSyncError, ok, type TableSchema, unwrapOrThrow } from "@lakesync/core";
import { makeDelta, ManualClock, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { createGateway, type Gateway } from "./gateway.ts";
import { createRouter } from "./router.ts";
import { memoryLogStore } from "./store_memory.ts";
import { FakeDestination } from "./testdata/fake_destination.ts";
import { ANYONE } from "./testdata/fixture.ts";

const TABLES: readonly TableSchema[] = ["orders", "__proto__", "users"].map((table) => ({
  table,
  version: 1,
  columns: [],
}));

/** A destination that refuses some tables, and tells of jobs of others. */
class Choosy extends FakeDestination {
  refuses = new Set<string>();
  misfits = new Map<string, number>();

  override async write(batch: Parameters<FakeDestination["write"]>[0]) {
    const tables = new Map([...batch.tables].filter(([table]) => !this.refuses.has(table)));
    const written = unwrapOrThrow(await super.write({ ...batch, tables }));
    const refused = Array.from(this.refuses, (table) => {
      const error = new LakeSyncError("CONFLICT", `Table "${table}" has another type`);
      return [table, { status: "failed", error }] as const;
    });
    return ok(new Map([...written, ...refused.filter(([table]) => batch.tables.has(table))]));
  }

  stats() {
    const tables = Array.from(
      this.misfits,
      ([table, count]) =>
        [table, { waiting: false, attempts: 0, misfits: new Map([["n", count]]) }] as const,
    );
    return Promise.resolve(ok({ done: 1, tables: new Map(tables) }));
  }
}

async function open(id: string, destinations: Choosy[]): Promise<Gateway> {
  const clock = new ManualClock(1_000);
  const store = memoryLogStore({ clock });
  return unwrapOrThrow(await createGateway({ id, store, scheduler: clock, destinations }));
}

let hlc = 0;
const rowOf = (table: string) =>
  makeDelta({
    op: "INSERT",
    table,
    rowId: `r${++hlc}`,
    clientId: "ann",
    columns: [],
    hlc: String(hlc),
  });

test("stats name each table that a destination refuses, with its own reason", async () => {
  const lake = new Choosy("lake");
  lake.refuses = new Set(["orders", "__proto__"]);
  const gateway = await open("default", [lake]);
  unwrapOrThrow(await gateway.putSchema({ tables: TABLES }));
  const deltas = TABLES.map(({ table }) => rowOf(table));
  unwrapOrThrow(await gateway.push({ clientId: "ann", deltas }, ANYONE));
  await gateway.flush();
  const failing = async () => unwrapOrThrow(await gateway.stats()).destinations["lake"]?.failing;
  const told = Object.entries(await failing() ?? {});
  assertEquals(told.map(([table, { code, message }]) => [table, code, message]), [
    ["orders", "CONFLICT", 'Table "orders" has another type'],
    ["__proto__", "CONFLICT", 'Table "__proto__" has another type'],
  ]);
  lake.refuses.delete("orders");
  await gateway.flush();
  assertEquals(Object.keys(await failing() ?? {}), ["__proto__"]);
  lake.refuses.clear();
  unwrapOrThrow(await gateway.flush());
  assertEquals(await failing(), undefined);
  await gateway.close();
});

test("a router's stats tell of the destinations of all its shards, each as one", async () => {
  const [one, two, pg] = [new Choosy("lake"), new Choosy("lake"), new Choosy("pg")];
  const gateways = [await open("A", [one]), await open("rest", [two, pg])] as const;
  const router = createRouter({
    id: "default",
    shards: [{ tables: ["orders"], gateway: gateways[0] }],
    default: gateways[1],
  });
  unwrapOrThrow(await router.putSchema({ tables: TABLES }));
  for (const { table } of TABLES) {
    unwrapOrThrow(await router.push({ clientId: "ann", deltas: [rowOf(table)] }, ANYONE));
  }
  one.refuses.add("orders");
  two.misfits.set("users", 2);
  pg.misfits.set("__proto__", 1);
  await router.flush({ waitMs: 60_000 });
  await router.flush({ waitMs: 60_000 });
  const error = { code: "CONFLICT", message: 'Table "orders" has another type' } as const;
  const { destinations } = unwrapOrThrow(await router.stats());
  assertEquals(destinations, {
    lake: {
      flushedSeq: { A: 0, rest: 2 },
      lag: 1,
      cutOff: false,
      attempts: 2,
      error,
      failing: { orders: error },
      behind: { done: 2, tables: { users: { waiting: false, misfits: { n: 2 } } } },
    },
    pg: {
      flushedSeq: { rest: 2 },
      lag: 0,
      cutOff: false,
      behind: {
        done: 1,
        tables: Object.fromEntries([["__proto__", { waiting: false, misfits: { n: 1 } }]]),
      },
    },
  });
  await router.close();
});
