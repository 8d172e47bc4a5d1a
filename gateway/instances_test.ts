// Several gateways over one store: what one does counts for the others at once.
import { assert, assertEquals } from "@std/assert";
import {
  type Delta,
  err,
  type JsonValue,
  LakeSyncError,
  type LogStore,
  ok,
  type Result,
  type Source,
  type SourceBatch,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { insertTodo, makeDelta, ManualClock, test } from "@lakesync/testing";
import type { Gateway } from "./gateway.ts";
import { memoryLogStore } from "./store_memory.ts";
import { FakeDestination } from "./testdata/fake_destination.ts";
import {
  ANYONE,
  checkpoint,
  type GatewaySetup,
  openGateway,
  PROTO,
  pull,
  push,
  storeWith,
  TODOS,
} from "./testdata/fixture.ts";

const TAGS: TableSchema = {
  table: "tags",
  version: 2,
  columns: [{ name: "label", type: "string" }],
};
const WIDER: readonly TableSchema[] = [TODOS, PROTO, TAGS];

function insertTag(rowId: string, hlc: number): Delta {
  return makeDelta({
    op: "INSERT",
    table: "tags",
    rowId,
    clientId: "alice:phone",
    columns: [{ column: "label", value: "red" }],
    hlc: String(hlc),
  });
}

/** Two gateways over one store. */
async function openTwo(
  store: LogStore = memoryLogStore(),
  setup: GatewaySetup = {},
): Promise<[Gateway, Gateway]> {
  return [await openGateway({ store, ...setup }), await openGateway({ store, ...setup })];
}

test("a schema put to one instance holds for a push to another one at once", async () => {
  const [one, two] = await openTwo();
  unwrapOrThrow(await one.putSchema({ tables: WIDER }));
  assertEquals((await push(two, [insertTodo("a", 1), insertTag("t", 2)])).accepted, 2);
});

test("a schemaVersion that one instance knows is not refused by another one", async () => {
  const [one, two] = await openTwo();
  const body = { clientId: "alice:phone", deltas: [insertTodo("a", 1)], schemaVersion: 2 };
  const refused = await two.push(body, ANYONE);
  assertEquals(refused.ok || refused.error.code, "CONFLICT");
  unwrapOrThrow(await one.putSchema({ tables: WIDER }));
  assertEquals(unwrapOrThrow(await two.push(body, ANYONE)).accepted, 1);
});

test("stats, checkpoint and schema show what was put to another instance", async () => {
  const [one, two] = await openTwo();
  unwrapOrThrow(await one.putSchema({ tables: WIDER }));
  await push(one, [insertTag("t", 1)]);
  assertEquals(unwrapOrThrow(await two.schema()), WIDER);
  assertEquals(unwrapOrThrow(await two.stats()).tables.tags, { rows: 1 });
  const [header] = await checkpoint(two);
  assertEquals(
    (header as { checkpoint: { tables: string[] } }).checkpoint.tables,
    ["todos", "__proto__", "tags"],
  );
});

test("a push that fits asks the store for no schema, one that does not asks once", async () => {
  const inner = memoryLogStore();
  let asked = 0;
  const store = storeWith(inner, {
    getValue: (key) => {
      asked++;
      return inner.getValue(key);
    },
  });
  const gateway = await openGateway({ store });
  asked = 0;
  await push(gateway, [insertTodo("a", 1)]);
  assertEquals(asked, 0);
  const { rejected } = await push(gateway, [insertTag("t", 2), insertTag("u", 3)]);
  assertEquals([rejected.map(({ code }) => code), asked], [["SCHEMA_ERROR", "SCHEMA_ERROR"], 1]);
});

test("a push that does not fit fails with the store where its schema cannot be read", async () => {
  const inner = memoryLogStore();
  let broken = false;
  const failure = err(new LakeSyncError("STORAGE_ERROR", "The disk is gone"));
  const store = storeWith(inner, {
    getValue: (key) => broken ? Promise.resolve(failure) : inner.getValue(key),
  });
  const gateway = await openGateway({ store });
  broken = true;
  const pushed = await gateway.push({ clientId: "alice", deltas: [insertTag("t", 1)] }, ANYONE);
  assertEquals(pushed.ok || pushed.error.code, "STORAGE_ERROR");
});

test("an instance flushes tables that only another one has heard of", async () => {
  const lake = new FakeDestination("lake");
  const [one, two] = await openTwo(memoryLogStore(), { destinations: [lake] });
  unwrapOrThrow(await one.putSchema({ tables: WIDER }));
  await push(one, [insertTodo("a", 1), insertTag("t", 2)]);
  unwrapOrThrow(await two.flush());
  assertEquals([lake.seqs("todos"), lake.seqs("tags")], [[1], [2]]);
});

test("a pull that waits at one instance wakes with a push to another one", async () => {
  const clock = new ManualClock();
  const [one, two] = await openTwo(memoryLogStore({ clock }), { scheduler: clock });
  const waiting = pull(two, { wait: "60" });
  await clock.advance(0);
  await push(one, [insertTodo("a", 1)]);
  assertEquals((await waiting).deltas, [insertTodo("a", 1)]);
});

test("a closed gateway is no longer called by its store", async () => {
  const inner = memoryLogStore();
  let listeners = 0;
  const store = storeWith(inner, {
    subscribe(listener) {
      listeners++;
      const unsubscribe = inner.subscribe(listener);
      return () => {
        listeners--;
        unsubscribe();
      };
    },
  });
  const gateway = await openGateway({ store });
  assertEquals(listeners, 1);
  await gateway.close();
  assertEquals(listeners, 0);
});

/** A source of so many rounds over one row; its cursor is the number of rounds that were read. */
function counter(rounds: number, beforeRound: (round: number) => Promise<void>): Source {
  return {
    name: "crm",
    async *read({ cursor }): AsyncGenerator<Result<SourceBatch>> {
      for (let round = Number(cursor ?? 0); round < rounds; round++) {
        await beforeRound(round);
        const columns = new Map<string, JsonValue>([["title", `round ${round}`], ["done", false]]);
        yield ok({
          changes: [{ op: "upsert", table: "todos", rowId: "a", columns }],
          cursor: String(round + 1),
        });
      }
    },
  };
}

test("two instances that read one source at the same time double nothing", async () => {
  const store = memoryLogStore();
  const [one, two] = await openTwo(store);
  const atRound3 = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const slow = one.ingest(counter(10, async (round) => {
    if (round < 3) return;
    atRound3.resolve();
    await released.promise;
  }));
  await atRound3.promise;
  const fast = await two.ingest(counter(10, () => Promise.resolve()));
  assertEquals(unwrapOrThrow(fast), { records: 7, deltas: 7 });
  released.resolve();
  const overtaken = await slow;
  assertEquals(overtaken.ok || overtaken.error.code, "CONFLICT");
  const entries = unwrapOrThrow(await store.read(0, { limit: 100 }));
  assertEquals(entries.length, 10);
  assertEquals(unwrapOrThrow(await store.getValue("source:crm")), "10");
  assertEquals(unwrapOrThrow(await one.ingest(counter(10, () => Promise.resolve()))).deltas, 0);
});

test("a source's stamps rise from instance to instance while the clock stands", async () => {
  const store = memoryLogStore({ clock: new ManualClock() });
  for (let rounds = 1; rounds <= 6; rounds++) {
    const gateway = await openGateway({ store });
    unwrapOrThrow(await gateway.ingest(counter(rounds, () => Promise.resolve())));
  }
  const entries = unwrapOrThrow(await store.read(0, { limit: 100 }));
  const stamps = entries.map(({ json }) => BigInt((JSON.parse(json) as Delta).hlc));
  assertEquals(stamps.length, 6);
  stamps.slice(1).forEach((stamp, i) => assert(stamp > stamps[i]!));
  const page = await pull(await openGateway({ store }));
  assertEquals(page.deltas.length, 6, "each has won");
});
